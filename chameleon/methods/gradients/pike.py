"""PiKE's rule: shares grow with a domain's squared gradient and fall with its gradient's variance.

arXiv 2502.06244. `baselines/pike.py` says what is played and where it differs from the paper.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.methods.gradients.controller import GradientController
from chameleon.methods.reweighting.weights import by_name, exponentiate, neutral_exponent


def estimates(products: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return unbiased estimates of ‖∇L‖² and of σ², the variance of a block's gradient, from two halves.

    ‖∇L‖² ≈ ⟨g_a, g_b⟩, as the halves' noise is independent; σ² ≈ n (‖g‖² - ⟨g_a, g_b⟩), with g the mean of
    all n blocks, whose square is ‖∇L‖² + σ²/n on the mean. Either may come out negative.

    Args:
        products: 2 x 2 inner products of the halves' sums over blocks.
        counts: blocks in each half, at least one.
    """
    n = float(counts.sum())
    squared = float(products[0, 1]) / float(counts.prod())
    return squared, n * (float(products.sum()) / n**2 - squared)


def exponent(squared: np.ndarray, variance: np.ndarray, blocks: int, zetas: Sequence[float]) -> np.ndarray:
    """Return (ζ1 ‖∇L_k‖² - ζ2/(2b) σ_k²) / s for k domains; NaN where there is no estimate.

    s, the mean over domains of |‖∇L_k‖²| + |σ_k²|/(2b), makes ζ numbers without a unit: neither the size of
    the model nor the scale of its loss counts.

    Args:
        squared, variance: k estimates.
        blocks: b, of a step.
        zetas: ζ1, ζ2.
    """
    noise = variance / (2 * blocks)
    if np.isnan(squared).all():
        return squared
    scale = float(np.nanmean(np.abs(squared) + np.abs(noise))) or 1.0
    found: np.ndarray = (zetas[0] * squared - zetas[1] * noise) / scale
    return found


class PikeController(GradientController):
    """Estimates both numbers as blocks come, and moves the shares by their means over a segment.

    A domain's blocks go to its halves in turns. At the end of the first step after which it has two of them
    or more, they make an estimate, and the next one begins.
    """

    kept = (*GradientController.kept, "totals", "means", "counts", "blocks")

    def __init__(self, start: Mapping[str, float], every: int, zetas: Sequence[float]) -> None:
        """
        Args:
            start: shares by domain.
            every: T0, steps of a segment.
            zetas: ζ1, ζ2.
        """
        super().__init__(start, every, groups=2)
        k, self.zetas = len(self.names), tuple(zetas)
        #: k x 2, of the two estimates: sums over the segment, and the last segment's means.
        self.totals, self.means = np.zeros((k, 2)), np.full((k, 2), np.nan)
        self.counts = np.zeros(k, dtype=np.int64)
        self.blocks = 0

    def owners(self, rows: Sequence[int]) -> list[int]:
        """Return 2 i or 2 i + 1 for a block of domain i, in turns."""
        seen = self.sums.counts.reshape(-1, 2).sum(axis=1)
        found = []
        for row in rows:
            found.append(2 * row + int(seen[row] % 2))
            seen[row] += 1
        return found

    def heard(self, blocks: int) -> None:
        """Estimate where there are two blocks."""
        self.blocks = blocks
        halves = self.sums.counts.reshape(-1, 2)
        due = np.flatnonzero(halves.min(axis=1) > 0)
        groups = [2 * i + half for i in due.tolist() for half in (0, 1)]
        if not groups:
            return
        products = self.sums.products(groups)
        for at, i in enumerate(due):
            own = slice(2 * at, 2 * at + 2)
            self.totals[i] += estimates(products[own, own], halves[i])
        self.counts[due] += 1
        self.sums.clear(groups)

    def update(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return w_k e^x_k, normalised. Without an estimate the last one counts, before the first none."""
        new = self.counts > 0
        self.means[new] = self.totals[new] / self.counts[new, None]
        x = neutral_exponent(
            self.shares, exponent(self.means[:, 0], self.means[:, 1], self.blocks, self.zetas)
        )
        said = {
            "squared_gradient": by_name(self.names, self.means[:, 0]),
            "variance": by_name(self.names, self.means[:, 1]),
            "estimates": {d: int(n) for d, n in zip(self.names, self.counts, strict=True)},
        }
        self.totals[:], self.counts[:] = 0, 0
        return exponentiate(self.shares, x), said
