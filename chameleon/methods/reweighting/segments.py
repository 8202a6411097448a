"""How an online method's moving shares are played: where they start, and segments of whole blocks.

Used by the controllers of ADO, ODM, R&B and PiKE.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chameleon.mixing.kept import Kept
from chameleon.mixing.types import MethodInputs, TrainingState


def start(inputs: MethodInputs) -> dict[str, float]:
    """Return the weights of the method that the parameter `prior` names, if any; uniform ones otherwise."""
    prior = inputs.params.get("prior")
    if prior is None:
        return {d: 1 / len(inputs.domains) for d in inputs.domains}
    if prior not in inputs.others:
        raise ValueError(f"a run needs the weights of {prior!r}, got those of {sorted(inputs.others)}")
    return {d: float(inputs.others[prior][d]) for d in inputs.domains}


def lengths(inputs: MethodInputs) -> dict[str, int]:
    """Return `update_steps`, the steps of a segment (null: a thirtieth of the run), and the `updates`."""
    given = inputs.params["update_steps"]
    every = max(1, inputs.total_steps // 30) if given is None else int(given)
    return {"update_steps": every, "updates": math.ceil(inputs.total_steps / every) - 1}


class Owed(Kept):
    """Blocks that domains are owed because a segment holds whole ones; they are added to what is asked next.

    Without it a share below half a block a segment would be played as nothing, however long: an arm that is
    never drawn is never heard of again. It stands for the random draws of a bandit.
    """

    kept = ("blocks",)

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


class Segments(Kept):
    """Cuts a run into segments; what rounding to whole blocks leaves is owed to the next one.

    Attributes:
        length: steps of the segment being played, or to be played next; 0 before the first.
        played: steps of the segment before.
        a_step: blocks of one of its steps.
    """

    kept = ("owed", "length")

    def __init__(self, names: Sequence[str], first: int, every: int) -> None:
        """
        Args:
            names: of the domains, in the order of the shares.
            first: steps of the first segment.
            every: steps of all others; the last is as long as the run allows.
        """
        self.owed = Owed(names)
        self.first, self.every = first, every
        self.length = self.played = 0
        self.a_step = 0.0

    def next(
        self, state: TrainingState, shares: np.ndarray, update: Callable[[], np.ndarray]
    ) -> tuple[int, dict[str, float]]:
        """Return the next segment's steps and weights.

        Args:
            state: of the run.
            shares: what was played last; before the first segment: what it is to play.
            update: returns the shares to play next; not called before the first segment.
        """
        left = state.total_steps - state.step
        if not self.length:
            self.length = min(self.first, left)
            return self.length, self.owed.asked(shares, 0)
        self.owed.settle(shares, state.realised)
        self.played, self.a_step = self.length, sum(state.realised.values()) / self.length
        self.length = min(self.every, left)
        return self.length, self.owed.asked(update(), self.a_step * self.length)
