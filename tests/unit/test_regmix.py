"""RegMix the method: its swarm, its answer on known laws, parameters, tiny and odd cases."""

import numpy as np
import pytest

from chameleon.core.artifacts import dumps
from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

DOMAINS = ("wiki", "code", "books", "news", "papers")
COUNTS = dict.fromkeys(DOMAINS, 1000)
FACTS = {"tokenizer_fingerprint": "0" * 64}
#: Own rate of learning per domain and what the others give it: the optimum is far from uniform.
RATES = {"wiki": 8.0, "code": 1.0, "books": 6.0, "news": 0.5, "papers": 4.0}
SIZES = {"wiki": 2.0, "code": 0.2, "books": 1.5, "news": 0.1, "papers": 1.0}


def law(weights):
    """L_i = 2 + b_i exp(−a_i p_i) for each domain."""
    return {d: float(2 + SIZES[d] * np.exp(-RATES[d] * weights[d])) for d in weights}


def mean_loss(weights):
    return float(np.mean(list(law(weights).values())))


def optimum():
    """Lagrange: a_i b_i exp(−a_i p_i) = μ where p_i > 0; bisection on log μ."""
    a, b = (np.array([t[d] for d in DOMAINS]) for t in (RATES, SIZES))
    low, high = -20.0, 20.0
    for _ in range(200):
        middle = (low + high) / 2
        p = np.maximum(np.log(a * b) - middle, 0) / a
        low, high = (middle, high) if p.sum() > 1 else (low, middle)
    return dict(zip(DOMAINS, p / p.sum(), strict=True))


def parameters(**given):
    return registry.parameters("regmix", {"candidates": 3000, "folds": 4, **given}, "here")


def inputs(seed=0, domains=DOMAINS, losses=law, noise=0.01, runs_for=None, **given):
    method, params = registry.get("regmix"), parameters(**given)
    method.check(params, tuple(domains), FACTS)
    runs, rng = {}, np.random.default_rng(seed)
    for run in method.extra_runs(tuple(runs_for or domains), params, seed):
        found = {d: v + noise * rng.normal() for d, v in sorted(losses(run.weights).items())}
        runs[run.run_id] = RunResult(dict(run.weights), found, None)
    return MethodInputs(tuple(domains), COUNTS, params, seed, 100, runs=runs)


def solve(seed=0, **given):
    return registry.get("regmix").weights(inputs(seed, **given))


def test_what_it_foretells_of_other_mixtures():
    """In the order of their true losses."""
    best = solve().schedule.stages[0].weights
    mixtures = {
        "even": dict.fromkeys(DOMAINS, 1 / len(DOMAINS)),
        "best": best,
        "worst": {d: float(d == min(best, key=best.get)) for d in DOMAINS},
    }
    told = registry.get("regmix").foretell(inputs(), mixtures)
    means = {label: np.mean(list(law(w).values())) for label, w in mixtures.items()}
    assert sorted(told, key=told.get) == sorted(means, key=means.get)
    assert registry.get("regmix").foretell(inputs(target="books"), mixtures) == {}


def distance(p, q):
    return sum(abs(p[d] - q[d]) for d in p)


def test_the_swarm():
    method = registry.get("regmix")
    params = parameters(num_proxies=12, steps=7, scale="tiny")
    runs = method.extra_runs(DOMAINS, params, 3)
    assert [run.run_id for run in runs] == [f"mix{i:03d}" for i in range(12)]
    assert all(
        r.swarm and not r.objective and r.after == () and (r.steps, r.scale) == (7, "tiny") for r in runs
    )
    assert len({tuple(r.weights.values()) for r in runs}) == 12
    assert all(
        tuple(r.weights) == DOMAINS and sum(r.weights.values()) == pytest.approx(1, abs=1e-12) for r in runs
    )
    assert runs == method.extra_runs(DOMAINS, params, 3) != method.extra_runs(DOMAINS, params, 4)
    assert len(method.extra_runs(DOMAINS, parameters(), 3)) == 64, "the issue asks for at least 64"


def test_the_order_of_domains_plays_no_part():
    method, moved = registry.get("regmix"), DOMAINS[::-1]
    for one, other in zip(
        method.extra_runs(DOMAINS, parameters(), 3), method.extra_runs(moved, parameters(), 3), strict=True
    ):
        assert one.weights == other.weights and tuple(other.weights) == moved
    one, other = solve(), solve(domains=moved)
    assert one.schedule.stages[0].weights == other.schedule.stages[0].weights
    assert tuple(other.schedule.stages[0].weights) == moved and one.diagnostics == other.diagnostics


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_proposal_is_nearer_to_the_optimum_than_uniform(seed):
    """64 noisy runs: at most 60 % of uniform's distance, half of its excess loss."""
    best, uniform = optimum(), dict.fromkeys(DOMAINS, 1 / len(DOMAINS))
    assert distance(uniform, best) > 0.5 and mean_loss(uniform) - mean_loss(best) > 0.05
    result = solve(seed)
    found = result.schedule.stages[0].weights
    assert distance(found, best) < 0.6 * distance(uniform, best)
    assert mean_loss(found) - mean_loss(best) < 0.5 * (mean_loss(uniform) - mean_loss(best))
    assert result.diagnostics["heldout_spearman"] > 0.8


def test_the_log_linear_law_finds_the_optimum_of_its_own_kind():
    found = solve(noise=0.0, regression="log_linear", top=10, folds=2).schedule.stages[0].weights
    assert distance(found, optimum()) < 0.15


def test_one_target_gets_nearly_all():
    result = solve(target="books")
    weights = result.schedule.stages[0].weights
    assert max(weights, key=weights.get) == "books" and weights["books"] > 0.5
    assert result.diagnostics["importance"]["books"] == max(result.diagnostics["importance"].values())
    assert result.diagnostics["predicted_loss"] < mean_loss(weights)


def test_bounds_are_kept_by_the_answer():
    """A prior of 0.03 and a bound of ten times it, on the domain that the target wants."""
    prior = {"wiki": 0.03, "code": 0.3, "books": 0.3, "news": 0.17, "papers": 0.2}
    given = {"target": "wiki", "prior": prior, "maximum_usage": 10}
    assert 0.1 < solve(**given).schedule.stages[0].weights["wiki"] <= 0.3
    runs = registry.get("regmix").extra_runs(DOMAINS, parameters(**given), 0)
    assert 0.2 < max(run.weights["wiki"] for run in runs) <= 0.3


def test_the_held_out_correlation_is_held_out():
    """Losses without any relation to the mixture: nothing can be foreseen."""
    result = solve(losses=lambda weights: dict.fromkeys(weights, 3.0), noise=1.0)
    assert result.diagnostics["heldout_spearman"] < 0.4
    assert result.diagnostics["heldout_mse"] > 0.1
    assert "heldout_spearman" not in solve(losses=lambda w: dict.fromkeys(w, 3.0), noise=0).diagnostics


def test_the_same_seed_gives_the_same_bytes():
    one, same, other = solve(5), solve(5), solve(6)
    assert dumps([one.schedule.stages[0].weights, one.diagnostics]) == dumps(
        [same.schedule.stages[0].weights, same.diagnostics]
    )
    assert one.schedule != other.schedule


def test_one_domain_needs_no_run_and_two_work():
    assert registry.get("regmix").extra_runs(("code",), parameters(), 0) == []
    assert solve(domains=("code",)).schedule.stages[0].weights == {"code": 1.0}
    assert set(solve(domains=("code", "wiki")).schedule.stages[0].weights) == {"code", "wiki"}


def test_more_runs_than_there_are_mixtures_are_refused():
    """Two weights between 0.475 and 0.525 in steps of 0.0002."""
    words = r"num_proxies: 600 runs are asked for, but only 25\d different .* maximum_usage \(1\.05\)"
    with pytest.raises(UserError, match=words):
        solve(num_proxies=600, domains=("code", "wiki"), maximum_usage=1.05, candidates=50)


def test_with_fewer_than_three_runs_the_best_is_the_answer():
    one = {"mix000": RunResult({"code": 0.25, "wiki": 0.75}, {"code": 2.0, "wiki": 2.0}, None)}
    inputs = MethodInputs(("wiki", "code"), COUNTS, parameters(), 0, 100, runs=one)
    assert registry.get("regmix").weights(inputs).schedule.stages[0].weights == {"wiki": 0.75, "code": 0.25}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_proxies": 2}, "num_proxies: 2 is not a whole number of at least 3"),
        ({"num_proxies": 8.5}, "num_proxies: 8.5 is not a whole"),
        ({"steps": 0}, "steps: 0 is not a whole"),
        ({"folds": True}, "folds: True is not a whole"),
        ({"regression": "forest"}, "regression: 'forest' is not one of lightgbm, linear, log_linear"),
        ({"target": "bokos"}, "target: 'bokos' is not one of mean, wiki, code"),
        ({"temperature": -1}, "temperature: -1 is not a number of at least 0"),
        ({"maximum_usage": 0.5}, "maximum_usage: 0.5 is not a number of at least 1"),
        ({"strength": [5, 1]}, "strength: .* is not a pair of positive numbers, low first"),
        ({"strength": 1}, "strength: 1 is not a pair"),
        ({"prior": "natural"}, "prior: 'natural' is neither 'uniform' nor a mapping"),
        (
            {"prior": {"wiki": 1}},
            "prior: books: None is not a positive share; every one of books, code, news",
        ),
        ({"prior": {**dict.fromkeys(DOMAINS, 1), "x": 1}}, "prior: unknown domain 'x'; valid: books, code"),
    ],
)
def test_bad_parameters_are_refused(given, words):
    with pytest.raises(UserError, match=words):
        registry.get("regmix").check(parameters(**given), DOMAINS, FACTS)
