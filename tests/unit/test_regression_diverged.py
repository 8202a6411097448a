"""Runs that diverged are found, clean ones spared: by the loss, the gap below it, and the other mixtures."""

import numpy as np
import pytest

from chameleon.methods.regression.diverged import find


def swarm(n=80, k=4, seed=0):
    """Losses from about 3.0 to 4.1."""
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.ones(k), n)
    law = np.resize([0.5, 0.2, 0.9, -0.4], k)
    return x, 3 + x @ law + 0.3 * (x**2).sum(axis=1) + 0.01 * rng.normal(size=n)


@pytest.mark.parametrize("loss", [5.5, 7.0, 10.82, 48210.3, 1e14])
@pytest.mark.parametrize("rows", [[5], [5, 40], [0, 7, 11, 23, 42, 63, 70, 79]])
def test_what_diverged_is_found_and_nothing_else(loss, rows):
    x, y = swarm()
    y[rows] = loss + 0.01 * np.arange(len(rows))
    assert find(x, y).rows == tuple(rows)


def test_a_loss_that_is_far_off_hides_no_other():
    x, y = swarm()
    y[3], y[30], y[60] = 6.5, 1e9, 11
    assert find(x, y).rows == (3, 30, 60)


def test_the_run_that_is_worst_by_its_mixture_diverged_too():
    """Its mixture foretells a high loss, but not that one."""
    x, y = swarm()
    worst = int(y.argmax())
    y[worst] = 10.82
    assert find(x, y).rows == (worst,)


@pytest.mark.parametrize("k", [3, 7, 24])
@pytest.mark.parametrize("seed", range(4))
def test_clean_swarms_are_spared(k, seed):
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.full(k, 0.3), 96)
    for y in (
        2 + np.exp(-4 * x[:, 0]),
        np.mean(2 + np.exp(-6 * x), axis=1),
        1.5 + 0.5 * (x[:, 0] + 0.01) ** -0.2,
        2.5 + np.exp(x @ rng.normal(size=k)),
    ):
        assert find(x, y + 0.01 * rng.normal(size=96)).rows == ()


def test_a_low_loss_is_what_is_looked_for_but_not_next_to_nothing():
    """One run in 96 has the domain that the target needs; another's loss was never written."""
    x, y = swarm()
    y[8] = 1.2
    assert find(x, y).rows == ()
    y[9], y[10] = 0.0, -1.0
    assert find(x, y).rows == (9, 10)


def deletions():
    """A natural mixture eleven times, and once without each domain: no two deletions are alike."""
    rng = np.random.default_rng(4)
    q = rng.dirichlet(np.full(20, 3.0))
    x = np.array([q] * 11 + [np.where(np.arange(20) == i, 0, q) for i in range(20)])
    x /= x.sum(axis=1, keepdims=True)
    return x, 1.1 + 0.002 * rng.normal(size=31)


def test_where_no_other_mixture_is_alike_a_run_is_kept_and_doubted():
    x, y = deletions()
    y[15] = 1.9
    found = find(x, y)
    assert found.rows == () and found.doubtful == (15,) and found.median == pytest.approx(1.1, abs=0.01)
    y[15] = 10.82
    assert find(x, y).rows == (15,), "more than any mixture gives"


def test_small_differences_and_few_runs_are_nothing():
    x, y = swarm()
    assert find(x, np.where(np.arange(80) == 5, 2.501, 2.5)).rows == ()
    assert find(x, np.where(np.arange(80) == 5, 10.82, 2.5)).rows == (5,), "equal losses have a scale too"
    assert find(x[:2], np.array([3.0, 1e9])).rows == ()
    assert find(x, -y).rows == (), "negative scores are no divergence"
