"""Domain weights that move by exponentiated gradient during a proxy run, their average and their trajectory.

Used by the objectives of DoReMi and DoGE; what `outcome` returns lands in the run's `result.json`. Domains
are kept in the order of their names, so that the scenario's order cannot change a bit of the result.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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


def thinned(path: Sequence[np.ndarray], names: Sequence[str]) -> dict[str, Any]:
    """Return TRAJECTORY_POINTS of the steps of a path, from 1, and each domain's weights at them."""
    steps = len(path)
    kept = np.unique(np.linspace(0, steps - 1, min(steps, TRAJECTORY_POINTS)).round().astype(int))
    points = np.array([path[i] for i in kept]).reshape(len(kept), len(names))
    return {
        "steps": [int(i) + 1 for i in kept],
        "weights": {d: [round(float(x), 8) for x in points[:, i]] for i, d in enumerate(names)},
    }


class MovingWeights:
    """A point on the simplex, from uniform on, with the mean over steps.

    Attributes:
        names: the domains, sorted.
        alpha: weights in the order of `names`.
    """

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
        self._path: list[np.ndarray] = []

    def rows(self, domains: Sequence[str]) -> np.ndarray:
        """Return the position in `names` of each of `domains`; -1 for one that carries no weight."""
        position = {name: i for i, name in enumerate(self.names)}
        return np.array([position.get(d, -1) for d in domains], dtype=np.int64)

    def move(self, exponent: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
        """Take one step and count it; NaN marks domains never measured. Returns the new weights."""
        self.alpha = exponentiate(self.alpha, neutral_exponent(self.alpha, exponent), smoothing)
        self._sum += self.alpha
        self._terms += 1
        self._path.append(self.alpha)
        return self.alpha

    def state(self) -> dict[str, Any]:
        """Return the weights, their sum and their way."""
        path = np.array(self._path).reshape(len(self._path), len(self.names))
        return {"alpha": self.alpha, "sum": self._sum, "terms": self._terms, "path": path}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.alpha, self._sum, self._terms = state["alpha"], state["sum"], int(state["terms"])
        self._path = list(state["path"])

    @property
    def average(self) -> np.ndarray:
        return self._sum / self._terms if self._terms else self.alpha

    def outcome(self) -> dict[str, Any]:
        """Return `average`, `final` (domain -> weight) and `trajectory`, thinned to TRAJECTORY_POINTS."""
        return {
            "average": self.named(self.average / self.average.sum()),
            "final": self.named(self.alpha),
            "trajectory": thinned(self._path, self.names),
        }

    def named(self, values: np.ndarray) -> dict[str, float | None]:
        """Return domain -> value; None for a domain never measured."""
        return {d: None if np.isnan(x) else float(x) for d, x in zip(self.names, values, strict=True)}
