"""Muon against torch's own, and what its orthogonalisation does."""

import subprocess
import sys

import pytest
import torch

from chameleon.training import optim
from chameleon.training.optim import AdamW, Muon, orthogonalise

SHAPES = [(24, 8), (8, 24), (16, 16)]


def matrices(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def test_muon_is_torchs_muon():
    """With bfloat16 iterations, the default (original) rate adjustment, Nesterov momentum, weight decay."""
    ours = [torch.nn.Parameter(m.clone()) for m in matrices(0)]
    theirs = [torch.nn.Parameter(m.clone()) for m in matrices(0)]
    settings = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    a, b = Muon(ours, dtype=torch.bfloat16, **settings), torch.optim.Muon(theirs, **settings)
    for step in range(5):
        for group in (*a.param_groups, *b.param_groups):
            group["lr"] = 0.02 / (1 + step)
        for p, q, gradient in zip(ours, theirs, matrices(10 + step), strict=True):
            p.grad, q.grad = gradient.clone(), gradient.clone()
        before = [p.detach().clone() for p in ours]
        a.step()
        b.step()
        for p, q, old in zip(ours, theirs, before, strict=True):
            # An update is about lr in size; bfloat16 keeps three digits of it.
            assert (p - old).abs().mean() > 1e-4
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one(shape, dtype):
    """The quintic's fixed range; the direction of the singular vectors is kept."""
    gradient = 1e3 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    result = orthogonalise(gradient[None], steps=5, dtype=dtype)[0].float()
    values = torch.linalg.svdvals(result)
    assert result.shape == shape and values.min() > 0.6 and values.max() < 1.3
    u, _, vt = torch.linalg.svd(gradient, full_matrices=False)
    inside = u.T @ result @ vt.T
    assert (inside - torch.diag(inside.diag())).abs().max() < (1e-4 if dtype == torch.float32 else 0.1)
    assert (inside.diag() > 0.5).all()


def test_float32_is_close_to_bfloat16():
    for gradient in matrices(4):
        exact = orthogonalise(gradient[None], 5, torch.float32)
        rough = orthogonalise(gradient[None], 5, torch.bfloat16).float()
        assert (rough - exact).norm() / exact.norm() < 0.05


def test_a_zero_gradient_stays_zero():
    assert torch.equal(orthogonalise(torch.zeros(2, 3, 4), 5, torch.float32), torch.zeros(2, 3, 4))


def test_parameters_without_a_gradient_are_left_alone():
    used, unused = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    used.grad = torch.eye(3)
    Muon([used, unused], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(unused, torch.ones(3, 3)) and not torch.equal(used, torch.ones(3, 3))


@pytest.mark.parametrize("shape", [(1, 8, 40), (1, 40, 8), (1, 8, 16), (1, 8, 9), (3, 8, 40), (3, 40, 8)])
@pytest.mark.parametrize("decades", [0.5, 3, 6])
def test_wide_matrices_take_the_short_way_to_the_same_result(shape, decades):
    """Against the plain iteration in float64, for singular values over several decades."""
    generator = torch.Generator().manual_seed(0)
    u, s, v = torch.linalg.svd(
        torch.randn(shape, generator=generator, dtype=torch.float64), full_matrices=False
    )
    g = u @ (torch.logspace(0, -decades, s.shape[-1], dtype=torch.float64)[:, None] * v)
    x = g / torch.linalg.vector_norm(g, dim=(-2, -1), keepdim=True)
    x = x.mT if shape[-2] > shape[-1] else x
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    expected = x.mT if shape[-2] > shape[-1] else x
    torch.testing.assert_close(orthogonalise(g, 5, torch.float64), expected, rtol=0, atol=1e-9)
    found = orthogonalise(g.float(), 5, torch.float32).double()
    assert (found - expected).norm() < 3e-3 * expected.norm()


def test_adamw_is_torchs_adamw():
    """To the bit, with groups of other rates and decays, and a parameter that gets its gradient late."""
    ours, theirs = ([torch.nn.Parameter(m.clone()) for m in matrices(5)] for _ in range(2))
    settings = {"lr": 0.01, "betas": (0.9, 0.95), "eps": 1e-8}
    both = []
    for kind, p, more in ((AdamW, ours, {}), (torch.optim.AdamW, theirs, {"fused": True})):
        groups = [{"params": p[:1], "weight_decay": 0.0}, {"params": p[1:], "weight_decay": 0.1, "lr": 0.03}]
        both.append(kind(groups, **settings, **more))
    for step in range(4):
        for p, q, gradient in zip(ours, theirs, matrices(20 + step), strict=True):
            p.grad, q.grad = gradient.clone(), gradient.clone()
        if step < 2:
            ours[1].grad = theirs[1].grad = None
        for optimizer in both:
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
            optimizer.step()
            optimizer.zero_grad()
        assert all(p.grad is None for p in ours)
    for p, q, start in zip(ours, theirs, matrices(5), strict=True):
        assert torch.equal(p, q) and not torch.equal(p, start)


@pytest.mark.parametrize("limit", [1, 200, 10_000])
def test_muon_does_not_depend_on_what_is_orthogonalised_together(monkeypatch, limit):
    """Against one optimizer per matrix, in float64; among them stacks, which are many matrices each."""
    monkeypatch.setattr(optim, "STACKED", limit)
    shapes = [(8, 12), (4, 4), (8, 12), (3, 8, 12), (8, 12), (3, 8, 12), (4, 4)]
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(2, *s, generator=generator, dtype=torch.float64) for s in shapes]
    together, alone = ([torch.nn.Parameter(d[0].clone()) for d in drawn] for _ in range(2))
    settings = {"lr": 0.1, "weight_decay": 0.1, "dtype": torch.float64}
    first, others = Muon(together, **settings), [Muon([p], **settings) for p in alone]
    for step in range(3):
        for p, q, d in zip(together, alone, drawn, strict=True):
            p.grad, q.grad = d[1] * (step + 1), d[1] * (step + 1)
        together[2].grad = alone[2].grad = None
        for optimizer in (first, *others):
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU torch is told to be deterministic")
def test_jobs_do_not_import_the_compiler():
    """What it is for: a small job's start is a second shorter."""
    code = (
        "import sys, torch; from chameleon.training.device import setup_torch;"
        "from chameleon.training import optim;"
        "p = torch.nn.Parameter(torch.ones(3, 3)); p.grad = torch.ones(3, 3); setup_torch(1);"
        "optim.AdamW([{'params': [p]}], lr=0.1).step(); optim.Muon([p], lr=0.1).step();"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
