"""DoGE: the published update's numbers, the paper's formula, and weights that move to where they should."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from separate_gradients import naive
from synthetic_domains import SHAPE, domains, train

from baselines.doge import Doge
from chameleon.core.errors import UserError
from chameleon.methods.reweighting import domain_gradients
from chameleon.methods.reweighting.doge import DogeObjective, clip_factors, reference_scores
from chameleon.methods.reweighting.domain_gradients import captured
from chameleon.mixing.types import MethodInputs, RunInputs, RunResult, StepInfo
from chameleon.training.model import Decoder

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "doge_update.json").read_text())
METHOD = Doge()


def params(**changes):
    return {**METHOD.defaults, **changes}


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: c["name"])
def test_reference_update_is_the_published_one(case):
    raw = np.array(case["gradients"])
    clipped = raw * clip_factors(raw @ raw.T, case["max_grad_norm"])[:, None]
    names = [f"{i:02d}" for i in range(len(raw))]
    (target,) = case["target"]
    objective = DogeObjective(
        names,
        target=names[target],
        variant="reference",
        mu=case["mu"],
        max_grad_norm=case["max_grad_norm"],
        score_min=case["score_min"],
        score_max=case["score_max"],
    )
    train_rows = [i for i in range(len(raw)) if i != target]
    for step, scale in enumerate(case["scales"]):
        g = raw if step == 0 else clipped * scale
        factors = objective.update(g @ g.T, names, case["lr"])
        products = (clipped * scale) @ (clipped * scale).T
        scores = reference_scores(products, np.array(train_rows), np.array([target]))
        np.testing.assert_allclose(scores, case["scores"][step], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(
            products[np.ix_(train_rows, [target])], case["inner_products"][step], rtol=1e-6
        )
        np.testing.assert_allclose(objective.moving.alpha, case["weights"][step], rtol=1e-7)
        np.testing.assert_allclose(objective.moving.average, case["average"][step], rtol=1e-7)
        assert factors[target] == 0
        np.testing.assert_allclose(
            factors[train_rows],
            objective.moving.alpha * clip_factors(g @ g.T, case["max_grad_norm"])[train_rows],
        )


def test_paper_update_is_the_formula():
    g = np.random.default_rng(0).normal(size=(3, 5))
    objective = DogeObjective(["a", "b", "c"], mu=0.3, target_batch="same")
    objective.update(g @ g.T, ["a", "b", "c"], 0.02)
    expected = np.exp(0.02 * (g @ g.sum(0)) / 0.3)
    np.testing.assert_allclose(objective.moving.alpha, expected / expected.sum(), rtol=1e-12)


def test_the_target_is_the_independent_batch():
    """Its row is a mean; the formula's target is a sum over all domains, the reference's the mean."""
    g = np.random.default_rng(0).normal(size=(4, 5))
    objective = DogeObjective(["a", "b", "c"], mu=0.3)
    factors = objective.update(g @ g.T, ["a", "b", "c"], 0.02)
    expected = np.exp(0.02 * 3 * (g[:3] @ g[3]) / 0.3)
    np.testing.assert_allclose(objective.moving.alpha, expected / expected.sum(), rtol=1e-12)
    np.testing.assert_array_equal(factors, objective.moving.alpha)
    found = objective.outcome()
    own, batch = (g[:3] ** 2).sum(1), g[:3] @ g[:3].sum(0)
    assert list(found["self_share"].values()) == pytest.approx((own / batch).tolist())
    assert list(found["mean_score"].values()) == pytest.approx((3 * g[:3] @ g[3]).tolist())
    reference = DogeObjective(["a", "b", "c"], mu=0.3, variant="reference", score_min=-9, score_max=9)
    reference.update(g @ g.T, ["a", "b", "c"], 0.02)
    clipped = g * np.minimum(1, 5 / np.linalg.norm(g, axis=1))[:, None]
    scores = clipped[:3] @ clipped[3] / np.linalg.norm(clipped[:3], axis=1).mean()
    np.testing.assert_allclose(reference.scores, scores, rtol=1e-5)


def test_absent_domains():
    """Unseen: the share stays. Seen before: the last score counts. No target in the batch: nothing moves."""
    objective = DogeObjective(["a", "b", "c"], mu=1.0, target_batch="same")
    objective.update(np.array([[1.0, 0.0], [0.0, 3.0]]), ["a", "b"], 0.5)
    a, b, c = objective.moving.alpha
    assert c == pytest.approx(1 / 3) and b / a == pytest.approx(np.exp(0.5 * 2))
    objective.update(np.array([[2.0]]), ["c"], 0.5)
    moved = np.array([a, b, c]) * np.exp(0.5 * np.array([1, 3, 2]))
    np.testing.assert_allclose(objective.moving.alpha, moved / moved.sum(), rtol=1e-12)
    targeted = DogeObjective(["a", "b", "t"], target="t")
    factors = targeted.update(np.eye(2), ["a", "b"], 0.5)
    np.testing.assert_array_equal(targeted.moving.alpha, [0.5, 0.5])
    np.testing.assert_array_equal(factors, [0.5, 0.5])


RULES = {"target": 1, "twin": 1, "other": 2, "third": 3, "noise": None}


@pytest.mark.parametrize("variant, mu", [("paper", 0.02), ("reference", 0.005)])
@pytest.mark.parametrize("seed", [0, 1])
def test_out_of_domain_form_finds_the_target_s_twin(variant, mu, seed):
    streams = domains(RULES, seed)
    objective = DogeObjective(list(streams), target="target", variant=variant, mu=mu, step_size=5e-4 * 10)
    run = train(streams, objective, seed=seed)
    average = objective.outcome()["average"]
    assert set(average) == {"twin", "other", "third", "noise"}
    assert average["twin"] > 1.3 * max(average[d] for d in average if d != "twin")
    assert run.rows[-1][3] < run.rows[0][3]


COMMON = ("one", "two", "three", "four")
LANGUAGES = {**dict.fromkeys(COMMON, 1), "alone": 2, "noise": None}


def test_universal_form_prefers_domains_that_help_each_other():
    """Four domains of one language, one of another, one of noise: in order in 9 of 10 seeds.

    Early in training: once the common language is learnt, the other one has the larger gradients.
    """
    right = 0
    for seed in range(10):
        streams = domains(LANGUAGES, seed)
        objective = DogeObjective(list(streams), mu=0.01, step_size=5e-4)
        train(streams, objective, steps=15, seed=seed)
        average = objective.outcome()["average"]
        right += min(average[d] for d in COMMON) > average["alone"] > average["noise"]
    assert right >= 9


def test_a_pass_per_domain_gives_the_same(monkeypatch):
    streams = domains({"a": 1, "b": 2, "c": None}, 0)
    outcomes = []
    for form in (captured, naive, captured):
        monkeypatch.setattr(domain_gradients, "captured", form)
        objective = DogeObjective(list(streams), mu=0.02, step_size=5e-3)
        train(streams, objective, steps=10)
        outcomes.append(objective.outcome())
        assert objective.extra_flops > 0
    assert outcomes[0] == outcomes[2]
    for domain, weight in outcomes[1]["average"].items():
        assert outcomes[0]["average"][domain] == pytest.approx(weight, abs=1e-5)


def test_order_of_domains_changes_no_bit():
    streams = domains({"a": 1, "b": 2, "c": None}, 0)
    turned = dict(reversed(streams.items()))
    found = []
    for given in (streams, turned):
        objective = DogeObjective(list(given), mu=0.02, step_size=5e-3)
        train(given, objective, steps=6)
        found.append(objective.outcome())
    assert found[0] == found[1]


@pytest.mark.parametrize("names", [["only"], ["a", "b"]])
def test_one_and_two_domains(names):
    streams = domains({d: i for i, d in enumerate(names)}, 0)
    objective = METHOD.objective(run_inputs(tuple(names)))
    train(streams, objective, steps=3)
    average = objective.outcome()["average"]
    assert sum(average.values()) == pytest.approx(1) and set(average) == set(names)


def run_inputs(names, **changes):
    (run,) = METHOD.extra_runs(names, params(**changes), 0)
    return RunInputs(run, names, dict.fromkeys(names, 1000), params(**changes), 0, {})


def test_method_answers_with_the_average_and_zero_for_the_target():
    names = ("c", "a", "b")
    objective = METHOD.objective(run_inputs(names, target="b", variant="reference"))
    objective.update(np.eye(3) + 0.5, ["a", "b", "c"], 1.0)
    result = RunResult(dict.fromkeys(names, 1 / 3), {}, None, objective.outcome())
    inputs = MethodInputs(names, {}, params(target="b"), 0, 10, runs={"proxy": result})
    answer = METHOD.weights(inputs)
    weights = answer.schedule.stages[0].weights
    assert list(weights) == list(names) and weights["b"] == 0
    assert json.loads(json.dumps(answer.diagnostics))["trajectory"]["steps"] == [1]


def test_steps_are_those_of_the_proxy_run():
    assert [METHOD.extra_runs(("a", "b"), params(steps=n), 0)[0].steps for n in (None, 70)] == [None, 70]


def test_step_size_follows_the_schedule():
    tokens = torch.randint(32, (3, 17), generator=torch.Generator().manual_seed(0))

    def draw(count):
        return tokens[:count, 1:], tokens[:count, :-1], ["a", "b", "a"][:count]

    info = StepInfo(0, 10, lr_factor=0.5, learning_rate=0.01, grad_clip=1.0, draw=draw)
    seen = []
    for step_size in (None, 0.02):  # 0.02 * 0.5 is the rate of `info`
        objective = DogeObjective(["a", "b"], step_size=step_size)
        objective.step(Decoder(SHAPE).initialise(0), tokens[:, :-1], tokens[:, 1:], ["a", "b", "a"], info)
        seen.append(objective.moving.alpha)
    np.testing.assert_array_equal(*seen)
    objective = DogeObjective(["a", "b"], step_size=0.02)
    later = replace(info, lr_factor=1.0)
    objective.step(Decoder(SHAPE).initialise(0), tokens[:, :-1], tokens[:, 1:], ["a", "b", "a"], later)
    assert np.log(objective.moving.alpha[0] / objective.moving.alpha[1]) == pytest.approx(
        2 * np.log(seen[0][0] / seen[0][1]), rel=1e-4
    )


@pytest.mark.parametrize("target_batch", ["independent", "same"])
def test_a_batch_in_parts_gives_the_same_weights_and_gradient(target_batch):
    tokens = torch.randint(32, (9, 17), generator=torch.Generator().manual_seed(0))

    def draw(count):
        return tokens[-count:, :-1], tokens[-count:, 1:], ["a", "b", "a", "b", "a"][:count]

    proxy, found = Decoder(SHAPE).initialise(0), []
    for parts in (1, 2, 5):
        objective = DogeObjective(["a", "b"], step_size=0.02, target_batch=target_batch)
        info = StepInfo(0, 10, lr_factor=0.5, learning_rate=0.01, grad_clip=1.0, draw=draw, parts=parts)
        mean = objective.step(proxy, tokens[:5, :-1], tokens[:5, 1:], ["a", "b", "a", "b", "a"], info)
        found.append((mean, objective.moving.alpha, [p.grad.clone() for p in proxy.parameters()]))
    for mean, alpha, gradient in found[1:]:
        assert mean == pytest.approx(found[0][0], rel=1e-6)
        np.testing.assert_allclose(alpha, found[0][1], rtol=1e-5)
        for got, want in zip(gradient, found[0][2], strict=True):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "changes, names, words",
    [
        ({"variant": "plain"}, ("a", "b"), "'plain' is not one of paper, reference"),
        ({"target_batch": "other"}, ("a", "b"), "'other' is not one of independent, same"),
        ({"target": "z"}, ("a", "b"), "'z' is not one of a, b"),
        ({"target": "a"}, ("a",), "the only domain"),
        ({"mu": 0}, ("a", "b"), "mu: 0 is not a number above 0"),
        ({"mu": float("nan")}, ("a", "b"), "mu: nan is not a number above 0"),
        ({"step_size": "fast"}, ("a", "b"), "step_size: 'fast'"),
        ({"steps": 0}, ("a", "b"), "doge: steps: 0"),
        ({"steps": "many"}, ("a", "b"), "doge: steps: 'many'"),
        ({"score_min": 5}, ("a", "b"), "rising pair"),
    ],
)
def test_refuses_what_cannot_work(changes, names, words):
    with pytest.raises(UserError, match=words):
        METHOD.check(params(**changes), names, {})
    METHOD.check(params(step_size=None), names, {})
