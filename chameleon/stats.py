"""Means, intervals and paired differences over seeds: pure functions, numbers in, numbers out.

What is averaged is always the same thing here: one value per seed, one seed one vote. The intervals are
Student t intervals for the mean over seeds. They say how far the mean would move with other seeds; they
say nothing about other corpora, scales or test documents.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

LEVEL = 0.95


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


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """Return mean and t interval: x̄ ± t_{(1+level)/2, n−1} · sd / √n.

    Args:
        values: n finite values, one per seed.
        level: coverage of the interval, in (0, 1).

    Raises:
        ValueError: no values, a value that is not finite, or a level outside (0, 1).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"values must be a non-empty vector of finite numbers, got {values!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    # fsum: the mean of equal values is that value, so their interval has width 0 exactly.
    mean = math.fsum(x) / x.size
    if x.size == 1:
        return Estimate(mean, None, None, None, 1)
    sd = math.sqrt(math.fsum((x - mean) ** 2) / (x.size - 1))
    half = float(scipy.stats.t.ppf((1 + level) / 2, x.size - 1)) * sd / math.sqrt(x.size)
    return Estimate(mean, mean - half, mean + half, sd, int(x.size))


def paired_difference(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Estimate:
    """Return mean and t interval of a_i − b_i, in the unit of the values.

    Args:
        a, b: n values each; position i of both belongs to the same seed. Runs of one seed share
            initialisation and data order, so pairing removes what these contribute to the noise.
        level: coverage of the interval.

    Raises:
        ValueError: different lengths, or as in `mean_interval`.
    """
    x, y = _pair(a, b)
    return mean_interval(x - y, level)


def relative_difference(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Estimate:
    """Return mean and t interval of 100 · (a_i − b_i) / b_i, in percent of b.

    Args:
        a, b: n values each, paired by seed; b all positive.
        level: coverage of the interval.

    Raises:
        ValueError: different lengths, a b_i <= 0, or as in `mean_interval`.
    """
    x, y = _pair(a, b)
    if (y <= 0).any():
        raise ValueError(f"the values compared with must be positive, got {y.min()!r}")
    return mean_interval(100 * (x - y) / y, level)


def seeds_needed(
    sd: float, difference: float, level: float = LEVEL, power: float = 0.8, most: int = 1000
) -> int | None:
    """Return how many seeds a two-sided paired t test needs to see a true `difference`.

    The smallest n >= 2 with P(|T| > t_{(1+level)/2, n−1}) >= power, T noncentral t with n − 1 degrees of
    freedom and noncentrality difference · √n / sd.

    Args:
        sd: standard deviation of the paired differences, > 0 or 0; itself an estimate from few seeds, so
            the answer is a rough one.
        difference: the true difference to detect, not 0, in the unit of `sd`.
        level: one minus the rate of false alarms.
        power: wanted probability to detect it.
        most: where the search stops.

    Returns:
        n, or None if more than `most` seeds are needed.

    Raises:
        ValueError: sd negative, difference 0, or not finite.
    """
    if not (math.isfinite(sd) and sd >= 0 and math.isfinite(difference) and difference != 0):
        raise ValueError(f"need sd >= 0 and a difference other than 0, got {sd!r} and {difference!r}")

    def enough(n: int) -> bool:
        if sd == 0:
            return True
        critical = scipy.stats.t.ppf((1 + level) / 2, n - 1)
        shift = abs(difference) * math.sqrt(n) / sd
        detected = scipy.stats.nct.sf(critical, n - 1, shift)
        return math.isnan(detected) or detected >= power  # NaN: a shift too large for nct, detected surely

    if not enough(most):
        return None
    low, high = 2, most
    while low < high:  # power grows with n
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _pair(a: Sequence[float], b: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"paired values must have one length, got {x.shape} and {y.shape}")
    return x, y
