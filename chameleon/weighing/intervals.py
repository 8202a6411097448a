"""How sure the weights are: intervals by bootstrap, over windows and over documents, and influence.

Embeddings are means of windows drawn at random, so other windows would have given other weights. An interval
is normal on the logit scale, with the bootstrap's spread, moved by the bootstrap's bias: noise in the means
makes domains look further apart than they are. Percentiles held the many-window weights of the domain with
the largest weight less often (benchmarks/weigh_coverage.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from chameleon.core.seeds import generator
from chameleon.weighing.kernel import Settings, weigh, weigh_many

Array = NDArray[np.float64]

#: Resampled sets of windows; fewer where domains are so many that each takes long.
SETS = 1000
_FEWER = (64, 200)
#: Sets of embeddings that are weighed at once.
_AT_ONCE = 50
#: Weights nearer to 0 and 1 than this have no finite logit.
_TINY = 1e-300


@dataclass(frozen=True)
class Interval:
    """Ends of the weights' intervals, k each; NaN where there is one window or document."""

    low: Array
    high: Array

    @property
    def widest(self) -> float:
        """Half the width of the widest; infinite where one is not known."""
        half = (self.high - self.low) / 2
        return float(half.max()) if np.isfinite(half).all() else float("inf")


def bootstrap(
    rows: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray],
    settings: Settings,
    confidence: float,
    seed: int,
) -> Interval:
    """Return intervals of the weights.

    Args:
        rows: windows of every domain, n_i x d.
        groups: for every window, the number of the group that it is drawn with: its own for a bootstrap over
            windows, its document's for one over documents.
        settings: how weights are made.
        confidence: of each interval by itself.
        seed: of the resampling.
    """
    sets = SETS if len(rows) <= _FEWER[0] else _FEWER[1]
    sums, sizes = {}, {}
    for name, windows in rows.items():
        # Equal windows count once, as in the embedding itself.
        kept = np.unique(windows, axis=0, return_index=True)[1]
        _, group = np.unique(groups[name][kept], return_inverse=True)
        sizes[name] = np.bincount(group).astype(float)
        sums[name] = np.zeros((len(sizes[name]), windows.shape[1]))
        np.add.at(sums[name], group, windows[kept].astype(np.float64))
    centre = np.stack([sums[name].sum(axis=0) / sizes[name].sum() for name in rows])
    found = []
    # A stream of its own for each, so that a domain that comes or goes moves no other's.
    rngs = {name: generator(seed, "bootstrap", name) for name in rows}
    for start in range(0, sets, _AT_ONCE):
        many = min(_AT_ONCE, sets - start)
        embeddings = np.empty((many, *centre.shape))
        for i, name in enumerate(rows):
            n = len(sizes[name])
            counts = rngs[name].multinomial(n, np.full(n, 1 / n), many)
            embeddings[:, i] = (counts @ sums[name]) / (counts @ sizes[name])[:, None]
        found.append(weigh_many(embeddings, settings))
    few = min(len(n) for n in sizes.values())
    if few < 2:
        return Interval(np.full(len(rows), np.nan), np.full(len(rows), np.nan))
    drawn, here = _logit(np.concatenate(found)), _logit(weigh(centre, settings).weights)
    # A resampled mean varies by (n − 1)/n of a mean's variance.
    spread = drawn.std(axis=0) * np.sqrt(few / (few - 1)) * stats.t.ppf((1 + confidence) / 2, few - 1)
    middle = 2 * here - drawn.mean(axis=0)
    return Interval(_weight(middle - spread), _weight(middle + spread))


def without(embeddings: Array, settings: Settings) -> Array:
    """Return the weights with each domain left out: k x k, row i without domain i (0 on the diagonal).

    For two domains and more; one domain gives the zero matrix.
    """
    k = len(embeddings)
    found = np.zeros((k, k))
    for i in range(k if k > 1 else 0):
        others = np.delete(np.arange(k), i)
        found[i, others] = weigh(embeddings[others], settings).weights
    return found


def influence(weights: Array, left_out: Array) -> Array:
    """Return for each domain the total variation (0 to 1) between the others' weights with and without it.

    With it, they are taken in proportion to each other.
    """
    found = np.zeros(len(weights))
    for i in range(len(weights)):
        others = np.delete(weights, i)
        if (total := others.sum()) > 0:
            found[i] = np.abs(others / total - np.delete(left_out[i], i)).sum() / 2
    return found


def _logit(weights: Array) -> Array:
    return np.log(np.maximum(weights, _TINY)) - np.log(np.maximum(1 - weights, _TINY))


def _weight(logits: Array) -> Array:
    with np.errstate(over="ignore"):
        found: Array = 1 / (1 + np.exp(-logits))
    return found
