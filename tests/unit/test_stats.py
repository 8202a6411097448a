"""Intervals, differences, bootstrap, probabilities, ranks and seeds needed, against scipy and by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from chameleon.reporting.statistics.comparisons import difference
from chameleon.reporting.statistics.stats import (
    bootstrap_interval,
    bounded,
    mean_interval,
    probability_below,
    seeds_needed,
    share_below,
    with_item_error,
)

RNG = np.random.default_rng(11)
A, B = RNG.normal(20, 1, 5), RNG.normal(21, 1, 5)


def paired_difference(a, b, metric: str = "mean_log_perplexity"):
    """Return what the tables say of two methods with these values by seed."""
    rows = [(m, "mean", metric, s, x) for m, values in (("a", a), ("b", b)) for s, x in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["method", "domain_or_task", "metric", "seed", "value"])
    return difference(frame, "a", "b", "mean", metric)


def test_interval_by_hand():
    """1, 2, 3: sd 1, t(0.975, 2) = 4.302653, so 2 ± 2.484138."""
    estimate = mean_interval([1, 2, 3])
    assert (estimate.mean, estimate.sd, estimate.n) == (2, 1, 3)
    assert estimate.half_width == pytest.approx(2.4841377, abs=1e-6)
    assert (estimate.low, estimate.high) == pytest.approx((2 - 2.4841377, 2 + 2.4841377))
    assert not estimate.excludes_zero


def test_interval_against_scipy():
    estimate = mean_interval(A)
    expected = scipy.stats.t.interval(0.95, 4, A.mean(), scipy.stats.sem(A))
    assert (estimate.low, estimate.high) == pytest.approx(expected, rel=1e-12)
    assert estimate.excludes_zero


def test_paired_difference_against_scipy():
    test = scipy.stats.ttest_rel(A, B)
    expected = test.confidence_interval(0.95)
    estimate = paired_difference(A, B)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert estimate.excludes_zero == (test.pvalue < 0.05)


def test_pairing_removes_what_the_seeds_share():
    shared = np.array([0.0, 10.0, -10.0, 5.0])
    estimate = paired_difference(shared + [1.0, 1.1, 0.9, 1.0], shared)
    assert estimate.mean == pytest.approx(1)
    assert estimate.excludes_zero and estimate.half_width < 0.2


def test_relative_difference_is_the_mean_of_ratios():
    estimate = paired_difference([11.0, 18.0], [10.0, 20.0], "perplexity")
    assert estimate.mean == pytest.approx(0)
    assert estimate.sd == pytest.approx(math.sqrt(200))


def test_seeds_that_one_method_lacks_are_left_out():
    assert paired_difference([1.0, 2.0, 3.0], [0.5]) == paired_difference([1.0], [0.5])
    assert paired_difference([1.0], []) is None


def test_one_seed_has_no_interval():
    for estimate in (mean_interval([3.5]), paired_difference([3.5], [0.0])):
        assert estimate == (3.5, None, None, None, 1)
        assert estimate.half_width is None and not estimate.excludes_zero


def test_equal_values_have_an_interval_of_width_zero():
    estimate = mean_interval([0.1] * 7)
    assert (estimate.mean, estimate.low, estimate.high, estimate.sd) == (0.1, 0.1, 0.1, 0.0)
    assert not paired_difference(A, A).excludes_zero


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_broken_values(values):
    with pytest.raises(ValueError, match="non-empty vector of finite"):
        mean_interval(values)


def test_seeds_needed_textbook():
    """Paired t test, 5 %, power 0.8: effect 0.5 needs 34 pairs, 0.8 needs 15, 1.0 needs 10."""
    assert [seeds_needed(1.0, d) for d in (0.5, 0.8, -1.0)] == [34, 15, 10]
    assert seeds_needed(2.0, 1.0) == 34


def test_seeds_needed_by_simulation():
    n = seeds_needed(1.0, 1.0)
    draws = np.random.default_rng(0).normal(1.0, 1.0, size=(4000, n))
    seen = np.mean(scipy.stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)
    assert 0.78 < seen < 0.86


def test_seeds_needed_extremes():
    assert seeds_needed(0.0, 1.0) == 2
    assert seeds_needed(1e-9, 1.0) == 2
    assert seeds_needed(1.0, 1e-6) is None


def test_bootstrap_by_hand():
    """1, 2, 6: 27 resamples. Means 1 and 6 have probability 1/27 = 3.7 %: the 95 % interval is the range."""
    estimate = bootstrap_interval([6, 1, 2])
    assert (estimate.mean, estimate.low, estimate.high, estimate.n) == (3, 1, 6, 3)
    # Of four values the least mean has 1/256, and a tail holds 2.5 %: it is crossed by the seventh of 256.
    means = sorted(sum(x) / 4 for x in itertools.product([1, 2, 6, 7], repeat=4))
    estimate = bootstrap_interval([6, 1, 7, 2])
    assert (estimate.low, estimate.high) == pytest.approx((means[math.ceil(0.025 * 256) - 1],
                                                           means[math.ceil(0.975 * 256) - 1]))  # fmt: skip
    assert estimate.low > 1 and estimate.high < 7


def test_exact_bootstrap_agrees_with_drawn_resamples():
    exact = bootstrap_interval([*A, *B])  # ten values: enumerated
    drawn = scipy.stats.bootstrap(([*A, *B],), np.mean, method="percentile", n_resamples=20000,
                                  rng=np.random.default_rng(0)).confidence_interval  # fmt: skip
    assert (exact.low, exact.high) == pytest.approx((drawn.low, drawn.high), abs=0.02)
    more = [*A, *B, 20.5]
    assert bootstrap_interval(more) == bootstrap_interval(more)


def test_bootstrap_extremes():
    assert bootstrap_interval([3.0]) == mean_interval([3.0])
    assert bootstrap_interval([2.0, 2.0])[:3] == (2, 2, 2)


def test_probability_below_is_the_one_sided_paired_t_test():
    test = scipy.stats.ttest_rel(A, B, alternative="less")
    assert probability_below(A - B) == pytest.approx(1 - test.pvalue, rel=1e-12)
    assert probability_below(A - B) + probability_below(B - A) == pytest.approx(1)


def test_probability_below_agrees_with_the_interval():
    """The 95 % interval ends at zero exactly when the probability is 97.5 %."""
    x = np.array([-1.0, -2.0, -3.0])
    assert probability_below(x - mean_interval(x).high) == pytest.approx(0.975)


def test_probability_below_extremes():
    assert probability_below([-1.0]) is None
    assert [probability_below([x, x]) for x in (-1.0, 0.0, 1.0)] == [1, 0.5, 0]


def test_share_below():
    assert share_below([-1, 0, 2, -3]) == 0.625


def test_bounded():
    estimate = bounded(mean_interval([0.9, 1.0, 1.0]), 0, 1)
    assert estimate.high == 1 and 0 < estimate.low < 0.9 and estimate.mean == pytest.approx(0.9667, abs=1e-4)
    assert bounded(mean_interval([0.9]), 0, 1).low is None


def test_item_error_does_not_shrink_with_seeds():
    one, ten = with_item_error([0.5], [0.02]), with_item_error([0.5] * 10, [0.02] * 10)
    assert one.half_width == ten.half_width == pytest.approx(1.959964 * 0.02, rel=1e-6)
    both = with_item_error([0.4, 0.5, 0.6], [0.03, 0.04, 0.05])
    items = 1.959964 * math.sqrt((0.03**2 + 0.04**2 + 0.05**2) / 3)
    assert both.half_width == pytest.approx(
        math.hypot(items, mean_interval([0.4, 0.5, 0.6]).half_width), rel=1e-6
    )
