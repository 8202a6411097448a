"""R&B's Balance: shares that follow the Gram matrix of the domains' gradients of a round.

arXiv 2505.00358, Algorithm 1. `baselines/rnb.py` says what is played and where it differs from the paper.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.methods.gradients.controller import GradientController
from chameleon.methods.reweighting.weights import by_name, exponentiate
from chameleon.mixing.kept import Kept


class Balance(Kept):
    """The Gram matrix, as far as domains have been seen, and the shares that follow from it.

    Attributes:
        gram: k x k, G_ij = ⟨g_i, g_j⟩ / (|S_i| |S_j|) of the last round that had both domains; zero before.
        seen: k, whether any round had the domain.
    """

    kept = ("gram", "seen")

    def __init__(self, domains: int, strength: float) -> None:
        """
        Args:
            domains: k.
            strength: λ.
        """
        self.strength = strength
        self.gram, self.seen = np.zeros((domains, domains)), np.zeros(domains, dtype=bool)

    def take(self, products: np.ndarray, counts: np.ndarray) -> None:
        """Take a round's k x k inner products of sums over blocks, and the k numbers of blocks.

        A domain without a block keeps its last row and column.
        """
        here = np.ix_(counts > 0, counts > 0)
        self.gram[here] = (products / np.outer(np.maximum(counts, 1), np.maximum(counts, 1)))[here]
        self.seen |= counts > 0

    def shares(self, target: np.ndarray) -> np.ndarray:
        """Return softmax(λ G p / ‖G p‖₂) for the target's proportions p, uniform where G p is zero.

        A domain that was never seen is taken for as good as those seen are on the mean.
        """
        scores = self.gram @ target
        if not self.seen.all() and self.seen.any():
            scores[~self.seen] = scores[self.seen].mean()
        length = np.linalg.norm(scores)
        direction = scores / length if length > 0 else scores
        return exponentiate(np.full(len(scores), 1 / len(scores)), self.strength * direction)

    def self_share(self, target: np.ndarray) -> float:
        """Return Σ_i p_i² G_ii / pᵀGp: what part of the target's squared gradient is domains' own squares.

        The square of a mean over n blocks holds the blocks' variance over n; between domains there is none.
        """
        whole = target @ self.gram @ target
        return float(target**2 @ np.diag(self.gram) / whole) if whole else float("nan")


class RnbController(GradientController):
    """Adds up gradients by domain for a round, then plays what `Balance` says and begins anew."""

    kept = (*GradientController.kept, "balance")

    def __init__(self, start: Mapping[str, float], every: int, strength: float) -> None:
        super().__init__(start, every)
        k = len(self.names)
        self.balance, self.target = Balance(k, strength), np.full(k, 1 / k)

    def update(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the shares after a round, with the Gram matrix's self share and the blocks by domain."""
        groups, counts = range(len(self.names)), self.sums.counts.copy()
        self.balance.take(self.sums.products(groups), counts)
        self.sums.clear(groups)
        share = self.balance.self_share(self.target)
        said = {"self_share": None if np.isnan(share) else share, "blocks": by_name(self.names, counts)}
        return self.balance.shares(self.target), said
