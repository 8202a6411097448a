"""How sure the weights are: intervals by bootstrap, over windows and over documents, and influence.

Embeddings are means of windows drawn at random, so other windows would have given other weights. An interval
is symmetric on the logit scale, the bootstrap's spread times a multiple. The multiple is not the normal
distribution's: weights are a steep function of the scores, so the spread itself depends on which windows were
drawn. It comes from a second bootstrap inside the first (a bootstrap-t): how many of its own spreads lies a
resampled weight from the one at hand? With the normal multiple, 90 % intervals of 64 windows held the
many-window weights in 83 to 88 % of cases (benchmarks/weigh.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chameleon.core.seeds import generator
from chameleon.mixture.settings import Settings, weigh
from chameleon.weighing.kernel import weigh_many

Array = NDArray[np.float64]

#: Resampled sets of windows; of how many the spread is found by resampling again, and how often.
SETS, OUTER, INNER = 1000, 60, 30
#: The same where domains are so many that each set takes long.
MANY, FEWER = 64, (200, 20, 20)
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
    sets, outer, inner = (SETS, OUTER, INNER) if len(rows) <= MANY else FEWER
    domains = [_Groups(rows[name], groups[name], generator(seed, "bootstrap", name)) for name in rows]
    if min(len(domain.sizes) for domain in domains) < 2:
        return Interval(np.full(len(rows), np.nan), np.full(len(rows), np.nan))
    here = _logit(weigh(np.stack([domain.mean for domain in domains]), settings).weights)

    def drawn(number: int, counts: list[Array] | None = None) -> tuple[Array, list[Array]]:
        """Return the logits of so many resampled sets (of `counts`, where given), and the sets."""
        sampled = [d.resample(number, None if counts is None else counts[i]) for i, d in enumerate(domains)]
        embeddings = np.stack([d.means(chosen) for d, chosen in zip(domains, sampled, strict=True)], axis=1)
        return _logit(weigh_many(embeddings, settings)), sampled

    logits, ratios = [], []
    for start in range(0, sets, _AT_ONCE):
        found, sampled = drawn(min(_AT_ONCE, sets - start))
        logits.append(found)
        for one in range(len(found) if start < outer else 0):
            if start + one < outer:
                again, _ = drawn(inner, [counts[one] for counts in sampled])
                ratios.append(np.abs(found[one] - here) / np.maximum(again.std(axis=0), _TINY))
    # One multiple for all domains: of each by itself it would be noisier than it differs between them.
    multiple = float(np.quantile(ratios, confidence))
    reach = multiple * np.concatenate(logits).std(axis=0)
    return Interval(_weight(here - reach), _weight(here + reach))


class _Groups:
    """Windows of one domain, as sums over the groups that are drawn together."""

    def __init__(self, windows: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> None:
        # Equal windows count once, as in the embedding itself.
        kept = np.unique(windows, axis=0, return_index=True)[1]
        _, group = np.unique(groups[kept], return_inverse=True)
        self.sizes = np.bincount(group).astype(float)
        self.sums = np.zeros((len(self.sizes), windows.shape[1]))
        np.add.at(self.sums, group, windows[kept].astype(np.float64))
        # A stream of its own for each domain: one that comes or goes moves no other's.
        self._rng = rng

    @property
    def mean(self) -> Array:
        found: Array = self.sums.sum(axis=0) / self.sizes.sum()
        return found

    def resample(self, number: int, counts: Array | None) -> Array:
        """Return how often each group is in each of so many sets, drawn from all groups or from a set."""
        n = len(self.sizes)
        shares = np.full(n, 1 / n) if counts is None else counts / n
        return self._rng.multinomial(n, shares, number).astype(float)

    def means(self, counts: Array) -> Array:
        """Return the mean window of each set, sets x d."""
        found: Array = (counts @ self.sums) / (counts @ self.sizes)[:, None]
        return found


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
