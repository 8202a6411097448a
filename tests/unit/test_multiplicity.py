"""Holm's procedure by hand, on which side means lie after it, and its family-wise error in a simulation."""

import numpy as np
import pytest

from chameleon.reporting.statistics.stats import holm, mean_interval, sides, two_sided_p


def test_holm_by_hand():
    """0.01, 0.04, 0.03, 0.005 of a family of four.

    In rising order 0.005 · 4 = 0.02, 0.01 · 3 = 0.03, 0.03 · 2 = 0.06, and 0.04 · 1 = 0.04, which may not be
    less than the one before it: 0.06.
    """
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1] and holm([0.03]) == [0.03] and holm([]) == []


@pytest.mark.parametrize("wrong", [[-0.1], [1.1], [0.5, float("nan")]])
def test_holm_refuses_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(wrong)


def test_one_sample_is_decided_where_its_interval_excludes_zero():
    rng = np.random.default_rng(5)
    decided = set()
    for values in rng.normal(1, 0.6, size=(200, 3)) * rng.choice([-1, 1], size=(200, 1)):
        estimate = mean_interval(values)
        (side,) = sides([values])
        assert (side != 0) is estimate.excludes_zero and side in (0, np.sign(estimate.mean))
        decided.add(side)
    assert decided == {-1, 0, 1}


def test_p_value_against_scipy_and_by_hand():
    from scipy.stats import ttest_1samp

    assert two_sided_p([1, 2, 3]) == pytest.approx(ttest_1samp([1, 2, 3], 0).pvalue)
    assert two_sided_p([0, 0, 0]) == 1 and two_sided_p([2, 2]) == 0 and two_sided_p([2]) is None


def test_a_sample_that_decides_nothing_counts_in_the_family():
    weak = (1 - 0.3535, 1.0, 1 + 0.3535)  # p = 0.039
    assert sides([weak]) == [1] and sides([weak, ()]) == [0, 0] and sides([weak, (3.0,)]) == [0, 0]
    assert sides([weak, (-2.0, -2.0, -2.0)]) == [1, -1]


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_family_wise_error_without_any_effect(shared):
    """Seven domains, three seeds, nothing true: one false alarm or more in at most 5 % of 1,500 claims.

    Also when domains of a seed move together. The margin is three standard errors of the simulated rate.
    Intervals by themselves would raise one in about 30 %.
    """
    rng = np.random.default_rng(0)
    claims, domains, seeds = 1500, 7, 3
    noise = rng.normal(size=(claims, domains, seeds)) + shared * rng.normal(size=(claims, 1, seeds))
    alarms = np.mean([any(sides(claim)) for claim in noise])
    alone = np.mean([any(sides([sample]) != [0] for sample in claim) for claim in noise[:300]])
    assert alarms <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / claims) and alone > 0.15
