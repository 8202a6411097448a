"""Distances between weights and where their spread comes from: pure functions on arrays."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from chameleon.reporting.statistics.stats import total_variation

Array = np.ndarray


def pairwise(weights: Sequence[Array]) -> list[float]:
    """Return the total variation distance of every pair; empty for fewer than two."""
    return [total_variation(a, b) for a, b in combinations(weights, 2)]


def repetition(sd: Array) -> float:
    """Return the expected total variation distance between two repetitions of a recipe.

    Two independent repetitions differ by N(0, 2 sd_i²) in domain i, of mean absolute value 2 sd_i/√π: the
    expected distance is Σ_i sd_i / √π. Assumes normal deviations.

    Args:
        sd: k standard deviations of the weights over repetitions.
    """
    return float(np.sum(sd) / math.sqrt(math.pi))


def jackknife_sd(statistic: Callable[[Array], Array], values: Array) -> Array:
    """Return the standard deviation of a statistic of n independent values, by leaving one out.

    sd² = (n−1)/n Σ_i (t_{−i} − t̄)², elementwise. For a mean this is the usual sd/√n.

    Args:
        statistic: maps m x ... values to k numbers.
        values: n x ... with n >= 2.
    """
    n = len(values)
    left_out = np.array([statistic(np.delete(values, i, axis=0)) for i in range(n)])
    return np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))


def disjoint(statistic: Callable[[Array], Array], values: Array, size: int) -> list[float]:
    """Return distances between the statistic of two disjoint groups of `size` values, for every such pair."""
    found = []
    for one in combinations(range(len(values)), size):
        rest = [i for i in range(len(values)) if i not in one and i > one[0]]
        for other in combinations(rest, size):
            found.append(total_variation(statistic(values[list(one)]), statistic(values[list(other)])))
    return found


def variance_components(crossed: Array) -> dict[str, Array]:
    """Split the variance of weights over proxies and window draws, every proxy with every draw.

    Random effects without replication: y_pw = μ + a_p + b_w + e_pw. With mean squares MS,
    σ²_proxy = (MS_p − MS_e)/W, σ²_windows = (MS_w − MS_e)/P, σ²_both = MS_e: what a draw does to one proxy
    and not to another. The last entry of each array pools the domains (sums of mean squares). Negative
    estimates are reported as 0.

    Args:
        crossed: P x W x k weights, P, W >= 2.

    Returns:
        {"proxy", "windows", "both"}: k + 1 variances each.
    """
    y = np.asarray(crossed, dtype=np.float64)
    p, w, _ = y.shape
    mean = y.mean(axis=(0, 1))
    rows, columns = y.mean(axis=1), y.mean(axis=0)
    ms_p = w * ((rows - mean) ** 2).sum(axis=0) / (p - 1)
    ms_w = p * ((columns - mean) ** 2).sum(axis=0) / (w - 1)
    rest = y - rows[:, None] - columns[None] + mean
    ms_e = (rest**2).sum(axis=(0, 1)) / ((p - 1) * (w - 1))
    ms_p, ms_w, ms_e = (np.append(ms, ms.sum()) for ms in (ms_p, ms_w, ms_e))
    return {
        "proxy": np.maximum(0.0, (ms_p - ms_e) / w),
        "windows": np.maximum(0.0, (ms_w - ms_e) / p),
        "both": ms_e,
    }
