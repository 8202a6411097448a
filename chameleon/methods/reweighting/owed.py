"""What rounding to whole blocks leaves: shares that move every few steps are played exactly in the long run.

Used by ADO's controller and by `segments`.
"""

from collections.abc import Mapping, Sequence

import numpy as np


class Owed:
    """Blocks that domains are owed because a segment holds whole ones; they are added to what is asked next.

    Without it a share below half a block a segment would be played as nothing, however long: an arm that is
    never drawn is never heard of again. It stands for the random draws of a bandit.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.blocks = np.zeros(len(self.names))

    def settle(self, shares: np.ndarray, realised: Mapping[str, int]) -> None:
        """Count what a segment under `shares` drew; never more than a block is owed (a cap may take more)."""
        drawn = np.array([realised[d] for d in self.names], dtype=float)
        self.blocks = np.clip(self.blocks + shares * drawn.sum() - drawn, -1, 1)

    def asked(self, shares: np.ndarray, blocks: float) -> dict[str, float]:
        """Return the weights of the next segment, of so many blocks."""
        wanted = np.maximum(shares * blocks + self.blocks, 0)
        if not wanted.any():
            wanted = shares
        weights = wanted / wanted.sum()
        return {d: float(w) for d, w in zip(self.names, weights, strict=True)}
