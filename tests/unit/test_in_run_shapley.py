"""In-Run Data Shapley: values that are the first-order change of the target's loss, weights from values."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_domains import SHAPE, VOCABULARY, domains, train

from baselines.doge import Doge
from baselines.in_run_shapley import InRunDataShapley
from chameleon.core.artifacts import dumps
from chameleon.core.errors import UserError
from chameleon.methods.gradients.in_run import InRunShapley, weights_of
from chameleon.mixing.types import MethodInputs, RunInputs, RunResult, StepInfo, StepSize
from chameleon.training.model import Decoder

METHOD = InRunDataShapley()
NAMES = ("a", "b", "c")
#: Blocks of a batch, by domain: uneven, and in no order.
BATCH = ["b", "a", "b", "c", "b"]


def params(**changes):
    return {**METHOD.defaults, **changes}


def tokens(blocks, seed):
    ids = torch.randint(VOCABULARY, (blocks, 13), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1], ids[:, 1:]


def info(step=0, eta=0.1, names=NAMES, parts=1):
    """Where a run stands; the target's blocks are those of the step."""

    def draw(count):
        return *tokens(count, 1000 + step), [names[i % len(names)] for i in range(count)]

    return StepInfo(step, 20, 1.0, eta, 1.0, draw, parts)


def model():
    net = Decoder(SHAPE).initialise(0).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return net


def flat(net):
    return torch.cat([p.grad.flatten() for p in net.parameters()])


def plain(net, inputs, targets):
    """Return the mean loss and its gradient, by autograd."""
    net.zero_grad()
    loss = net(inputs, targets).mean()
    loss.backward()
    return float(loss.detach()), flat(net).clone()


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("target", [None, "b"])
def test_values_sum_to_the_fall_of_the_target_s_loss_under_sgd(target, parts):
    """Float64: to first order within 1e-9 of its size; of a small step that was really taken within 1e-3."""
    eta, net, (inputs, targets) = 1e-4, model(), tokens(len(BATCH), 3)
    objective = InRunShapley(NAMES, target=target)
    loss = objective.step(net, inputs, targets, BATCH, info(eta=eta, parts=parts))
    left, values = flat(net).clone(), objective.outcome()["total"]
    mean, gradient = plain(net, inputs, targets)
    assert loss == pytest.approx(mean, rel=1e-9)
    assert float((left - gradient).norm()) < 1e-9 * float(gradient.norm()), "an ordinary step's gradient"
    if target is None:
        of_target = tokens(len(BATCH), 1000)
    else:
        more = tokens(3 * len(BATCH), 1000)
        of_target = tuple(x[NAMES.index(target) :: 3] for x in more)
    before, theirs = plain(net, *of_target)
    assert sum(values.values()) == pytest.approx(eta * float(gradient @ theirs), rel=1e-9)
    for name, value in values.items():
        mine = [i for i, d in enumerate(BATCH) if d == name]
        _, own = plain(net, inputs[mine], targets[mine])
        assert value == pytest.approx(eta * len(mine) / len(BATCH) * float(own @ theirs), rel=1e-8)
    with torch.no_grad():
        at = 0
        for p in net.parameters():
            p -= eta * left[at : at + p.numel()].view_as(p)
            at += p.numel()
    after, _ = plain(net, *of_target)
    assert sum(values.values()) == pytest.approx(before - after, rel=1e-3)


RULES = {"target": 1, "twin": 1, "other": 2, "third": 3, "noise": None}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("rule", "per"), [("positive", "token"), ("softmax", "total")])
def test_the_target_s_twin_gets_more_than_noise(rule, per, seed):
    streams = domains(RULES, seed)
    objective = InRunShapley(list(streams), target="target", per=per, rule=rule)
    run = train(streams, objective, seed=seed)
    found = objective.outcome()
    weights, value = found["weights"], found["value"]
    assert weights["twin"] > 1.3 * max(weights[d] for d in ("other", "third", "noise"))
    assert value["twin"] - value["noise"] > 3 * np.hypot(
        found["value_error"]["twin"], found["value_error"]["noise"]
    )
    assert sum(weights.values()) == pytest.approx(1) and run.rows[-1][3] < run.rows[0][3]
    path = found["trajectory"]
    assert path["steps"][-1] == 40 and path["weights"]["twin"][-1] == pytest.approx(weights["twin"], abs=1e-8)
    assert sum(found["blocks"].values()) == 40 * 8 and objective.extra_flops > 0


def test_training_is_that_of_a_plain_run():
    """Up to rounding: nothing of the target's blocks reaches the model."""
    streams = domains({"a": 1, "b": 2, "c": None}, 0)
    own, without = train(streams, InRunShapley(list(streams))), train(streams)
    assert own.rows[-1][3] == pytest.approx(without.rows[-1][3], rel=1e-3)


def test_going_on_from_a_state_is_the_same_to_the_bit():
    def play(net, objective, first, last):
        for step in range(first, last):
            batch = [NAMES[i] for i in np.random.default_rng(step).integers(3, size=5)]
            objective.step(net, *tokens(5, step), batch, info(step, eta=0.3 - 0.01 * step))
            with torch.no_grad():
                for p in net.parameters():
                    p -= 0.3 * p.grad
                    p.grad = None

    whole, net = InRunShapley(NAMES), model()
    play(net, whole, 0, 5)
    state, halfway = copy.deepcopy(whole.state()), copy.deepcopy(net)
    play(net, whole, 5, 10)
    rest = InRunShapley(NAMES)
    rest.restore(state)
    play(halfway, rest, 5, 10)
    assert dumps(rest.outcome()) == dumps(whole.outcome()) and rest.extra_flops == whole.extra_flops
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), halfway.parameters(), strict=True))


def test_blocks_count_by_token_or_in_all():
    """Two steps by hand; b has three times a's blocks, and no block of c is seen."""
    products = np.array([[4.0, 0.0, 2.0], [0.0, 4.0, 1.0], [2.0, 1.0, 9.0]])
    by_token, in_all = InRunShapley(NAMES), InRunShapley(NAMES, per="total")
    for objective in (by_token, in_all):
        for eta in (0.4, 0.2):
            objective.take(products, ["a", "b"], np.array([1.0, 3.0]), eta)
    total = np.array([0.6 * 0.25 * 2, 0.6 * 0.75 * 1])
    np.testing.assert_allclose(by_token.values()[:2], total / [2, 6], rtol=1e-12)
    np.testing.assert_allclose(in_all.values()[:2], total, rtol=1e-12)
    assert np.isnan(by_token.values()[2]) and by_token.outcome()["value"]["c"] is None
    assert by_token.outcome()["weights"]["c"] == pytest.approx(1 / 3), "the mean of the others"
    steps = np.array([0.4, 0.2]) * 0.25 * 2
    assert in_all.outcome()["value_error"]["a"] == pytest.approx(np.sqrt(2) * steps.std())


def test_values_become_weights():
    v = np.array([3.0, 1.0, -2.0])
    np.testing.assert_allclose(weights_of(v, "positive", 1.0), [0.75, 0.25, 0.0])
    np.testing.assert_allclose(weights_of(-np.abs(v), "positive", 1.0), 1 / 3)
    expected = np.exp(v / (0.5 * v.std()))
    np.testing.assert_allclose(weights_of(v, "softmax", 0.5), expected / expected.sum())
    np.testing.assert_allclose(weights_of(np.full(3, 2.0), "softmax", 0.5), 1 / 3)
    for rule in ("positive", "softmax"):
        np.testing.assert_allclose(weights_of(1e-9 * v, rule, 1.0), weights_of(v, rule, 1.0))
        np.testing.assert_allclose(weights_of(np.full(3, np.nan), rule, 1.0), 1 / 3)


def test_the_method_answers_with_the_run_s_weights():
    method_params = params(target="b", rule="softmax", temperature=2.0)
    (run,) = METHOD.extra_runs(NAMES, method_params, 0)
    assert run.objective and run.weights == pytest.approx(dict.fromkeys(NAMES, 1 / 3)) and not run.swarm
    counts = dict.fromkeys(NAMES, 100)
    objective = METHOD.objective(RunInputs(run, NAMES, counts, method_params, 0, {}))
    assert (objective.target, objective.per, objective.rule, objective.temperature) == (
        "b",
        "token",
        "softmax",
        2.0,
    )
    streams = domains({"a": 1, "b": 2, "c": None}, 0)
    train(streams, objective, steps=6)
    outcome = json.loads(dumps(objective.outcome()))
    runs = {run.run_id: RunResult(run.weights, dict.fromkeys(NAMES, 3.0), None, outcome)}
    for order in (NAMES, NAMES[::-1]):
        inputs = MethodInputs(order, counts, method_params, 0, 100, runs=runs)
        result = METHOD.weights(inputs)
        assert result.schedule.stages[0].weights == outcome["weights"]
        assert tuple(result.schedule.stages[0].weights) == order
        assert set(result.diagnostics) == {"trajectory", "value", "value_error", "total", "blocks"}


def test_one_domain_needs_no_run():
    assert METHOD.extra_runs(("a",), params(), 0) == []
    inputs = MethodInputs(("a",), {"a": 10}, params(), 0, 100)
    assert METHOD.weights(inputs).schedule.stages[0].weights == {"a": 1.0}


def test_it_holds_what_doge_holds():
    doge, size = Doge(), StepSize(64, 512, 1, 7, 10**6, 2048, 2, 1000, 96)
    for parts in (1, 4):
        step = replace(size, parts=parts)
        assert METHOD.objective_bytes(params(), step) == doge.objective_bytes(doge.defaults, step) > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"target": "d"}, "target: 'd' is not one of a, b, c"),
        ({"per": "block"}, "per: 'block' is not one of token, total"),
        ({"rule": ["softmax"]}, r"rule: \['softmax'\] is not one of positive, softmax"),
        ({"temperature": 0}, "temperature: 0 is not a number above 0"),
        ({"steps": 0.5}, "steps: 0.5 is not a whole number of at least 1, or null"),
    ],
)
def test_bad_parameters_are_refused(given, words):
    with pytest.raises(UserError, match=f"^method in_run_shapley: {words}"):
        METHOD.check(params(**given), NAMES, {})
