"""Regressions and the search: known laws are recovered, held out means held out, bytes are stable."""

import json
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.regression import models
from chameleon.methods.regression.mixtures import candidate_mixtures, swarm_mixtures
from chameleon.methods.regression.propose import propose

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "regmix_mixtures.json").read_text())
K = 5
T = np.array([-3.0, -1.0, 0.5, -0.2, -2.0])
U = np.full(K, 1 / K)


def swarm(n, seed=0, noise=0.0, k=K):
    rng = np.random.default_rng(seed)
    x = swarm_mixtures(np.ones(k), n, rng)
    return x, 2.5 + np.exp(x @ (T if k == K else rng.normal(size=k))) + noise * rng.normal(size=n)


def test_lightgbm_has_the_references_parameters(monkeypatch):
    monkeypatch.setattr(models, "SMALL", 40)
    said = dict(GOLDEN["lightgbm"])
    assert models.REFERENCE_PARAMETERS.items() >= {"boosting": said.pop("boosting_type"), **said}.items()
    x, y = swarm(40)
    assert models.fit("lightgbm", x, y).parameters == models.REFERENCE_PARAMETERS
    assert models.fit("lightgbm", x[1:], y[1:]).parameters["num_leaves"] == 4


def test_small_swarms_need_other_parameters():
    """With 64 runs LightGBM's defaults cannot split; unseen mixtures, three swarms."""
    gains = []
    for seed in range(3):
        x, y = swarm(64, seed, noise=0.01)
        unseen, truth = swarm(256, 100 + seed)
        default = {"min_data_in_leaf": 20, "num_leaves": 31, "feature_fraction": 1.0, "min_data_in_bin": 3}
        ours = models.spearman(models.fit("lightgbm", x, y).predict(unseen), truth)
        theirs = models.spearman(models.fit("lightgbm", x, y, **default).predict(unseen), truth)
        gains.append(ours - theirs)
        assert ours > 0.95
    assert min(gains) > 0.01


@pytest.mark.parametrize("name", models.MODELS)
def test_the_same_rows_give_the_same_bytes(name):
    x, y = swarm(60, noise=0.01)
    one, two = (models.fit(name, x, y).predict(x).tobytes() for _ in range(2))
    assert one == two


def test_the_log_linear_law_is_recovered():
    x, y = swarm(40)
    found = models.fit("log_linear", x, y)
    assert found.floor == pytest.approx(2.5, abs=1e-6) and found.exponents == pytest.approx(T, abs=1e-5)
    unseen, truth = swarm(50, 9)
    assert found.predict(unseen) == pytest.approx(truth, abs=1e-6)


def test_the_log_linear_law_bears_a_diverged_run():
    x, y = swarm(60, noise=0.005)
    y[7] += 5.0
    unseen, truth = swarm(200, 9)
    error = np.abs(models.fit("log_linear", x, y).predict(unseen) - truth)
    assert error.mean() < 0.02
    assert np.abs(models.fit("linear", x, y).predict(unseen) - truth).mean() > 0.1


def test_linear_is_least_squares():
    x, _ = swarm(40)
    y = 3 + x @ T
    found = models.fit("linear", x, y)
    assert found.predict(x) == pytest.approx(y, abs=1e-12)
    # Defined up to a constant on the simplex; of least norm, so the constant is their mean.
    assert found.coefficients == pytest.approx(T - T.mean(), abs=1e-10)


@pytest.mark.parametrize("name", models.MODELS)
def test_importance_and_effects_know_what_matters(name):
    x = swarm(80)[0]
    model = models.fit(name, x, 3 + np.exp(-2 * x[:, 1]))
    importance, effects = model.importance(), models.effects(model, x)
    assert importance.sum() == pytest.approx(1) and importance.argmax() == 1
    assert effects.argmin() == 1 and effects[1] < 0
    flat = models.fit(name, x, np.full(80, 3.0))
    assert flat.importance() == pytest.approx(np.zeros(K), abs=1e-9)
    assert flat.predict(x) == pytest.approx(np.full(80, 3.0))


@pytest.mark.parametrize("name", models.MODELS)
def test_several_targets_are_averaged(name):
    x, y = swarm(40, noise=0.01)
    other = 3 * np.exp(-x[:, 0])
    both = models.fit(name, x, np.stack([y, other], axis=1))
    apart = [models.fit(name, x, y).predict(x), models.fit(name, x, other).predict(x)]
    assert both.predict(x) == pytest.approx(np.mean(apart, axis=0)) and both.name == name
    assert both.importance().sum() == pytest.approx(1)


def test_cross_validation_does_not_see_what_it_predicts():
    """Losses that have nothing to do with the mixture can be learnt by heart, not foreseen."""
    x, _ = swarm(64)
    y = np.random.default_rng(5).normal(size=64)
    seen = models.spearman(models.fit("lightgbm", x, y).predict(x), y)
    held_out = models.cross_validate("lightgbm", x, y, 8, np.random.default_rng(0))
    assert seen > 0.8 and models.spearman(held_out, y) < 0.3


def test_each_run_is_left_out_once():
    x, _ = swarm(10)
    y = x @ T
    found = models.cross_validate("linear", x, y, 99, np.random.default_rng(0))
    for i in range(10):
        rest = np.arange(10) != i
        assert found[i] == pytest.approx(models.fit("linear", x[rest], y[rest]).predict(x[i : i + 1])[0])


def test_spearman_is_scipys_and_says_when_there_is_none():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=40), rng.normal(size=40)
    assert models.spearman(a, b) == pytest.approx(spearmanr(a, b)[0], abs=1e-12)
    assert models.spearman(b, np.exp(b)) == pytest.approx(1)
    assert models.spearman(np.ones(4), b[:4]) is None
    assert models.mean_squared_error(np.array([1.0, 2.0]), np.array([0.0, 4.0])) == 2.5


def test_what_cannot_be_fitted():
    x, y = swarm(10)
    with pytest.raises(UserError, match="'forest' is not one of lightgbm, linear, log_linear"):
        models.fit("forest", x, y)
    with pytest.raises(UserError, match="at least two runs, got 1"):
        models.fit("linear", x[:1], y[:1])
    with pytest.raises(UserError, match="finite"):
        models.fit("linear", x, np.where(y == y[0], np.nan, y))
    with pytest.raises(UserError, match="at least three runs, got 2"):
        models.cross_validate("linear", x[:2], y[:2], 5, np.random.default_rng(0))


class Known:
    """A regression that is right."""

    name, parameters = "known", {}

    def predict(self, mixtures):
        return (mixtures @ np.arange(K)) ** 2

    def importance(self):
        return U


def test_the_proposal_is_the_mean_of_the_best():
    candidates = candidate_mixtures(U, np.full(K, 0.6), 2000, np.random.default_rng(0))
    found, predicted = propose(Known(), candidates, top=10)
    best = sorted(candidates.tolist(), key=lambda p: float(np.dot(p, np.arange(K))))[:10]
    assert found == pytest.approx(np.mean(best, axis=0), abs=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12) and (found <= 0.6).all()
    assert predicted == pytest.approx(float(found @ np.arange(K)) ** 2)
    everything, _ = propose(Known(), candidates, top=10**6)
    assert everything == pytest.approx(candidates.mean(axis=0))
