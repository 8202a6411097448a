"""RegMix's mixtures: what the reference drew, the simplex, bounds, tiny and impossible cases."""

import json
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.regression import mixtures

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "regmix_mixtures.json").read_text())
PRIOR = np.array(GOLDEN["prior"])


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def accepted():
    """The reference's number of draws, without those beyond the bounds."""
    levels = mixtures.strengths(*mixtures.STRENGTHS)
    p = mixtures._dirichlet(mixtures.tempered(PRIOR), levels, 51_200, rng(1))
    return p[(p <= mixtures.upper_bounds(PRIOR)).all(axis=1)]


@pytest.fixture(scope="module")
def distinct(accepted):
    """These rounded, not held against the bounds again, each once."""
    return np.unique(mixtures._steps(accepted, np.ones(len(PRIOR))), axis=0)


@pytest.fixture(scope="module")
def reference(distinct):
    """As many as the reference takes of these, not rescaled."""
    return distinct[rng(1).choice(len(distinct), GOLDEN["num_configs"], replace=False)] * mixtures.MINIMUM


@pytest.fixture
def draws(monkeypatch):
    """How many draws were made, and how many were within the bounds."""
    counted, dirichlet, steps = {"made": 0, "accepted": 0}, mixtures._dirichlet, mixtures._steps

    def drawn(*given):
        counted["made"] += given[2]
        return dirichlet(*given)

    def rounded(p, bounds):
        counted["accepted"] += len(p)
        return steps(p, bounds)

    monkeypatch.setattr(mixtures, "_dirichlet", drawn)
    monkeypatch.setattr(mixtures, "_steps", rounded)
    return counted


def test_constants_are_the_references():
    said = GOLDEN["constants"]
    ours = (mixtures.TEMPERATURE, *mixtures.STRENGTHS, mixtures.MAXIMUM_USAGE, mixtures.MINIMUM)
    assert ours == tuple(said[k] for k in ("TEMP", "MIN_STRENGH", "MAX_STRENGH", "MAXIMUM_USAGE", "MINIMUM"))
    assert said["SAMPLE_MULTIPLIER"] == mixtures.SAMPLE_MULTIPLIER
    levels = mixtures.strengths(*mixtures.STRENGTHS)
    assert len(levels) == 15 and np.diff(np.log(levels)) == pytest.approx(np.log(50) / 14)


def test_prior_and_bounds_are_the_references():
    assert mixtures.tempered(PRIOR) == pytest.approx(np.array(GOLDEN["tempered"]), rel=1e-12)
    assert mixtures.upper_bounds(PRIOR) == pytest.approx(np.array(GOLDEN["upper_bound"]), rel=1e-12)
    assert mixtures.upper_bounds(7 * PRIOR) == pytest.approx(np.array(GOLDEN["upper_bound"]), rel=1e-12)


def test_as_many_draws_survive_as_in_the_reference(accepted, distinct):
    """Standard deviations of the two shares over seeds: 0.002 and 0.002."""
    assert len(accepted) / 51_200 == pytest.approx(GOLDEN["n_accepted"] / 51_200, abs=0.01)
    survived = GOLDEN["n_deduplicated"] / GOLDEN["n_accepted"]
    assert len(distinct) / len(accepted) == pytest.approx(survived, abs=0.01)


def test_as_many_draws_are_made_as_in_the_reference(draws):
    found = mixtures.swarm_mixtures(PRIOR, GOLDEN["num_configs"], rng(1))
    assert draws["made"] == 51_200 and len(found) == GOLDEN["num_configs"] == 512


def test_the_draw_is_distributed_as_the_references(reference):
    """Both are samples of 512: means differ by sqrt(2/512) standard deviations, typically."""
    found, std = reference, np.array(GOLDEN["std"])
    assert (np.abs(found.mean(axis=0) - GOLDEN["mean"]) < 4 * std * np.sqrt(2 / 512)).all()
    large = np.array(GOLDEN["mean"]) > 0.05
    assert found.std(axis=0)[large] == pytest.approx(std[large], rel=0.15)
    assert (found == 0).mean() == pytest.approx(GOLDEN["n_zero_weights"] / found.size, abs=0.05)


def test_the_references_rounding(reference):
    """Multiples of 2e-4 that miss the sum of one a little: its rows are not rescaled."""
    found = reference / mixtures.MINIMUM
    assert found == pytest.approx(np.rint(found), abs=1e-6)
    low, high = reference.sum(axis=1).min(), reference.sum(axis=1).max()
    assert 0.9985 < low < 0.9999 < 1.0001 < high < 1.0015
    assert (low, high) == pytest.approx(GOLDEN["row_sum_min_max"], abs=5e-4)


def test_ours_are_on_the_simplex_and_within_the_bounds():
    found = mixtures.swarm_mixtures(PRIOR, 300, rng())
    assert found.shape == (300, 17) and (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-12)
    assert (found <= mixtures.upper_bounds(PRIOR)).all()
    assert (found[found > 0] > 0.9 * mixtures.MINIMUM).all()
    assert len(np.unique(found, axis=0)) == 300


def test_the_same_generator_gives_the_same_mixtures():
    one, same, other = (mixtures.swarm_mixtures(PRIOR, 20, rng(s)) for s in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("k", [2, 3, 7, 40])
def test_any_number_of_domains(k):
    found = mixtures.swarm_mixtures(np.full(k, 1 / k), 64, rng())
    assert found.shape == (64, k) and (found <= mixtures.upper_bounds(np.ones(k))).all()


def test_one_domain_has_one_mixture():
    assert mixtures.swarm_mixtures(np.ones(1), 64, rng()).tolist() == [[1.0]]
    assert mixtures.candidate_mixtures(np.ones(1), np.ones(1), 64, rng()).tolist() == [[1.0]]


def test_fewer_mixtures_than_asked_are_taken(monkeypatch, draws):
    """A step of a quarter leaves five mixtures of two domains; the reference fails here."""
    monkeypatch.setattr(mixtures, "MINIMUM", 0.25)
    found = mixtures.swarm_mixtures(np.ones(2), 64, rng())
    assert found[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert draws["made"] >= mixtures.MAXIMUM_MULTIPLIER * 64


def test_sampling_goes_on_while_too_few_are_left(draws):
    """Bounds of 1.7 times the prior refuse most draws: a hundred a mixture are not enough."""
    found = mixtures.swarm_mixtures(np.ones(8), 64, rng(), maximum_usage=1.7)
    assert draws["made"] > mixtures.SAMPLE_MULTIPLIER * 64 and draws["accepted"] < draws["made"] / 100
    assert len(found) == 64 and found.max() <= 1.7 / 8


def test_bounds_that_nothing_meets_are_refused():
    with pytest.raises(UserError, match="no mixture lies within the bounds: .* the highest to 0.8"):
        mixtures.candidate_mixtures(np.ones(4), np.full(4, 0.2), 5, rng())


def test_candidates_are_within_the_bounds_and_around_the_prior():
    prior, bounds = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.8, 1.0, 0.6, 0.0])
    found = mixtures.candidate_mixtures(prior, bounds, 5000, rng())
    assert found.shape == (5000, 4) and (found <= bounds).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(5000))
    free = mixtures.candidate_mixtures(prior, np.ones(4), 50_000, rng())
    assert free.mean(axis=0) == pytest.approx(prior, abs=0.01)
    # Var of a Dirichlet(q) component: q (1 − q) / 2.
    assert free.var(axis=0) == pytest.approx(prior * (1 - prior) / 2, abs=0.01)


@pytest.mark.parametrize("prior", [[], [0.0, 0.0], [0.5, -0.5], [1.0, np.nan], [[0.5, 0.5]]])
def test_what_is_no_prior(prior):
    with pytest.raises(ValueError, match="shares"):
        mixtures.swarm_mixtures(np.array(prior), 4, rng())
