"""Domain weights that move by exponentiated gradient during a proxy run, their average and their trajectory.

Used by the objectives of DoReMi and DoGE; what `outcome` returns lands in the run's `result.json`. Domains
are kept in the order of their names, so that the scenario's order cannot change a bit of the result.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chameleon.mixing.kept import Kept

#: Points per domain that a trajectory keeps in an outcome.
TRAJECTORY_POINTS = 50

#: Weights below this are taken for it inside the logarithm.
_TINY = 1e-300


def exponentiate(alpha: np.ndarray, exponent: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Return (1 - c) · α e^x / Σ α e^x + c / k.

    The update of DoReMi (x = η · excess) and of DoGE (x = η W / μ, the mirror step under Σ α log α).

    Args:
        alpha: k weights on the simplex.
        exponent: k finite numbers x.
        smoothing: c, the share of the uniform mixture.
    """
    logits = np.log(np.maximum(alpha, _TINY)) + exponent
    moved = np.exp(logits - logits.max())
    return (1 - smoothing) * moved / moved.sum() + smoothing / len(alpha)


def neutral_exponent(alpha: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Replace NaN (never measured) by the number that leaves such a domain's share as it was.

    That is the α-weighted log-mean-exp of what was measured: the measured domains move among themselves and
    keep their common mass. Zero would push an unseen domain down, as if it had been measured and found to
    have no excess at all.
    """
    known = ~np.isnan(exponent)
    if known.all():
        return exponent
    if not known.any():
        return np.zeros_like(exponent)
    x, a = exponent[known], np.maximum(alpha[known], _TINY)
    neutral = x.max() + np.log((a * np.exp(x - x.max())).sum() / a.sum())
    return np.where(known, exponent, neutral)


class Trajectory:
    """Numbers of the domains, step by step.

    Attributes:
        rows: of every step, k.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.rows: list[np.ndarray] = []

    def thinned(self) -> dict[str, Any]:
        """Return TRAJECTORY_POINTS of the steps, from 1, and each domain's numbers at them."""
        steps = len(self.rows)
        kept = np.unique(np.linspace(0, steps - 1, min(steps, TRAJECTORY_POINTS)).round().astype(int))
        points = np.array([self.rows[i] for i in kept]).reshape(len(kept), len(self.names))
        return {
            "steps": [int(i) + 1 for i in kept],
            "weights": {d: [round(float(x), 8) for x in points[:, i]] for i, d in enumerate(self.names)},
        }

    def state(self) -> np.ndarray:
        """Return the rows as one array: of many small ones a state would be slow to write."""
        return np.array(self.rows).reshape(len(self.rows), len(self.names))

    def restore(self, state: np.ndarray) -> None:
        """Go on from what `state` returned."""
        self.rows = list(state)


def by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    """Return domain -> value; None for one that is not finite, as of a domain never measured."""
    return {d: float(x) if np.isfinite(x) else None for d, x in zip(names, values, strict=True)}


class MovingWeights(Kept):
    """A point on the simplex, from uniform on, with the mean over steps.

    Attributes:
        names: the domains, sorted.
        alpha: weights in the order of `names`.
    """

    kept = ("alpha", "_sum", "_terms", "_path")

    def __init__(self, domains: Sequence[str], average_counts_start: bool = False) -> None:
        """
        Args:
            domains: k >= 1 distinct names.
            average_counts_start: whether the mean has T + 1 terms, the uniform start among them (DoReMi's
                code), or T terms (its paper).
        """
        self.names = tuple(sorted(domains))
        k = len(self.names)
        self.alpha = np.full(k, 1 / k)
        self._sum = self.alpha.copy() if average_counts_start else np.zeros(k)
        self._terms = int(average_counts_start)
        self._path = Trajectory(self.names)

    def rows(self, domains: Sequence[str]) -> np.ndarray:
        """Return the position in `names` of each of `domains`; -1 for one that carries no weight."""
        position = {name: i for i, name in enumerate(self.names)}
        return np.array([position.get(d, -1) for d in domains], dtype=np.int64)

    def move(self, exponent: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
        """Take one step and count it; NaN marks domains never measured. Returns the new weights."""
        self.alpha = exponentiate(self.alpha, neutral_exponent(self.alpha, exponent), smoothing)
        self._sum += self.alpha
        self._terms += 1
        self._path.rows.append(self.alpha)
        return self.alpha

    @property
    def average(self) -> np.ndarray:
        return self._sum / self._terms if self._terms else self.alpha

    def outcome(self) -> dict[str, Any]:
        """Return `average`, `final` (domain -> weight) and `trajectory`, thinned to TRAJECTORY_POINTS."""
        return {
            "average": by_name(self.names, self.average / self.average.sum()),
            "final": by_name(self.names, self.alpha),
            "trajectory": self._path.thinned(),
        }
