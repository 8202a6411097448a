"""What a controller observes of every step: the losses of its domains, while the run stays what it was."""

import numpy as np
import plain_runs
import pytest
import torch
from plain_runs import MIXTURE, Plain, play

from chameleon.core.errors import Interrupted
from chameleon.mixing.method import Observer
from chameleon.training.engine import Engine
from chameleon.training.loop import Training
from chameleon.training.losses import domain_means
from chameleon.training.model import ModelShape
from chameleon.training.resume.states import Every, States

SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64, init_std=0.1)
STEPS, SIZE = 8, 4


class Hears(Plain):
    """Plays the same, and keeps what it observes in its state."""

    def __init__(self):
        self.heard = []

    def observe(self, step, losses):
        self.heard.append([step, dict(losses)])

    def state(self):
        return {"heard": self.heard}

    def restore(self, state):
        self.heard = state["heard"]


def training(parts=1):
    return plain_runs.training(SHAPE, STEPS, SIZE, parts)


def weights(run, but="nothing"):
    return torch.cat([p.detach().flatten() for n, p in run.model.named_parameters() if but not in n])


def test_losses_are_those_of_a_pass_by_hand(monkeypatch):
    expected, step = [], Training._step

    def by_hand(self, number, batch, tokens):
        with torch.no_grad():
            logits = self.model.hidden(tokens[:, :-1]) @ self.model.wte.weight.T
            each = torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").double()
        at = {d: [i for i, (name, _) in enumerate(batch) if name == d] for d in MIXTURE}
        losses = {d: float(each[rows].mean()) for d, rows in at.items() if rows}
        expected.append([number + 1, losses])
        return step(self, number, batch, tokens)

    monkeypatch.setattr(Training, "_step", by_hand)
    run, controller = play(training(), Hears())
    assert [s for s, _ in controller.heard] == list(range(1, STEPS + 1))
    for (number, losses), (_, wanted) in zip(controller.heard, expected, strict=True):
        assert set(losses) == set(wanted), f"step {number}"
        assert losses == pytest.approx(wanted, rel=1e-6)
    present = [set(losses) for _, losses in controller.heard]
    assert {"rare"} <= set.union(*present) and any("rare" not in domains for domains in present)
    assert all(type(x) is float for _, losses in controller.heard for x in losses.values())


@pytest.mark.parametrize("parts", [1, 3])
def test_the_run_is_the_plain_one_but_for_rounding(parts):
    plain, _ = play(training(parts), Plain())
    observed, controller = play(training(parts), Hears())
    assert isinstance(controller, Observer) and not isinstance(Plain(), Observer)
    assert np.array(observed.rows) == pytest.approx(np.array(plain.rows), rel=1e-6)
    # The gradient of a key's bias is nothing but rounding, which Adam makes steps of.
    assert torch.allclose(weights(observed, "qkv.bias"), weights(plain, "qkv.bias"), rtol=0, atol=1e-5)
    assert observed.segments == plain.segments and observed.cost == plain.cost


def test_the_gradient_is_that_of_the_mean_loss(monkeypatch):
    """Before any optimizer has multiplied the rounding."""
    found = []

    def first(parameters, limit):
        found.append(torch.cat([p.grad.flatten() for p in parameters]))
        return torch.tensor(1.0)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", first)
    for controller in (Plain(), Hears()):
        run = training()
        run._prepare(None, controller if isinstance(controller, Observer) else None)
        batch = run.sampler.segment(MIXTURE, SIZE)[:]
        run._step(0, batch, run.feed.read(batch))
    assert torch.allclose(found[0], found[1], rtol=0, atol=1e-6) and found[0].abs().max() > 1e-2


def test_accumulation_observes_the_same():
    _, whole = play(training(1), Hears())
    _, parts = play(training(2), Hears())
    for (step, one), (_, other) in zip(whole.heard, parts.heard, strict=True):
        assert other == pytest.approx(one, rel=1e-5), f"step {step}"


def test_a_run_cut_off_observes_the_same(tmp_path):
    whole, heard = play(training(), Hears())
    states = States(tmp_path / "states", {"spec": 1}, Every.parse("1steps"))

    def cut(model, tokens):
        raise Interrupted("here")

    for at in (3, 6):
        with pytest.raises(Interrupted):
            play(training(), Hears(), states=states, watch={at: cut})
    again, controller = play(training(), Hears(), states=states)
    assert controller.heard == heard.heard
    assert again.rows == whole.rows and torch.equal(weights(again), weights(whole))


def test_an_observed_step_is_not_compiled():
    run = training()
    run.engine = Engine("fp32", True)
    play(run, Hears())
    assert not run.engine.compiled and run.engine.reason == "the method's own controller observes every step"


def test_means_by_domain():
    assert domain_means([1.0, 4.0, 2.0], ["b", "a", "b"]) == {"a": 4.0, "b": 1.5}
    with pytest.raises(ValueError, match="argument 2 is longer"):
        domain_means([1.0], ["a", "b"])
