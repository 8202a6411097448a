"""DoReMi: the published update's numbers, the rules for absent domains, weights that move to excess loss."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_domains import SHAPE, domains, train

from baselines.doremi import Doremi
from chameleon.core.errors import UserError
from chameleon.methods.reweighting.doremi import DoremiObjective, reference_token_factors
from chameleon.methods.reweighting.weights import TRAJECTORY_POINTS, MovingWeights, exponentiate
from chameleon.mixing.types import REFERENCE, MethodInputs, RunInputs, RunResult, StepInfo
from chameleon.training.model import Decoder, flops_per_token, save_pretrained

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "doremi_update.json").read_text())["cases"]
TOKEN_LEVEL = next(c for c in GOLDEN if "loss_example" in c)
METHOD = Doremi()


def params(**changes):
    return {**METHOD.defaults, **changes}


@pytest.mark.parametrize("reference_behaviour", [False, True])
def test_token_level_update_is_the_published_one(reference_behaviour):
    """The fourth domain is absent from one batch: its last excess counts again."""
    objective = DoremiObjective(list("abcd"), None, reference_behaviour=reference_behaviour)
    if reference_behaviour:
        objective.excess[:] = math.log(TOKEN_LEVEL["vocabulary"])
    average = "average_code" if reference_behaviour else "average_paper"
    for step in TOKEN_LEVEL["steps"]:
        excess, mask = np.clip(step["excess"], 0, None), np.array(step["mask"])
        objective.update((excess * mask).sum(1), mask.sum(1) * 1.0, np.array(step["domains"]))
        np.testing.assert_allclose(objective.excess, step["domain_excess"], rtol=1e-12)
        np.testing.assert_allclose(objective.moving.alpha, step["weights"], rtol=1e-12)
        np.testing.assert_allclose(objective.moving.average, step[average], rtol=1e-12)


def test_token_weighted_loss_is_the_published_one():
    example = TOKEN_LEVEL["loss_example"]
    mask = np.array(example["mask"])
    sampling = np.array(example["sampling"])
    # Ours is told of uniform sampling only: the ratio to it is the same.
    weights = np.array(example["weights"]) / sampling / len(sampling)
    factors = reference_token_factors(weights, mask.sum(1) * 1.0, np.array(example["domains"]))
    loss = ((np.array(example["losses"]) * mask).sum(1) * factors).sum()
    assert loss == pytest.approx(example["loss"], rel=1e-12)


@pytest.mark.parametrize("case", [c for c in GOLDEN if "loss_example" not in c], ids=lambda c: c["name"])
def test_ports_share_the_update(case):
    """DoGE's and Aioli's ports differ in the excess they measure, step size and smoothing only."""
    moving = MovingWeights([f"{i}" for i in range(len(case["steps"][0]["weights"]))])
    for step in case["steps"]:
        moving.move(case["eta"] * np.array(step["domain_excess"]), case["smoothing"])
        np.testing.assert_allclose(moving.alpha, step["weights"], rtol=1e-12)
        np.testing.assert_allclose(moving.average, step["average"], rtol=1e-12)


def test_a_domain_never_seen_keeps_its_share():
    ours = DoremiObjective(list("abc"), None, smoothing=0.0)
    ours.update(np.array([20.0, 5.0]), np.array([10.0, 10.0]), np.array([0, 1]))
    a, b, c = ours.moving.alpha
    assert c == pytest.approx(1 / 3) and a / b == pytest.approx(math.exp(1.5))
    theirs = DoremiObjective(list("abc"), None, smoothing=0.0, reference_behaviour=True)
    theirs.excess[:] = math.log(50_000)
    theirs.update(np.array([20.0, 5.0]), np.array([10.0, 10.0]), np.array([0, 1]))
    assert theirs.moving.alpha[2] > 0.999  # what the default avoids


def test_nothing_measured_moves_nothing():
    moving = MovingWeights(["b", "a"])
    np.testing.assert_array_equal(moving.move(np.array([np.nan, np.nan])), [0.5, 0.5])


def test_huge_exponents_stay_on_the_simplex():
    alpha = exponentiate(np.array([0.5, 0.5]), np.array([5000.0, 0.0]))
    np.testing.assert_allclose(exponentiate(alpha, np.array([0.0, 10.0])), [1, 0], atol=1e-12)
    np.testing.assert_allclose(exponentiate(np.array([0.5, 0.5]), np.array([5000.0, 0.0]), 0.1), [0.95, 0.05])


def test_trajectory_is_thinned_and_keeps_both_ends():
    moving = MovingWeights(["a", "b"])
    for _ in range(333):
        moving.move(np.array([0.01, 0.0]))
    trajectory = json.loads(json.dumps(moving.outcome()))["trajectory"]
    assert len(trajectory["steps"]) == len(trajectory["weights"]["a"]) == TRAJECTORY_POINTS
    assert trajectory["steps"][0] == 1 and trajectory["steps"][-1] == 333
    assert trajectory["weights"]["a"][-1] == pytest.approx(moving.alpha[0], abs=1e-8)
    assert trajectory["weights"]["a"] == sorted(trajectory["weights"]["a"])


INFO = StepInfo(0, 10, 1.0, 0.01, 1.0)


def test_gradient_weighs_domain_means():
    """Σ_i α_i · (mean loss of domain i), with the new α; excess is clipped token by token."""
    proxy, reference = Decoder(SHAPE).initialise(0), Decoder(SHAPE).initialise(1)
    tokens = torch.randint(32, (3, 17), generator=torch.Generator().manual_seed(0))
    objective = DoremiObjective(["a", "b"], None, reference=reference, smoothing=0.0)
    mean = objective.step(proxy, tokens[:, :-1], tokens[:, 1:], ["b", "a", "b"], INFO)
    got = [p.grad.clone() for p in proxy.parameters()]
    losses = proxy(tokens[:, :-1], tokens[:, 1:])
    with torch.no_grad():
        excess = (losses - reference(tokens[:, :-1], tokens[:, 1:])).clamp(min=0)
    lambdas = np.array([float(excess[1].mean()), float(excess[[0, 2]].mean())])
    alpha = np.exp(lambdas) / np.exp(lambdas).sum()
    np.testing.assert_allclose(objective.moving.alpha, alpha, rtol=1e-6)
    proxy.zero_grad()
    (alpha[0] * losses[1].mean() + alpha[1] * losses[[0, 2]].mean()).backward()
    for want, have in zip(proxy.parameters(), got, strict=True):
        torch.testing.assert_close(have, want.grad, rtol=1e-4, atol=1e-7)
    assert mean == pytest.approx(losses.mean().item(), rel=1e-6)
    assert objective.extra_flops == flops_per_token(SHAPE, training=False) * 48
    assert all(p.grad is None for p in reference.parameters())


def test_a_batch_in_parts_gives_the_same_weights_and_gradient():
    proxy, reference = Decoder(SHAPE).initialise(0), Decoder(SHAPE).initialise(1)
    tokens = torch.randint(32, (5, 17), generator=torch.Generator().manual_seed(0))
    found = []
    for parts in (1, 2, 5):
        objective = DoremiObjective(["a", "b"], None, reference=reference)
        info = replace(INFO, parts=parts)
        mean = objective.step(proxy, tokens[:, :-1], tokens[:, 1:], ["b", "a", "b", "a", "a"], info)
        found.append((mean, objective, [p.grad.clone() for p in proxy.parameters()]))
        proxy.zero_grad()
    for mean, objective, gradient in found[1:]:
        assert mean == pytest.approx(found[0][0], rel=1e-6)
        np.testing.assert_allclose(objective.moving.alpha, found[0][1].moving.alpha, rtol=1e-5)
        for got, want in zip(gradient, found[0][2], strict=True):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)
        assert objective.extra_flops == 2 * found[0][1].extra_flops, "one more forward pass"


@pytest.mark.parametrize("reference_behaviour", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_weights_move_to_the_domain_with_excess_loss(seed, reference_behaviour):
    """The reference knows how to predict one domain; no model can predict the others."""
    streams = domains({"learnable": 1, "noise": None, "static": None}, seed)
    reference = train(streams, steps=120, seed=seed).model
    objective = DoremiObjective(
        list(streams), None, reference=reference, reference_behaviour=reference_behaviour
    )
    train(streams, objective, steps=20, seed=seed)
    average = objective.outcome()["average"]
    assert average["learnable"] > 0.7 and max(average["noise"], average["static"]) < 0.15


def test_same_seed_same_outcome_in_any_order():
    streams = domains({"a": 1, "b": 2, "c": None}, 0)
    reference = train(streams, steps=10).model
    found = []
    for given in (streams, streams, dict(reversed(streams.items()))):
        objective = DoremiObjective(list(given), None, reference=reference)
        train(given, objective, steps=6)
        found.append(objective.outcome())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("names", [("only",), ("b", "a")])
def test_one_and_two_domains_from_a_checkpoint(names, tmp_path):
    streams = domains({d: i for i, d in enumerate(names)}, 0)
    save_pretrained(train(streams, steps=2).model, tmp_path, eos_token_id=0)
    objective = METHOD.objective(run_inputs(names, tmp_path))
    train(streams, objective, steps=3)
    outcome = objective.outcome()
    assert sum(outcome["average"].values()) == pytest.approx(1) and set(outcome["excess"]) == set(names)
    assert np.isfinite(list(outcome["average"].values())).all()


def run_inputs(names, folder=None):
    run = METHOD.extra_runs(names, params(), 0)[0]
    earlier = {REFERENCE: RunResult({}, {}, folder)}
    return RunInputs(run, names, dict.fromkeys(names, 1000), params(), 0, earlier)


def test_runs_of_two_rounds():
    first, reference, second = METHOD.extra_runs(("a", "b"), params(rounds=2), 0)
    assert first.run_id == "proxy" and first.after == (REFERENCE,) and first.objective
    assert reference.run_id == "reference_2" and reference.weights is None and not reference.objective
    assert reference.after == ("proxy",)
    assert second.run_id == "proxy_2" and second.after == ("reference_2",) and second.objective
    assert first.weights == second.weights == {"a": 0.5, "b": 0.5}
    earlier = {"proxy": RunResult({}, {}, None, outcome(0.7))}
    inputs = RunInputs(reference, ("b", "a"), {}, params(rounds=2), 0, earlier)
    assert METHOD.run_weights(inputs) == {"b": pytest.approx(0.3), "a": 0.7}


def test_own_steps_bring_a_reference_of_that_length():
    reference, first, again, second = METHOD.extra_runs(("a", "b"), params(rounds=2, steps=70), 0)
    assert (reference.run_id, reference.after) == ("reference_1", ()) and not reference.objective
    assert reference.weights == first.weights == {"a": 0.5, "b": 0.5} and first.objective
    assert first.after == ("reference_1",) and second.after == ("reference_2",)
    assert {run.steps for run in (reference, first, again, second)} == {70}
    assert {run.steps for run in METHOD.extra_runs(("a", "b"), params(rounds=2), 0)} == {None}


def outcome(a):
    moving = MovingWeights(["a", "b"])
    moving.move(np.log([a / 0.5, (1 - a) / 0.5]))
    return {**moving.outcome(), "excess": {"a": 0.1, "b": None}}


@pytest.mark.parametrize(
    "averages, round_number, settled",
    [
        ([0.7], 1, False),
        ([0.5003], 1, True),
        ([0.7, 0.9], 2, False),
        ([0.7, 0.7004, 0.9], 2, True),  # later rounds do not count
    ],
)
def test_the_first_settled_round_answers(averages, round_number, settled):
    names = ("b", "a")
    runs = {
        "proxy" if n == 0 else f"proxy_{n + 1}": RunResult({}, {}, None, outcome(a))
        for n, a in enumerate(averages)
    }
    inputs = MethodInputs(names, {}, params(rounds=len(averages)), 0, 10, runs=runs)
    answer = METHOD.weights(inputs)
    weights = answer.schedule.stages[0].weights
    assert weights["a"] == pytest.approx(averages[round_number - 1]) and list(weights) == ["b", "a"]
    assert answer.diagnostics["round"] == round_number and answer.diagnostics["settled"] is settled
    json.dumps(answer.diagnostics, allow_nan=False)


def test_another_vocabulary_is_refused():
    from dataclasses import replace

    reference = Decoder(replace(SHAPE, vocab_size=31))
    objective = DoremiObjective(["a"], None, reference=reference)
    tokens = torch.zeros(1, 16, dtype=torch.long)
    with pytest.raises(ValueError, match="vocabulary of 31, proxy 32"):
        objective.step(Decoder(SHAPE), tokens, tokens, ["a"], INFO)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"eta": -1}, "eta: -1 is not a number of at least 0"),
        ({"smoothing": 1.5}, "smoothing: 1.5 is not a number of at least 0 and at most 1"),
        ({"rounds": 0}, "rounds: 0"),
        ({"steps": 0}, "doremi: steps: 0"),
        ({"steps": 2.5}, "doremi: steps: 2.5"),
        ({"tolerance": "x"}, "tolerance: 'x'"),
        ({"reference_behaviour": "yes"}, "reference_behaviour: 'yes' is not true or false"),
    ],
)
def test_refuses_what_cannot_work(changes, words):
    with pytest.raises(UserError, match=words):
        METHOD.check(params(**changes), ("a", "b"), {})
    METHOD.check(params(), ("a", "b"), {})
