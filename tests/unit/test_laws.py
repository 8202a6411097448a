"""Laws of a swarm and their exact minimum: known laws are found again, no candidate is better, caps hold."""

import json
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.capped import project
from chameleon.methods.laws import exact
from chameleon.methods.regression import models
from chameleon.methods.regression.mixtures import swarm_mixtures
from chameleon.mixing import MethodInputs, registry
from chameleon.mixing.types import RunResult

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "data_mixing_law.json").read_text())
NAMES = ("books", "code", "papers", "wiki")


def swarm(n=40, k=4, seed=0, noise=0.0):
    """Return mixtures, losses of k targets, floors and exponents of their laws."""
    rng = np.random.default_rng(seed)
    exponents = rng.normal(scale=0.3, size=(k, k)) - 1.5 * np.eye(k)
    floors = rng.uniform(1.5, 3.0, size=k)
    x = swarm_mixtures(np.ones(k), n, rng)
    return x, floors + np.exp(x @ exponents.T) + noise * rng.normal(size=(n, k)), floors, exponents


@pytest.mark.parametrize("name", ["log_linear", "olmix"])
def test_the_ports_golden_law_and_its_optimum(name):
    x, y = np.array(GOLDEN["mixtures"]), np.array(GOLDEN["losses"])
    laws = [models.fit(name, x, column) for column in y.T]
    for i, law in enumerate(laws):
        # The factor in front of the exponential is part of ours.
        wanted = np.array(GOLDEN["exponents"])[:, i] + np.log(GOLDEN["factors"][i])
        assert law.floor == pytest.approx(GOLDEN["floors"][i], abs=2e-3)
        np.testing.assert_allclose(law.exponents, wanted, atol=5e-3)
    found = exact.minimise(np.array([law.exponents for law in laws]), np.full(3, 1 / 3))
    np.testing.assert_allclose(found, GOLDEN["optimum"], atol=2e-3)


def test_the_positive_floor_bears_noise_and_a_diverged_run():
    x, y, floors, exponents = swarm(noise=0.002)
    y[3] += 2.0
    unseen, truth, *_ = swarm(200, seed=0)
    for i in range(4):
        law = models.fit("olmix", x, y[:, i])
        assert law.floor > 0
        assert models.spearman(law.predict(unseen), truth[:, i]) > 0.97


def test_a_flat_or_small_loss_is_fitted_too():
    x, *_ = swarm(10)
    assert models.fit("olmix", x, np.full(10, 2.0)).predict(x) == pytest.approx(np.full(10, 2.0))
    assert np.isfinite(models.fit("olmix", x, 0.01 + 0.001 * x[:, 0]).predict(x)).all()


@pytest.mark.parametrize("strength", [0.0, 0.05, 5.0])
@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("k", [2, 7, 22])
def test_no_candidate_is_better(k, capped, strength):
    rng = np.random.default_rng(k)
    exponents = rng.normal(size=(k, k)) - np.eye(k)
    natural = rng.dirichlet(np.ones(k))
    caps = rng.uniform(1.2 / k, 3 / k, size=k) if capped else None
    found = exact.minimise(exponents, natural, strength, caps)
    assert found.min() >= 0 and found.sum() == pytest.approx(1, abs=1e-12)
    assert caps is None or (found <= caps + 1e-12).all()
    q = np.maximum(natural, exact.FLOOR)

    def value(p):
        return np.exp(p @ exponents.T).mean(-1) + strength * (p * np.log(np.maximum(p, 1e-12) / q)).sum(-1)

    others = rng.dirichlet(np.ones(k), size=20_000)
    near = np.abs(found + rng.normal(scale=0.02, size=(20_000, k)))
    others = np.concatenate([others, near / near.sum(1, keepdims=True)])
    if caps is not None:
        others = np.array([project(p, caps) for p in others[::20]])
    assert value(found) <= value(others).min() + 1e-6


def test_divergence_and_caps_pull_to_the_natural_mixture():
    exponents = np.array([[-5.0, 0.0, 0.0]])
    natural = np.array([0.2, 0.3, 0.5])
    alone, near = (exact.minimise(exponents, natural, s) for s in (0.0, 100.0))
    assert alone[0] == pytest.approx(1.0) and near == pytest.approx(natural, abs=0.02)
    capped = exact.minimise(exponents, natural, 0.0, np.array([0.4, 1.0, 1.0]))
    assert capped[0] == pytest.approx(0.4)
    with pytest.raises(UserError, match=r"sum to 0\.9: less than a whole mixture"):
        exact.minimise(exponents, natural, 0.0, np.full(3, 0.3))


def inputs(method, x, y, counts=None, budget=1000, **changes):
    params = registry.parameters(method, changes, "here")
    read = {
        f"mix{i:03d}": RunResult(dict(zip(NAMES, p, strict=True)), dict(zip(NAMES, z, strict=True)), None)
        for i, (p, z) in enumerate(zip(x.tolist(), y.tolist(), strict=True))
    }
    counts = counts or dict.fromkeys(NAMES, 10**6)
    return MethodInputs(NAMES, counts, params, 0, 10, read={"regmix": read}, token_budget=budget)


def answer(method, *args, **changes):
    result = registry.get(method).weights(inputs(method, *args, **changes))
    return result.schedule.stages[0].weights, result.diagnostics


@pytest.mark.parametrize("seed", range(3))
def test_the_law_method_finds_the_planted_optimum(seed):
    x, y, _, exponents = swarm(40, seed=seed, noise=0.001)
    best = exact.minimise(exponents, np.full(4, 0.25))
    found, told = answer("data_mixing_law", x, y)
    assert 0.5 * np.abs(np.array(list(found.values())) - best).sum() < 0.1
    assert told["heldout_spearman"] > 0.9 and told["runs"] == len(x) and told["runs_advised"] == 15
    assert told["predicted_loss"] < told["best_swarm_loss"] + 0.01
    near, _ = answer("olmix", x, y, divergence=10.0)
    assert max(abs(w - 0.25) for w in near.values()) < 0.05


def test_olmix_repeats_no_domain_too_often():
    x, y, *_ = swarm()
    free, _ = answer("olmix", x, y, divergence=0.0)
    most = max(free, key=free.get)
    counts = {d: 50 if d == most else 10**6 for d in NAMES}
    # Four passes over 50 tokens are a fifth of a run of 1,000.
    found, told = answer("olmix", x, y, counts, divergence=0.0)
    assert free[most] > 0.3 and found[most] == pytest.approx(0.2) and told["at_cap"] == [most]
    with pytest.raises(UserError, match="method olmix: repetitions: 4.0: the caps on the weights sum to 0.8"):
        answer("olmix", x, y, dict.fromkeys(NAMES, 50))


def test_the_best_row_and_the_order_of_domains():
    x, y, *_ = swarm()
    found, told = answer("swarm_best", x, y)
    assert list(found.values()) == pytest.approx(x[y.mean(1).argmin()]) and told["runs"] == len(x)
    one = inputs("swarm_best", x, y, target="code")
    assert registry.get("swarm_best").weights(one).diagnostics["best_swarm_loss"] == y[:, 1].min()


@pytest.mark.parametrize("method", ["data_mixing_law", "olmix"])
def test_what_laws_foretell_is_what_base_runs_would_come_to(method):
    x, y, *_ = swarm()
    given = inputs(method, x, y)
    asked = {f"m{i}": dict(zip(NAMES, p, strict=True)) for i, p in enumerate(x[:20].tolist())}
    told = registry.get(method).foretell(given, asked)
    assert models.spearman(np.array(list(told.values())), y[:20].mean(1)) > 0.95
    assert registry.get(method).foretell(inputs(method, x, y, target="code"), asked) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "news"}, "'news' is not one of mean, books"),
        ({"divergence": -1}, "divergence: -1"),
        ({"repetitions": 0}, "repetitions: 0 is not a number above 0"),
        ({"folds": 1}, "folds: 1"),
        ({"swarm": 3}, "swarm"),
    ],
)
def test_refuses_what_cannot_work(changes, words):
    method = registry.get("olmix")
    with pytest.raises(UserError) as caught:
        method.check(registry.parameters("olmix", changes, "here"), NAMES, {})
    assert words in str(caught.value) and "\n" not in str(caught.value)
