"""The last matrix's gradient by group against autograd's, in a step that is the plain one; and in a run."""

import copy

import numpy as np
import plain_runs
import pytest
import torch
from plain_runs import MIXTURE, Plain, play

from chameleon.core.errors import Interrupted
from chameleon.methods.gradients.controller import GradientController
from chameleon.methods.gradients.last_layer import GroupSums, last_layer
from chameleon.mixing.method import Objective, Observer
from chameleon.training.engine import Engine
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.resume.states import Every, States

SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=12, vocab_size=64, init_std=0.1)
OWNERS = [1, 0, 2, 1, 1, 0]
PARAMETERS = 16 * 64


def model(dtype=torch.float32):
    net = Decoder(SHAPE).initialise(0).to(dtype)
    net.train()
    return net


def batch():
    ids = torch.randint(40, (len(OWNERS), 13), generator=torch.Generator().manual_seed(2))
    return ids[:, :-1], ids[:, 1:]


def by_autograd(net, owners, groups):
    """Return the sums over blocks of the gradient of each block's mean loss, one backward pass a block."""
    tokens, targets = batch()
    weight = net.blocks[-1].mlp_out.weight
    out = torch.zeros(groups, *weight.shape, dtype=weight.dtype)
    for i, owner in enumerate(owners):
        out[owner] += torch.autograd.grad(net(tokens[i : i + 1], targets[i : i + 1]).mean(), weight)[0]
    return out


def plain_step(net, parts=1):
    """What `Training._step` does without an objective."""
    tokens, targets = batch()
    total = 0.0
    for some, theirs in zip(tokens.chunk(parts), targets.chunk(parts), strict=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.is_autocast_enabled("cpu")):
            loss = net.summed(some, theirs) / tokens.numel()
        with torch.autocast("cpu", enabled=False):
            loss.backward()
        total += float(loss.detach())
    return total, [p.grad.clone() for p in net.parameters()]


@pytest.mark.parametrize("parts", [1, 2, 6])
@pytest.mark.parametrize("owners", [OWNERS, [0] * 6, [5, 4, 3, 2, 1, 0], [0, 3] * 3])
def test_the_sums_are_autograds(owners, parts):
    net, sums = model(torch.float64), GroupSums(6)
    sums.step(net, *batch(), owners, parts)
    expected = by_autograd(net, owners, 6).flatten(1)
    torch.testing.assert_close(sums._sums.flatten(1), expected, rtol=1e-10, atol=1e-13)
    assert sums.products(range(6)) == pytest.approx((expected @ expected.T).numpy(), rel=1e-9, abs=1e-12)
    assert sums.products([4, 1])[1, 0] == pytest.approx(float(expected[1] @ expected[4]), abs=1e-12)
    assert sums.counts.tolist() == [owners.count(i) for i in range(6)]


def test_all_groups_together_are_the_gradient_of_the_mean():
    net, sums = model(), GroupSums(3)
    sums.step(net, *batch(), OWNERS, 1)
    torch.testing.assert_close(sums._sums.sum(0) / len(OWNERS), last_layer(net).weight.grad)
    assert float(last_layer(net).weight.grad.norm()) > 1e-3


@pytest.mark.parametrize("again", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_step_is_the_plain_one(parts, low, again):
    net, sums = model(), GroupSums(3)
    net.checkpointing = again
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        wanted, gradients = plain_step(net, parts)
        net.zero_grad()
        assert sums.step(net, *batch(), OWNERS, parts) == wanted
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gradients, strict=True))
    assert not any(m._forward_hooks for m in net.modules())
    expected = by_autograd(net, OWNERS, 3)
    assert float((sums._sums - expected).norm()) < (0.02 if low else 1e-5) * float(expected.norm())


def test_sums_and_products_are_wide_under_autocast():
    net, sums = model(), GroupSums(3)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            sums.step(net, *batch(), OWNERS, 1)
        products = sums.products(range(3))
    assert sums._sums.dtype == torch.float32
    flat = sums._sums.flatten(1).double()
    assert products == pytest.approx((flat @ flat.T).numpy(), rel=1e-5)


def test_steps_add_up_until_cleared():
    net, sums = model(torch.float64), GroupSums(3)
    sums.step(net, *batch(), OWNERS, 1)
    once = sums.products(range(3))
    sums.step(net, *batch(), OWNERS, 1)
    assert sums.products(range(3)) == pytest.approx(4 * once)
    sums.clear([1])
    assert sums.counts.tolist() == [4, 0, 2] and not sums.products([1]).any()
    assert sums.products([0, 2]) == pytest.approx(4 * once[np.ix_([0, 2], [0, 2])])


def test_extra_flops_are_the_products_alone():
    net, sums = model(), GroupSums(3)
    assert not sums.products(range(3)).any() and sums.extra_flops == 0
    sums.clear(range(3))
    sums.step(net, *batch(), OWNERS, 2)
    assert sums.extra_flops == 2 * 6 * 12 * PARAMETERS
    sums.products([0, 2])
    assert sums.extra_flops == 2 * 6 * 12 * PARAMETERS + 2 * 2 * 2 * PARAMETERS


def test_restored_sums_go_on():
    net, one, other = model(), GroupSums(3), GroupSums(3)
    other.restore(copy.deepcopy(one.state()))
    for _ in range(2):
        one.step(net, *batch(), OWNERS, 1)
    other.step(net, *batch(), OWNERS, 1)
    third = GroupSums(3)
    third.restore(copy.deepcopy(other.state()))
    third.step(net, *batch(), OWNERS, 1)
    assert torch.equal(one._sums, third._sums) and one.extra_flops == third.extra_flops
    assert one.counts.tolist() == third.counts.tolist() == [4, 6, 2]


# In a run.

STEPS, SIZE = 9, 4


class Still(GradientController):
    """Sees the gradients, and plays the same; an observer besides, that must not be told."""

    def __init__(self):
        super().__init__(MIXTURE, 4)

    def next_segment(self, state):
        if state.step:
            self.update()
        return 4, dict(MIXTURE)

    def update(self):
        self.history.append({"products": self.sums.products(range(3)).tolist()})
        self.sums.clear(range(3))
        return self.shares, {}

    def observe(self, step, losses):
        raise AssertionError("steps under an objective are not observed")

    def outcome(self):
        raise AssertionError("a base run's objective is not asked")


def training(parts=1):
    return plain_runs.training(SHAPE, STEPS, SIZE, parts)


@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_run_is_the_plain_one_to_the_bit(parts, low):
    runs = []
    for controller in (Plain(), Still()):
        run = training(parts)
        run.engine = Engine("bf16" if low else "fp32", False)
        runs.append(play(run, controller))
    (plain, _), (run, controller) = runs
    assert isinstance(controller, Objective) and isinstance(controller, Observer)
    assert run.rows == plain.rows and run.segments == plain.segments
    assert all(
        torch.equal(p, q) for p, q in zip(run.model.parameters(), plain.model.parameters(), strict=True)
    )
    assert run.cost.tokens == plain.cost.tokens
    extra = 2 * STEPS * SIZE * 12 * PARAMETERS + 2 * (2 * 9 * PARAMETERS)
    assert controller.extra_flops == extra, "nine steps and two Gram matrices"
    assert run.cost.flops == plain.cost.flops + extra == flops_per_token(SHAPE) * 9 * 48 + extra


def test_a_run_cut_off_sees_the_same(tmp_path, monkeypatch):
    whole, seen = play(training(), Still())
    kept = []
    save = States.save
    monkeypatch.setattr(
        States, "save", lambda self, step, value: (kept.append(value), save(self, step, value))[1]
    )
    states = States(tmp_path / "states", {"spec": 1}, Every.parse("1steps"))

    def cut(model, tokens):
        raise Interrupted("here")

    for at in (3, 5, 7):  # the state is of the step before, that at 4 between two segments
        with pytest.raises(Interrupted):
            play(training(), Still(), states=states, watch={at: cut})
    again, controller = play(training(), Still(), states=states)
    assert controller.history == seen.history and len(seen.history) == 2
    assert again.rows == whole.rows and again.cost == whole.cost
    assert list(kept[-1]["carried"]) == ["controller"], "one that is both is saved once"


def test_another_objective_comes_first():
    class Own(GradientController):
        def next_segment(self, state):
            raise AssertionError

    controller, own = Still(), Own(MIXTURE, 4)
    run, _ = play(training(), controller, objective=own)
    assert controller.extra_flops == 0 < own.extra_flops
    assert run.cost.flops == flops_per_token(SHAPE) * 9 * 48 + own.extra_flops
    assert list(run._carried) == ["objective", "controller"]


def test_its_steps_are_not_compiled():
    run = training()
    run.engine = Engine("fp32", True)
    play(run, Still())
    assert not run.engine.compiled and run.engine.reason == "the method's own objective"
