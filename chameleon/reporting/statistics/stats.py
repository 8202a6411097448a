"""Means, intervals and paired differences over seeds: pure functions, numbers in, numbers out.

What is averaged is always the same thing here: one value per seed, one seed one vote. The intervals are
Student t intervals for the mean over seeds (a bootstrap interval is given as a second opinion). They say how
far the mean would move with other seeds; they say nothing about other corpora, scales or test documents
(`with_item_error` adds what other test items would change, and `with_text_error`, in `documents` beside this,
what other test documents would).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import ArrayLike

LEVEL = 0.95
#: Wanted probability to detect a difference, and where the search for a number of seeds ends.
POWER, MOST_SEEDS = 0.8, 1000
#: Up to here all resamples are enumerated (92,378 multisets at 10), so that the answer involves no draw; of
#: more values so many are drawn.
ENUMERATED, RESAMPLES = 10, 20000


class Estimate(NamedTuple):
    """A mean over seeds. All but `n` in the unit of the values; None stands for what n cannot tell.

    Attributes:
        mean: arithmetic mean of the n values.
        low: lower end of the t interval; None if n < 2.
        high: upper end; None if n < 2.
        sd: standard deviation with n - 1; None if n < 2.
        n: number of values (seeds).
    """

    mean: float
    low: float | None
    high: float | None
    sd: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval: mean ± half_width; None if n < 2."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0; never for a single seed."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return mean and t interval: x̄ ± t_{(1+LEVEL)/2, n−1} · sd / √n.

    Args:
        values: n finite values, one per seed.

    Raises:
        ValueError: no values, or a value that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"values must be a non-empty vector of finite numbers, got {values!r}")
    # fsum: the mean of equal values is that value, so their interval has width 0 exactly.
    mean = math.fsum(x) / x.size
    if x.size == 1:
        return Estimate(mean, None, None, None, 1)
    sd = math.sqrt(math.fsum((x - mean) ** 2) / (x.size - 1))
    half = _t_quantile(x.size - 1) * sd / math.sqrt(x.size)
    return Estimate(mean, mean - half, mean + half, sd, int(x.size))


def bootstrap_interval(values: Sequence[float]) -> Estimate:
    """Return mean and percentile bootstrap interval of the mean, of nominal coverage LEVEL.

    Exact for up to ENUMERATED values (every resample with its probability), drawn beyond. With few values
    it is too narrow, since no resample reaches outside them: of three seeds the 95 % interval is their
    range. The t interval decides; this one shows what changes without its assumption of normality.

    Args:
        values: n finite values, one per seed.

    Raises:
        ValueError: as in `mean_interval`.
    """
    estimate = mean_interval(values)
    if estimate.n == 1:
        return estimate
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = estimate.n
    if n <= ENUMERATED:
        picks = np.array(list(combinations_with_replacement(range(n), n)))
        counts = np.stack([(picks == i).sum(axis=1) for i in range(n)], axis=1)
        ways = scipy.special.gammaln(n + 1) - scipy.special.gammaln(counts + 1).sum(axis=1)
        means, mass = counts @ x / n, np.exp(ways - n * math.log(n))
    else:
        means = np.random.default_rng(0).choice(x, size=(RESAMPLES, n)).mean(axis=1)
        mass = np.full(RESAMPLES, 1 / RESAMPLES)
    order = np.argsort(means, kind="stable")
    cumulative = np.cumsum(mass[order])
    # The smallest mean that holds at least the tail's mass at or below it; 1e-12 forgives the sum's rounding.
    ends = [
        float(means[order][np.searchsorted(cumulative, q - 1e-12)])
        for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    ]
    return estimate._replace(low=ends[0], high=ends[1])


def bounded(estimate: Estimate, low: float, high: float) -> Estimate:
    """Return the estimate with its interval cut to the values that are possible (a rank, a share)."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return estimate._replace(low=max(estimate.low, low), high=min(estimate.high, high))


def probability_below(values: Sequence[float]) -> float | None:
    """Return P(true mean < 0) after seeing the values, in [0, 1].

    Normal values with unknown mean and variance under the flat prior 1/σ: the mean's posterior is
    x̄ + sd/√n · t_{n−1}, so this is F_{t, n−1}(−x̄ √n / sd). It equals one minus the p-value of the one-sided
    paired t test. Equal values leave no doubt: 0, 0.5 or 1. None for a single value, whose spread is unknown.

    Args:
        values: n paired differences, one per seed; negative is better.

    Raises:
        ValueError: as in `mean_interval`.
    """
    estimate = mean_interval(values)
    if estimate.sd is None:
        return None
    if estimate.sd == 0:
        return 0.5 - 0.5 * float(np.sign(estimate.mean))
    return float(scipy.stats.t.cdf(-estimate.mean * math.sqrt(estimate.n) / estimate.sd, estimate.n - 1))


def two_sided_p(values: Sequence[float]) -> float | None:
    """Return the p-value of the two-sided paired t test of `the true mean is zero`, in [0, 1].

    It is below 1 − LEVEL exactly where the interval of `mean_interval` excludes zero. Equal
    values leave no doubt: 0, or 1 if they are 0. None for a single value.

    Args:
        values: n paired differences, one per seed.

    Raises:
        ValueError: as in `mean_interval`.
    """
    below = probability_below(values)
    return None if below is None else 2 * min(below, 1 - below)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: reject those that are at most the level.

    Holm (1979), "A simple sequentially rejective multiple test procedure": whatever the tests' dependence,
    the probability of one false alarm or more among those without effect (the family-wise error) is at most
    the level.
    With p_(1) <= ... <= p_(m): adjusted p_(i) = max over j <= i of min(1, (m − j + 1) · p_(j)).

    Args:
        p_values: m numbers in [0, 1], of one family.

    Raises:
        ValueError: a number outside [0, 1] or NaN.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie between 0 and 1, got {p_values!r}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(x) for x in adjusted]


def sides(samples: Sequence[Sequence[float]]) -> list[int]:
    """Return on which side of zero each sample's true mean surely lies after Holm: −1, +1, or 0 if unsure.

    The p-values are two-sided, from the t statistic that the interval of `mean_interval` is made of, so
    a sample alone is decided exactly where its interval excludes zero. One correction serves both sides: a
    false alarm on either counts.

    Args:
        samples: one family; each holds paired differences, one per seed. A sample of fewer than two values
            decides nothing but counts in the family.
    """
    found = [two_sided_p(values) if len(values) > 1 else None for values in samples]
    adjusted = holm([1.0 if p is None else p for p in found])
    # 1e-12 forgives the rounding of 1 - LEVEL.
    return [
        int(np.sign(mean_interval(values).mean)) if p <= 1 - LEVEL + 1e-12 else 0
        for values, p in zip(samples, adjusted, strict=True)
    ]


def total_variation(a: ArrayLike, b: ArrayLike) -> float:
    """Return ½ Σ_i |a_i − b_i|: the share of the tokens that would go to other domains, in [0, 1]."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).sum() / 2)


def share_below(values: Sequence[float]) -> float:
    """Return the share of values below 0, in [0, 1]; a 0 counts half."""
    x = np.asarray(values, dtype=np.float64)
    return float(((x < 0) + 0.5 * (x == 0)).mean())


def with_item_error(values: Sequence[float], errors: Sequence[float]) -> Estimate:
    """Return the mean over seeds with an interval for other seeds and other test items together.

    All seeds answer the same items, so the items' error does not shrink with the number of seeds: the half
    width is √((z · e)² + (t · sd/√n)²), e the root mean square of `errors`, z and t the two-sided quantiles
    of the normal and of t_{n−1}. With one seed, the items' part alone.

    Args:
        values: n accuracies, one per seed.
        errors: their standard errors over the items.
    """
    estimate = mean_interval(values)
    x = np.asarray(errors, dtype=np.float64)
    of_items = float(scipy.stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(float((x**2).mean()))
    half = math.hypot(of_items, estimate.half_width or 0.0)
    return estimate._replace(low=estimate.mean - half, high=estimate.mean + half)


def seeds_needed(sd: float, difference: float) -> int | None:
    """Return how many seeds a two-sided paired t test needs to see a true `difference`.

    The smallest n >= 2 with P(|T| > t_{(1+LEVEL)/2, n−1}) >= POWER, T noncentral t with n − 1 degrees of
    freedom and noncentrality difference · √n / sd.

    Args:
        sd: standard deviation of the paired differences, > 0 or 0; itself an estimate from few seeds, so
            the answer is a rough one.
        difference: the true difference to detect, not 0, in the unit of `sd`.

    Returns:
        n, or None if more than MOST_SEEDS are needed.
    """

    def enough(n: int) -> bool:
        if sd == 0:
            return True
        critical = scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1)
        shift = abs(difference) * math.sqrt(n) / sd
        detected = scipy.stats.nct.sf(critical, n - 1, shift)
        return math.isnan(detected) or detected >= POWER  # NaN: a shift too large for nct, detected surely

    # Power grows with n.
    n = 2 + bisect_left(range(2, MOST_SEEDS + 1), True, key=enough)
    return n if n <= MOST_SEEDS else None


@cache
def _t_quantile(freedom: int) -> float:
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, freedom))
