"""The two forms of cross-entropy against torch's."""

import pytest
import torch
from torch.nn import functional as F

from chameleon.training.losses import summed_loss, token_losses


def drawn(rows, dtype=torch.float32, scale=1.0):
    """Return hidden states, a head, targets and a weight per token."""
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(n, 12, generator=generator, dtype=dtype) * scale for n in (rows, 50))
    targets = torch.randint(50, (rows,), generator=generator)
    return x, w, targets, torch.rand(rows, generator=generator, dtype=dtype)


def with_gradients(losses, x, w, upstream):
    leaves = [t.clone().requires_grad_() for t in (x, w)]
    value = losses(*leaves)
    value.backward(upstream)
    return [value.detach(), *(t.grad for t in leaves)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [7, 300])  # less and more than a chunk
def test_losses_are_cross_entropy(dtype, rows):
    """Values and gradients, with unequal weights on the tokens where they may have them."""
    x, w, targets, upstream = drawn(rows, dtype, scale=3)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    for losses, up in ((token_losses, upstream), (summed_loss, upstream[0])):
        ours = with_gradients(lambda x, w, f=losses: f(x, w, targets), x, w, up)
        reduction = "none" if up.ndim else "sum"
        theirs = with_gradients(
            lambda x, w, r=reduction: F.cross_entropy(x @ w.T, targets, reduction=r), x, w, up
        )
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, rtol=tolerance, atol=tolerance * b.abs().max().item())


def test_losses_in_bfloat16():
    """The arithmetic of autocast: bfloat16 products, float32 losses, bfloat16 gradients of the logits."""
    x, w, targets, upstream = drawn(300)
    for losses, up in ((token_losses, upstream), (summed_loss, upstream[0])):
        ours = with_gradients(lambda x, w, f=losses: f(x.bfloat16(), w.bfloat16(), targets), x, w, up)
        reduction = "none" if up.ndim else "sum"
        theirs = with_gradients(
            lambda x, w, r=reduction: F.cross_entropy(
                (x.bfloat16() @ w.bfloat16().T).float(), targets, reduction=r
            ),
            x, w, up,
        )  # fmt: skip
        assert ours[0].dtype == torch.float32
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-5)
        for a, b in zip(ours[1:], theirs[1:], strict=True):
            assert (a - b).norm() < 5e-3 * b.norm()


@pytest.mark.parametrize("losses", [token_losses, summed_loss])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_twice_through_a_retained_graph(losses, dtype):
    x, w = (torch.randn(n, 8).to(dtype).requires_grad_() for n in (10, 20))
    loss = losses(x, w, torch.arange(10)).sum()
    first = torch.autograd.grad(loss, [x, w], retain_graph=True)
    for a, b in zip(first, torch.autograd.grad(loss, [x, w]), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("losses", [token_losses, summed_loss])
def test_large_logits_stay_finite(losses):
    """Logits of hundreds, where exp alone would overflow."""
    x, w, targets, _ = drawn(9, scale=30)
    expected = F.cross_entropy(x @ w.T, targets, reduction="sum")
    assert torch.allclose(losses(x, w, targets).sum(), expected, rtol=1e-5)
