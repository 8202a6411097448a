"""MixMin: the least of a convex problem, proved and against another solver; planted shares; bad input."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from chameleon.core.errors import UserError
from chameleon.methods import likelihood
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

DOMAINS = ("wiki", "books", "code", "web")
LENGTH = 8


def noisy(seed=0, n=40, k=4, spread=0.2):
    """Return losses of k experts on n documents, on which they differ by about `spread` nats/token."""
    rng = np.random.default_rng(seed)
    return rng.uniform(3, 6, (n, 1)) + rng.normal(0, spread, (n, k))


def experts(losses, domains=DOMAINS, length=LENGTH):
    """Return single-domain runs; `losses`: target domains x documents x experts, both in the given order."""
    return {
        f"only_{d}": RunResult(
            {e: float(e == d) for e in domains},
            {e: float(losses[j, :, i].mean()) for j, e in enumerate(domains)},
            None,
            blocks={e: losses[j, :, i].tolist() for j, e in enumerate(domains)},
            block_tokens=length,
        )
        for i, d in enumerate(domains)
    }


def given(losses, domains=DOMAINS, **params):
    params = registry.parameters("mixmin", params, "here")
    registry.get("mixmin").check(params, tuple(domains), {})
    read = {"single_domain": experts(losses, domains)}
    return MethodInputs(tuple(domains), dict.fromkeys(domains, 9), params, 0, 10, read=read)


def solve(losses, domains=DOMAINS, **params):
    result = registry.get("mixmin").weights(given(losses, domains, **params))
    (stage,) = result.schedule.stages
    assert json.loads(json.dumps(result.diagnostics)) == result.diagnostics
    return stage.weights, result.diagnostics


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.01, 0.2])
def test_the_gap_is_closed_and_another_solver_finds_nothing_lower(seed, spread):
    losses = noisy(seed, spread=spread)
    weights, left = likelihood.best(losses, LENGTH)
    assert 0 <= left <= 1e-8
    found = likelihood.loss(losses, LENGTH, weights)
    other = minimize(
        lambda p: likelihood.loss(losses, LENGTH, p / p.sum()),
        np.full(4, 0.25), bounds=[(1e-9, 1)] * 4, method="L-BFGS-B", options={"ftol": 1e-15},
    )  # fmt: skip
    assert found <= other.fun + 1e-8
    assert other.fun <= found + 1e-6, "the same minimum"


def test_planted_shares_are_recovered():
    """Documents that one expert each gives a probability to: the shares are their proportions."""
    losses = np.full((100, 4), 50.0)
    shares = np.repeat(np.arange(4), (10, 20, 30, 40))
    losses[np.arange(100), shares] = 2.0
    weights, _ = likelihood.best(losses, LENGTH)
    assert weights == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-9)
    assert likelihood.loss(losses, LENGTH, weights) == pytest.approx(
        2.0 - sum(p * np.log(p) for p in (0.1, 0.2, 0.3, 0.4)) / LENGTH
    )


def test_alike_experts_keep_equal_weights_and_a_dominating_one_takes_all():
    losses = np.repeat(noisy(k=1), 4, axis=1)
    assert likelihood.best(losses, LENGTH)[0] == pytest.approx([0.25] * 4)
    losses[:, 2] -= 0.5
    assert likelihood.best(losses, LENGTH)[0] == pytest.approx([0, 0, 1, 0], abs=1e-6)


def test_the_order_of_the_domains_plays_no_part():
    losses = noisy(n=160).reshape(4, 40, 4)
    weights, _ = solve(losses)
    order = [2, 0, 3, 1]
    turned, _ = solve(losses[np.ix_(order, range(40), order)], [DOMAINS[i] for i in order])
    assert turned == pytest.approx(weights, abs=1e-12)


def test_one_domain_as_target():
    losses = noisy(n=160).reshape(4, 40, 4)
    losses[2, :, 3] -= 1.0  # web's expert is best on code
    assert solve(losses, target="code")[0]["web"] > 0.99
    assert solve(losses)[0]["web"] < 0.9
    with pytest.raises(UserError, match="method mixmin: target: 'news' is not one of mean, wiki"):
        given(losses, target="news")


def test_what_it_says_of_longer_documents():
    losses = noisy(n=160).reshape(4, 40, 4)
    _, found = solve(losses)
    assert list(found["longer"]) == ["16", "32"] and all(0 <= x <= 1 for x in found["longer"].values())
    assert found["loss"] < found["loss_uniform"] and found["documents"] == 160
    pairs = likelihood.merged(losses, 2)
    assert pairs.shape == (4, 20, 4)
    assert pairs[1, 3, 2] == pytest.approx((losses[1, 6, 2] + losses[1, 7, 2]) / 2)


def test_what_it_foretells():
    losses = noisy(n=160).reshape(4, 40, 4)
    method, inputs = registry.get("mixmin"), given(losses)
    best = method.weights(inputs).schedule.stages[0].weights
    corner = {"wiki": 1.0}
    found = method.foretell(inputs, {"best": best, "corner": corner})
    assert found["corner"] == pytest.approx(losses[:, :, 0].mean())
    assert found["best"] < found["corner"]
    assert method.foretell(given(losses, target="code"), {"best": best}) == {}


def test_experts_are_needed():
    inputs = given(noisy(n=160).reshape(4, 40, 4))
    del inputs.read["single_domain"]["only_code"]
    with pytest.raises(UserError, match="experts: 'single_domain' has no run on code alone"):
        registry.get("mixmin").weights(inputs)
    inputs.read["single_domain"]["only_code"] = RunResult(
        {d: float(d == "code") for d in DOMAINS}, dict.fromkeys(DOMAINS, 4.0), None
    )
    with pytest.raises(UserError, match="not kept the losses by block of the run on code alone"):
        registry.get("mixmin").weights(inputs)


def test_the_losses_of_many_mixtures_are_those_of_each():
    losses = noisy(spread=1.5)
    mixtures = np.random.default_rng(1).dirichlet(np.full(4, 0.2), size=9000)
    mixtures[7] = [0, 0, 1, 0]
    found = likelihood.of_mixtures(losses, LENGTH, mixtures)
    for i in (0, 7, 4096, 8999):
        assert found[i] == pytest.approx(likelihood.loss(losses, LENGTH, mixtures[i]), abs=1e-12)
    # So far apart that a likelihood ratio is no number above zero: finite all the same.
    assert np.isfinite(likelihood.of_mixtures(100 * losses, LENGTH, mixtures)).all()
