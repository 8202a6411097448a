"""Gradients by domain of models of transformers: against autograd, and against the one-pass form on ours."""

import numpy as np
import pytest
import tiny_checkpoints as tiny
import torch
from torch.nn import functional as F

from chameleon.methods import gram
from chameleon.methods.gradients.last_layer import GroupSums
from chameleon.methods.gradients.reversal import Movements
from chameleon.methods.reweighting.domain_gradients import captured
from chameleon.methods.reweighting.separate_passes import Separate
from chameleon.mixing.types import StepInfo
from chameleon.training.hf.building import drawn
from chameleon.training.hf.decoder import HfDecoder
from chameleon.training.model import Decoder, ModelShape

OWNERS = [1, 0, 2, 1, 1, 0]
IDS = torch.randint(40, (len(OWNERS), 12), generator=torch.Generator().manual_seed(2))
TOKENS, TARGETS = IDS[:, :-1], IDS[:, 1:]
KINDS = ("llama", "gemma2", "gpt2")


def of_transformers(kind):
    return HfDecoder(drawn(tiny.CONFIGS[kind].to_dict(), 0).double(), 16).train()


def close(found, expected):
    """Norms and rotations are float32 in transformers, whatever the model is."""
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    assert found.shape == expected.shape
    assert float((found - expected).norm()) < 1e-5 * float(expected.norm())


def by_autograd(model):
    """Return the gradients by domain, m lists, of transformers' own logits."""
    found = []
    for row in range(max(OWNERS) + 1):
        mine = [i for i, owner in enumerate(OWNERS) if owner == row]
        logits = model.lm(TOKENS[mine]).logits
        loss = F.cross_entropy(logits.flatten(0, 1), TARGETS[mine].flatten())
        found.append(torch.autograd.grad(loss, list(model.parameters())))
    return found


@pytest.mark.parametrize("at_once", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_gram_matrix_and_weighted_sum_are_autograds(kind, at_once):
    model = of_transformers(kind)
    rows = by_autograd(model)
    flat = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    found = captured(model, TOKENS, TARGETS, OWNERS, at_once)
    assert isinstance(found, Separate) and all(p.grad is None for p in model.parameters())
    close(found.gram(), flat @ flat.T)
    weights = np.array([0.2, -1.0, 0.5])
    found.combine(weights)
    got = torch.cat([p.grad.flatten() for p in model.parameters()])
    close(got, torch.as_tensor(weights) @ flat)
    losses = model(TOKENS, TARGETS).mean(1).detach()
    close(found.block_losses, losses[np.argsort(OWNERS, kind="stable")])
    assert found.extra_flops() == 2 * 3 * 4 * flat.shape[1]


def test_on_our_own_decoder_it_is_the_one_pass_form():
    model = (
        Decoder(ModelShape(n_layer=2, n_head=2, d_model=16, context=11, vocab_size=40)).initialise(0).double()
    )
    whole = captured(model, TOKENS, TARGETS, OWNERS)
    order = torch.from_numpy(np.argsort(OWNERS, kind="stable"))
    parts = Separate(model, TOKENS[order], TARGETS[order], torch.tensor(OWNERS)[order])
    np.testing.assert_allclose(parts.gram(), whole.gram(), rtol=1e-9)
    torch.testing.assert_close(parts.block_losses, whole.block_losses)
    found = []
    for one in (whole, parts):
        one.combine(np.array([1.0, 2.0, 0.5]))
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "kind, matrix", [("llama", "mlp.down_proj"), ("gpt2", "mlp.c_proj"), ("gpt_neox", "mlp.dense_4h_to_h")]
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_last_matrix_of_a_model_of_transformers(kind, matrix, checkpointing):
    model, name = of_transformers(kind), f"blocks.{tiny.LAYERS - 1}.{matrix}.weight"
    model.checkpointing = checkpointing
    at = [n for n, _ in model.named_parameters()].index(name)
    counts = np.bincount(OWNERS)
    expected = torch.stack([n * row[at].flatten() for n, row in zip(counts, by_autograd(model), strict=True)])
    sums = GroupSums(3)
    sums.step(model, TOKENS, TARGETS, OWNERS, 2)
    close(sums.products(range(3)), expected @ expected.T)
    plain = dict(model.named_parameters())[name].grad.flatten()
    close(plain, expected.sum(0) / len(OWNERS))


def test_steps_of_a_domain_are_kept_by_the_models_names():
    model = of_transformers("llama")
    info = StepInfo(0, 4, 1.0, 0.5, 1.0)
    moved = Movements(["a", "b", "c"])
    moved.step(model, TOKENS, TARGETS, ["abc"[o] for o in OWNERS], info)
    found = moved.tensors(model)
    for row, of_domain in enumerate(by_autograd(model)):
        share = 0.5 * OWNERS.count(row) / len(OWNERS)
        for (name, _), g in zip(model.named_parameters(), of_domain, strict=True):
            close(found[f"{'abc'[row]}/{name}"], share * g)


@pytest.mark.parametrize("kind, per_block", [("llama", 7), ("gemma2", 7), ("gpt_neox", 4), ("gpt2", 4)])
def test_regmeans_products_are_of_the_blocks_layers(kind, per_block):
    model = of_transformers(kind).eval()
    found = gram.products(model, lambda m: m(TOKENS, TARGETS))
    assert len(found) == per_block * tiny.LAYERS
    parameters = dict(model.named_parameters())
    assert all(name.startswith("blocks.") for name in found)
    inside = {name: parameters[name].shape[0 if name in gram.turned(model) else 1] for name in found}
    assert {name: g.shape[0] for name, g in found.items()} == inside
    # A model alone merges to itself, whichever way its matrices are kept.
    merged = gram.RegMean([parameters], [found], 0.5, 1e-4, gram.turned(model))(np.ones(1))
    for name in found:
        close(merged[name], parameters[name].detach())
