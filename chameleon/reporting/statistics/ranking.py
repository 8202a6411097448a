"""Ranks in test loss: each mixture's place on every domain and seed, mean ranks, and what they can tell.

Beside `chameleon.reporting.statistics.comparisons`; used by the main table and by the figure of ranks. A rank
is a place among the methods at hand: leave one out, and all others are ranked anew.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from chameleon.reporting.records.tidy import diagnostic, method_order
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import series
from chameleon.reporting.statistics.stats import Estimate

#: With fewer domains than this, blocks are too few for Friedman's test.
FEWEST_BLOCKS = 5


class Places(NamedTuple):
    """Ranks among distinct mixtures, 1 is best, of the seeds that every method has complete.

    Attributes:
        mixtures: the first method of each distinct mixture, in reading order.
        first: {method: the one of `mixtures` whose place it has}.
        values: test perplexity, seeds x mixtures x domains.
        places: its ranks within each seed and domain, of the same shape; equal values share their ranks.
    """

    mixtures: list[str]
    first: dict[str, str]
    values: np.ndarray
    places: np.ndarray


def placed(
    metrics: pd.DataFrame, domains: Sequence[str], same: Mapping[str, str] | None = None
) -> Places | None:
    """Return every method's ranks in test perplexity; None where no seed is complete.

    A mixture that several methods have is ranked once, by the first of them, and all of them have its rank:
    counted twice, it would push the others down for no reason.

    Args:
        metrics: rows of metrics.csv.
        domains: to rank on.
        same: as `comparisons.same_mixture` returns it.
    """
    methods = method_order(metrics["method"])
    first = {m: (same or {}).get(m, m) for m in methods}
    # The first of them may itself have no results.
    first = {m: next(o for o in methods if first[o] == first[m]) for m in methods}
    mixtures = [m for m in methods if first[m] == m]
    rows = metrics[(metrics["metric"] == "perplexity") & metrics["domain_or_task"].isin(domains)]
    every, shown = (
        pd.MultiIndex.from_product([names, domains]) for names in (method_order(rows["method"]), mixtures)
    )
    table = rows.pivot(index="seed", columns=["method", "domain_or_task"], values="value")
    complete = table.reindex(columns=every).dropna()
    if complete.empty:
        return None
    values = complete[shown].to_numpy().reshape(len(complete), len(mixtures), len(domains))
    return Places(mixtures, first, values, scipy.stats.rankdata(values, axis=1))


def ranks(
    metrics: pd.DataFrame, domains: Sequence[str], same: Mapping[str, str] | None = None
) -> dict[str, Estimate]:
    """Return each method's mean rank in test perplexity, 1 is best.

    Of one seed: the rank among all distinct mixtures on every domain, averaged over the domains. The estimate
    is over those numbers, one a seed, of the seeds that every method has. Arguments: those of `placed`.
    """
    found = placed(metrics, domains, same)
    if found is None:
        return {}
    per_seed = found.places.mean(axis=2)
    means = {m: stats.bounded(stats.mean_interval(per_seed[:, i]), 1, len(found.mixtures))
             for i, m in enumerate(found.mixtures)}  # fmt: skip
    return {m: means[first] for m, first in found.first.items()}


def foretold_order(frames: Mapping[str, pd.DataFrame], method: str) -> dict[int, float]:
    """Return, by seed, the rank correlation of what a method foretold of others' mixtures with what came.

    What it foretold is a validation loss, what came the mean test loss of the base models on these mixtures.
    Seeds with fewer than three mixtures, or where one side is constant, are left out.
    """
    told, metrics = diagnostic(frames, "foretold_loss", method), frames["metrics"]
    came = {other: series(metrics, other, "mean", "mean_log_perplexity") for other in set(told["other"])}
    found = {}
    for seed, part in told.groupby("seed"):
        pairs = [(value, came[o][seed]) for o, value in zip(part["other"], part["value"], strict=True)
                 if seed in came[o]]  # fmt: skip
        if len(pairs) > 2 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True)):
            found[int(seed)] = float(scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    return found


def over_both(values: np.ndarray) -> Estimate:
    """Return a mean over seeds and domains with an interval for other seeds and other domains together.

    Half width √((t · sd/√n)² + (t · sd/√k)²), of the n seeds' means and of the k domains' means, each with
    the two-sided quantile of its own t distribution. What is left of the seeds' noise in the domains' means
    counts twice, so that the interval is a little too wide. A bootstrap of both would be too narrow: no
    resample of three seeds reaches outside them.

    Args:
        values: seeds x domains, one number a run and domain.

    Returns:
        `sd` and `n` are those of the seeds; no interval with one seed. One domain adds nothing to it.
    """
    estimate = stats.mean_interval(values.mean(axis=1))
    if estimate.half_width is None:
        return estimate
    half = math.hypot(estimate.half_width, stats.mean_interval(values.mean(axis=0)).half_width or 0.0)
    return estimate._replace(low=estimate.mean - half, high=estimate.mean + half)


def friedman(values: np.ndarray) -> float | None:
    """Return the p-value of Friedman's test of `no method is better`, in Iman's and Davenport's form.

    With χ² = (k − 1) · Σ_j (R_j − N(k + 1)/2)² / Σ_ij (r_ij − (k + 1)/2)² over N blocks (ties included),
    F = (N − 1) χ² / (N (k − 1) − χ²) on k − 1 and (k − 1)(N − 1) degrees of freedom. It takes blocks to be
    independent of each other, and methods to be alike within a block where the hypothesis is true.

    Args:
        values: k methods x N blocks, lower is better.

    Returns:
        None for fewer than two methods or FEWEST_BLOCKS blocks.
    """
    k, n = values.shape
    if k < 2 or n < FEWEST_BLOCKS:
        return None
    apart = scipy.stats.rankdata(values, axis=0) - (k + 1) / 2
    if not apart.any():
        return 1.0
    chi2 = (k - 1) * float((apart.sum(axis=1) ** 2).sum() / (apart**2).sum())
    most = n * (k - 1)
    # Every block in the same order.
    if chi2 >= most - 1e-9:
        return 0.0
    return float(scipy.stats.f.sf((n - 1) * chi2 / (most - chi2), k - 1, (k - 1) * (n - 1)))


@cache
def critical_difference(methods: int, blocks: int) -> float:
    """Return by how much mean ranks must differ for two of the methods to be told apart (Nemenyi's test).

    q · √(k (k + 1) / (6 N)), q the quantile of the studentised range of k means with infinite degrees of
    freedom over √2 (Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006).
    """
    q = float(scipy.stats.studentized_range.ppf(stats.LEVEL, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))
