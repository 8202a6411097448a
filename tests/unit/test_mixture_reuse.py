"""Mixture reuse: expansion as in the worked example, caps on the virtual domain, a planted law, bad input."""

import numpy as np
import pytest

from baselines.mixture_reuse import _expansion
from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

DOMAINS = ("wiki", "books", "code", "news")
KEPT = {"kept": ["wiki", "books", "code"], "ratios": {"books": 1, "code": 1, "wiki": 2}}
COUNTS = dict.fromkeys(DOMAINS, 10_000)


def parameters(domains=DOMAINS, **params):
    params = registry.parameters("mixture_reuse", params, "here")
    registry.get("mixture_reuse").check(params, tuple(domains), {})
    return params


def swarm(loss, domains=DOMAINS, seed=0, **params):
    """Return inputs whose swarm's runs have the losses of a function of their mixtures."""
    given = parameters(domains, **params)
    runs = {
        run.run_id: RunResult(run.weights, loss(run.weights), None)
        for run in registry.get("mixture_reuse").extra_runs(domains, given, seed)
    }
    return MethodInputs(tuple(domains), COUNTS, given, seed, 10, runs=runs, token_budget=20_000)


def test_the_worked_example():
    """p̃ = (.25, .25, .5), r = (.4, .6): (.1, .1, .2, .6)."""
    names, expansion = _expansion(DOMAINS, parameters(**KEPT))
    assert names == ["books", "code", "news", "wiki"] and expansion.shape == (2, 4)
    weights = dict(zip(names, np.array([0.4, 0.6]) @ expansion, strict=True))
    assert weights == pytest.approx({"books": 0.1, "code": 0.1, "wiki": 0.2, "news": 0.6})


def test_the_swarm_keeps_the_ratios_and_has_the_advised_size():
    runs = registry.get("mixture_reuse").extra_runs(DOMAINS, parameters(**KEPT), 3)
    assert len(runs) == 9 and all(run.swarm for run in runs)
    for run in runs:
        w = run.weights
        assert w["wiki"] == pytest.approx(2 * w["books"]) and w["code"] == pytest.approx(w["books"])
        assert sum(w.values()) == pytest.approx(1)
    assert len({round(run.weights["news"], 6) for run in runs}) == 9
    full = registry.get("mixture_reuse").extra_runs(DOMAINS, parameters(), 3)
    assert len(full) == 3 * (4 + 1), "without kept domains it is Olmix on a swarm of its own"


def losses(weights):
    """Log-linear in the share of news, least where (of two terms) it is about a third."""
    news = weights["news"]
    own = {d: 3 + np.exp(-1 + 1.5 * news) for d in DOMAINS}
    return own | {"news": 3 + np.exp(1 - 4 * news)}


def test_a_planted_law_is_recovered():
    inputs = swarm(losses, divergence=0.0, repetitions=None, **KEPT)
    found = registry.get("mixture_reuse").weights(inputs)
    weights = found.schedule.stages[0].weights
    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmin([np.mean(list(losses({"news": g}).values())) for g in grid])]
    assert weights["news"] == pytest.approx(best, abs=0.02)
    assert weights["wiki"] == pytest.approx(2 * weights["books"])
    assert found.diagnostics["collapsed"] == pytest.approx(
        {"books + code + wiki": 1 - weights["news"], "news": weights["news"]}
    )
    assert tuple(weights) == DOMAINS


def test_the_virtual_domain_is_capped_by_its_most_repeated_part():
    def worse(weights):
        return {d: 3 + np.exp(2 * weights["news"]) for d in DOMAINS}

    counts = COUNTS | {"wiki": 1_000}
    inputs = swarm(worse, divergence=0.0, repetitions=4.0, **KEPT)
    inputs = MethodInputs(
        DOMAINS, counts, inputs.params, 0, 10, runs=inputs.runs, token_budget=inputs.token_budget
    )
    weights = registry.get("mixture_reuse").weights(inputs).schedule.stages[0].weights
    # 4 · 1,000 / 20,000 = .2 of wiki, which is half of the virtual domain: r_v = .4.
    assert weights["wiki"] == pytest.approx(0.2, abs=1e-6) and weights["news"] == pytest.approx(0.6, abs=1e-6)


def test_caps_that_leave_no_mixture_are_refused():
    inputs = swarm(losses, repetitions=0.01, **KEPT)
    with pytest.raises(UserError, match="method mixture_reuse: repetitions: 0.01: the caps on the weights"):
        registry.get("mixture_reuse").weights(inputs)


def test_all_kept_leaves_nothing_to_choose():
    given = {"kept": list(DOMAINS), "ratios": {"wiki": 3, "books": 1, "code": 1, "news": 5}}
    assert registry.get("mixture_reuse").extra_runs(DOMAINS, parameters(**given), 0) == []
    found = registry.get("mixture_reuse").weights(swarm(losses, **given))
    assert found.schedule.stages[0].weights == pytest.approx(
        {"wiki": 0.3, "books": 0.1, "code": 0.1, "news": 0.5}
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kept": ["poems"]}, "kept: 'poems' is not one of"),
        ({"kept": "wiki"}, "kept: 'wiki' is not a list"),
        ({"kept": ["wiki", "wiki"]}, "twice"),
        ({"kept": ["wiki", "code"], "ratios": {"wiki": 1}}, "ratios: .* is neither 'uniform' nor"),
        ({"kept": ["wiki"], "ratios": {"wiki": 0}}, "ratios"),
        ({"num_proxies": 2}, "num_proxies"),
        ({"target": "poems"}, "target: 'poems'"),
        ({"repetitions": 0}, "repetitions"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(UserError, match=message):
        parameters(**params)
