"""Mixtures between narrow bounds: all inside, out to the corners; without bounds, Dirichlet draws."""

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.regression import mixtures
from chameleon.methods.regression.within import mixtures_within

ONE = np.ones(1)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("k", [2, 7, 24, 150])
@pytest.mark.parametrize("width", [0.01, 0.3])
def test_every_mixture_lies_within_the_bounds(k, width):
    q = rng(k).dirichlet(np.full(k, 3.0))
    low, high = (1 - width) * q, (1 + width) * q
    found = mixtures_within(q, low, high, 3000, rng(), ONE)
    assert found.shape == (3000, k) and (found >= low).all() and (found <= high).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(3000), abs=1e-12)
    # From near the lower to near the upper bound, each domain. A corner has one domain in between at most.
    reach = (found.max(axis=0) - found.min(axis=0)) / (high - low)
    assert (reach > 0.9).sum() >= k - 1 and len(np.unique(found.round(12), axis=0)) > 2900


def test_without_bounds_it_is_the_dirichlet_distribution():
    """Mean q, variance q (1 − q) / (s + 1), covariance −q_i q_j / (s + 1)."""
    q = np.array([0.5, 0.3, 0.15, 0.05])
    for s in (0.5, 1.0, 5.0):
        found = mixtures_within(q, np.zeros(4), np.ones(4), 40_000, rng(), np.array([s]))
        assert found.mean(axis=0) == pytest.approx(q, abs=0.02)
        expected = (np.diag(q) - np.outer(q, q)) / (s + 1)
        assert np.cov(found.T) == pytest.approx(expected, abs=0.02)


def test_a_domain_that_may_get_nothing_gets_nothing():
    q, high = np.array([0.5, 0.5, 0.0]), np.array([0.6, 0.6, 0.0])
    found = mixtures_within(q, np.zeros(3), high, 500, rng(), ONE)
    assert (found[:, 2] == 0).all() and found[:, :2].min() >= 0.4 - 1e-12


def test_bounds_that_leave_one_mixture_give_it():
    q = np.array([0.2, 0.3, 0.5])
    assert mixtures_within(q, np.zeros(3), q, 5, rng(), ONE) == pytest.approx(np.tile(q, (5, 1)))


@pytest.mark.parametrize(
    ("low", "high"), [([0, 0], [0.4, 0.4]), ([0.6, 0.6], [1, 1]), ([0.5, 0.2], [0.4, 1])]
)
def test_bounds_that_leave_none_are_refused(low, high):
    with pytest.raises(UserError, match="no mixture lies within the bounds: the lowest weights sum to"):
        mixtures_within(np.full(2, 0.5), np.array(low), np.array(high), 5, rng(), ONE)


def test_candidates_come_from_within_where_draws_do_not_do():
    """As many as asked for, never the few that chance left; where draws do, they are as they were."""
    q = rng(1).dirichlet(np.full(7, 3.0))
    found = mixtures.candidate_mixtures(q, 1.3 * q, 2000, rng(), least=0.7 * q)
    assert found.shape == (2000, 7) and (found >= 0.7 * q).all() and (found <= 1.3 * q).all()
    wide = mixtures.candidate_mixtures(q, np.full(7, 0.9), 2000, rng(), least=np.full(7, 0.001))
    drawn = rng()
    drawn.integers(1, size=40_000)
    expected = drawn.dirichlet(q / q.sum(), size=40_000)
    assert np.array_equal(wide, expected[(expected <= 0.9).all(axis=1)][:2000])
