"""UtiliMax: recorded solutions, the optimum proved against other mixtures, caps, utilities, bad input."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods import capped, utilities
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "utilimax.json").read_text())
DOMAINS = ("wiki", "books", "code", "web")
PLENTY = dict.fromkeys(DOMAINS, 10**6)


def experts(losses, domains=DOMAINS):
    """Return single-domain runs whose losses are the rows of `losses`."""
    return {
        f"only_{d}": RunResult(
            {e: float(e == d) for e in domains}, dict(zip(domains, map(float, row), strict=True)), None
        )
        for d, row in zip(domains, losses, strict=True)
    }


def solve(losses, domains=DOMAINS, counts=PLENTY, budget=1000, **params):
    params = registry.parameters("utilimax", params, "here")
    method = registry.get("utilimax")
    method.check(params, tuple(domains), {})
    (label,) = method.reads(params)
    result = method.weights(
        MethodInputs(
            tuple(domains), counts, params, 0, 10, token_budget=budget, read={label: experts(losses, domains)}
        )
    )
    (stage,) = result.schedule.stages
    assert tuple(stage.weights) == tuple(domains) and all(type(w) is float for w in stage.weights.values())
    assert abs(sum(stage.weights.values()) - 1) < 1e-12 and min(stage.weights.values()) >= 0
    assert json.loads(json.dumps(result.diagnostics)) == result.diagnostics
    return stage.weights, result.diagnostics


def noisy(seed=0, k=4):
    """Return losses of experts each of whom is best at its own domain."""
    return np.random.default_rng(seed).uniform(4, 5, (k, k)) - 1.5 * np.eye(k)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"epochs{c['max_epochs']}")
def test_recorded_solutions(case):
    caps = capped.epoch_caps(np.array(case["sizes"]), case["budget"], case["max_epochs"])
    found = utilities.invest(np.array(case["U"]), caps, len(caps))
    assert found.weights == pytest.approx(case["w"], abs=1e-7)
    assert found.objective == pytest.approx(case["objective"], abs=1e-9)


@pytest.mark.parametrize("risk", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_mixture_of_a_fine_grid_is_better(risk, seed):
    rng = np.random.default_rng(seed)
    utility, caps = utilities.utilities(rng.uniform(2, 5, (3, 3))), np.array([0.25, 0.7, 1.0])
    found = utilities.invest(utility, caps, risk)
    assert (found.weights <= caps).all() and 0 <= found.gap < 1e-6
    ticks = np.linspace(0, 1, 101)
    grid = np.array([(a, b, 1 - a - b) for a, b in product(ticks, ticks) if a + b <= 1])
    grid = grid[(grid <= caps + 1e-12).all(axis=1)]
    objective = np.linalg.norm(grid @ utility - 1, axis=1) + risk * (grid**2).sum(axis=1)
    assert found.objective <= objective.min() + 1e-7 and objective.min() < found.objective + 0.01
    assert found.objective == pytest.approx(
        np.linalg.norm(found.weights @ utility - 1) + risk * (found.weights**2).sum(), rel=1e-12
    )


@pytest.mark.parametrize("k", [2, 7, 15])
@pytest.mark.parametrize("factor", [0.0, 0.01, 1.0])
def test_the_gap_is_small_where_the_norm_has_no_gradient(k, factor):
    """One domain is best at all: the least distance is zero, at the tip of the cone."""
    losses = noisy(k, k)
    losses[1] = losses.min() - 0.2
    found = utilities.invest(utilities.utilities(losses), np.ones(k), factor * k)
    assert found.gap < 1e-6
    assert found.weights.argmax() == 1 and (factor or found.weights[1] > 1 - 1e-6)


def test_projection_onto_capped_mixtures():
    assert capped.project(np.array([0.5, 0.5]), np.ones(2)) == pytest.approx([0.5, 0.5])
    assert capped.project(np.array([2.0, 0.0, 0.0]), np.ones(3)) == pytest.approx([1, 0, 0])
    assert capped.project(np.full(3, 1 / 3), np.array([0.1, 1, 1])) == pytest.approx([0.1, 0.45, 0.45])
    full = np.array([0.25, 0.75])
    assert capped.project(np.array([9.0, -9.0]), full) == pytest.approx(full)


def test_utilities_are_shares_of_the_way_from_worst_to_best():
    losses = np.array([[1.0, 4.0, 2.0], [3.0, 2.0, 2.0], [2.0, 3.5, 2.0]])
    expected = [[1, 0, 1], [0, 1, 1], [0.5, 0.25, 1]]
    assert utilities.utilities(losses) == pytest.approx(np.array(expected)), (
        "a task that all do alike counts not"
    )


def test_the_domain_that_helps_all_has_most_and_noise_little():
    for seed in range(10):
        losses = noisy(seed)
        losses[DOMAINS.index("books")] = 3.3  # second best at everything
        losses[DOMAINS.index("web")] = 8.0 + 0.1 * np.random.default_rng(seed).normal(size=4)  # noise, at all
        for risk in (0.05, 1):
            weights, found = solve(losses, risk=risk)
            assert max(weights, key=weights.get) == "books" and found["gap"] < 1e-6, (seed, risk)
            assert weights["web"] < min(weights.values()) + 1e-6, "noise is no more than the least"
        assert weights["web"] > 0.05, "the risk keeps weights near uniform"
        weights, found = solve(losses, risk=0)
        assert max(weights, key=weights.get) == "books" and found["gap"] < 1e-6
        assert weights["books"] > 0.4 and weights["web"] < 1e-6, "and nothing does without it"


def test_alike_experts_get_alike_weights():
    losses = np.full((4, 4), 4.0)
    for risk in (0, 1):
        assert list(solve(losses, risk=risk)[0].values()) == pytest.approx([0.25] * 4, abs=1e-7)
    losses = noisy()
    losses[3] = losses[2]
    weights, _ = solve(losses, risk=0)
    assert weights["web"] == pytest.approx(weights["code"], abs=1e-5)


def test_caps_on_epochs_are_kept_and_named():
    losses = noisy()
    losses[1] = 2.0  # books: best at everything, so that the rest is shared out by the risk alone
    counts = {**PLENTY, "books": 100}
    for risk in (0, 1):
        weights, found = solve(losses, counts=counts, max_epochs=2, risk=risk)
        assert weights["books"] == pytest.approx(0.2, abs=1e-12) and weights["books"] * 1000 / 100 <= 2
        assert found["capped"] == ["books"]
    assert solve(losses, counts=counts, max_epochs=20, risk=0)[0]["books"] == pytest.approx(1, abs=1e-6)
    assert solve(losses, max_epochs=2)[1]["capped"] == []


def test_caps_that_leave_one_mixture_or_none():
    counts = dict(zip(DOMAINS, (100, 200, 300, 400), strict=True))
    weights, found = solve(noisy(), counts=counts, budget=4000)
    assert weights == pytest.approx({d: n / 1000 for d, n in counts.items()}, rel=1e-9)
    assert found["capped"] == sorted(DOMAINS)
    words = "4 passes over 1000 train tokens are less than the base run's 5000 tokens; valid: at least 5$"
    with pytest.raises(UserError, match=words):
        solve(noisy(), counts=counts, budget=5000)
    with pytest.raises(UserError, match="domain code has no train tokens"):
        solve(noisy(), counts={**counts, "code": 0})
    with pytest.raises(ValueError, match="token budget, got 0"):
        solve(noisy(), budget=0)


@pytest.mark.parametrize("risk", [0, 1])
def test_the_order_of_domains_plays_no_part(risk):
    order, counts = [2, 0, 3, 1], {**PLENTY, "code": 300}
    one, _ = solve(noisy(), counts=counts, max_epochs=1, risk=risk)
    other, _ = solve(
        noisy()[np.ix_(order, order)], [DOMAINS[i] for i in order], counts=counts, max_epochs=1, risk=risk
    )
    assert other == one


def test_one_domain_needs_no_run_and_minds_no_cap():
    method, params = registry.get("utilimax"), registry.parameters("utilimax", {}, "here")
    given = MethodInputs(("wiki",), {"wiki": 5}, params, 0, 10, token_budget=1000, read={"single_domain": {}})
    assert method.weights(given).schedule.stages[0].weights == {"wiki": 1.0}


def test_experts_of_another_label():
    method, params = registry.get("utilimax"), registry.parameters("utilimax", {"experts": "mine"}, "here")
    assert method.reads(params) == ["mine"] and method.reads(method.defaults) == ["single_domain"]
    runs = experts(noisy())
    mixed = RunResult(dict.fromkeys(DOMAINS, 0.25), dict.fromkeys(DOMAINS, 1.0), None)
    given = MethodInputs(
        DOMAINS, PLENTY, params, 0, 10, token_budget=1000, read={"mine": {**runs, "mix": mixed}}
    )
    assert method.weights(given).schedule.stages[0].weights == solve(noisy())[0], "mixtures are left out"
    del given.read["mine"]["only_books"]
    with pytest.raises(UserError, match="experts: 'mine' has no run on books alone; name a method such as"):
        method.weights(given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"experts": ""}, "utilimax.experts: '' is not the label of a method"),
        ({"risk": -1}, "utilimax.risk: -1 is not a number of at least 0"),
        ({"risk": True}, "utilimax.risk: True is not a number"),
        ({"max_epochs": 0}, "utilimax.max_epochs: 0 is not a number above 0"),
        ({"max_epochs": None}, "utilimax.max_epochs: None is not a number above 0"),
    ],
)
def test_bad_parameters(changed, words):
    with pytest.raises(UserError, match=words):
        registry.get("utilimax").check(registry.parameters("utilimax", changed, "here"), DOMAINS, {})
