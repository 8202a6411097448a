"""Inner products and weighted sums of per-domain gradients: one captured pass against one pass per domain."""

import numpy as np
import pytest
import torch
from separate_gradients import naive

from chameleon.methods.reweighting.domain_gradients import captured
from chameleon.training.model import Decoder, ModelShape, flops_per_token

SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=12, vocab_size=40)


def model(dtype, shape=SHAPE):
    net = Decoder(shape).initialise(0).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # biases and norms away from their start, where some gradients would vanish
        for p in net.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator, dtype=dtype))
    return net


def batch(blocks, length=12, vocabulary=40):
    ids = torch.randint(vocabulary, (blocks, length + 1), generator=torch.Generator().manual_seed(2))
    return ids[:, :-1], ids[:, 1:]


def gradients(net):
    return [p.grad.clone() for p in net.parameters()]


OWNERS = {
    "uneven": [1, 0, 2, 1, 1, 0],
    "one domain": [0, 0, 0],
    "one block each": [0, 1, 2, 3],
    "many blocks a domain": [0, 1] * 6,  # products per domain rather than per block
}


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
def test_captured_equals_one_pass_per_domain(owners, dtype, tolerance):
    net = model(dtype)
    tokens, targets = batch(len(owners), length=11)
    expected = naive(net, tokens, targets, owners)
    found = captured(net, tokens, targets, owners)
    products = expected.gram()
    scale = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    assert (np.abs(found.gram() - products) / scale).max() < tolerance
    weights = np.linspace(0.1, 1.0, len(products))
    expected.combine(weights)
    wanted = gradients(net)
    found.combine(weights)
    for want, got in zip(wanted, gradients(net), strict=True):
        assert float((want - got).norm()) <= tolerance * float(want.norm())
    assert float(found.block_losses.sum()) == pytest.approx(float(expected.block_losses.sum()), rel=1e-6)


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
def test_several_passes_add_up_to_one(owners, at_once):
    net = model(torch.float64)
    tokens, targets = batch(len(owners), length=11)
    whole, parts = (captured(net, tokens, targets, owners, n) for n in (None, at_once))
    np.testing.assert_allclose(parts.gram(), whole.gram(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(parts.block_losses, whole.block_losses)
    weights = np.linspace(0.1, 1.0, len(set(owners)))
    whole.combine(weights)
    wanted = gradients(net)
    parts.combine(weights)
    for want, got in zip(wanted, gradients(net), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_every_parameter_counts():
    """The products are those of the plain gradient of one domain's loss, all parameters included."""
    net, (tokens, targets) = model(torch.float64), batch(2)
    net(tokens, targets).mean().backward()
    wanted = gradients(net)
    found = captured(net, tokens, targets, [0, 0])
    squares = sum(float((g * g).sum()) for g in wanted)
    assert found.gram()[0, 0] == pytest.approx(squares, rel=1e-6)
    for kind in ("wte", "wpe", "ln_1.weight", "ln_f.bias", "qkv.bias", "mlp_out.weight"):
        part = sum(
            float((g * g).sum())
            for (n, _), g in zip(net.named_parameters(), wanted, strict=True)
            if kind in n
        )
        assert part > 1e-4 * squares, f"{kind}: too small for this test to see it"


def test_uniform_weights_give_the_plain_gradient():
    net, (tokens, targets) = model(torch.float32), batch(4)
    net(tokens, targets).mean().backward()
    plain = gradients(net)
    captured(net, tokens, targets, [0, 1, 2, 3]).combine(np.full(4, 0.25))
    for want, got in zip(plain, gradients(net), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_leaves_the_model_as_it_was():
    net, (tokens, targets) = model(torch.float32), batch(3)
    before = {n: p.clone() for n, p in net.named_parameters()}
    captured(net, tokens, targets, [0, 1, 1])
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(torch.equal(p, before[n]) for n, p in net.named_parameters())
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("at_once", [None, 2])
def test_bfloat16_autocast_stays_near(at_once):
    net, (tokens, targets) = model(torch.float32), batch(4)
    owners = [0, 1, 1, 2]
    exact = naive(net, tokens, targets, owners).gram()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = captured(net, tokens, targets, owners, at_once)
        products = found.gram()
        found.combine(np.array([0.2, 0.5, 0.3]))
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (np.abs(products - exact) / scale).max() < 0.03
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in net.parameters())


def test_extra_flops_are_a_fraction_of_a_step():
    """The Gram matrix and the weighted sum: two products of g x P numbers each, g blocks."""
    net, (tokens, targets) = model(torch.float32), batch(4)
    found = captured(net, tokens, targets, [0, 1, 2, 3])
    assert found.extra_flops() == 2 * 4 * 5 * SHAPE.parameters
    assert found.extra_flops() < flops_per_token(SHAPE) * tokens.numel()
