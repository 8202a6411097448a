"""How an online method's moving shares are played: where they start, and segments of whole blocks.

Used by the controllers of ODM, R&B and PiKE.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.methods.reweighting.owed import Owed
from chameleon.mixing.types import MethodInputs, TrainingState


def start(inputs: MethodInputs) -> dict[str, float]:
    """Return the weights of the method that the parameter `prior` names; null: uniform ones."""
    prior = inputs.params["prior"]
    if prior is None:
        return {d: 1 / len(inputs.domains) for d in inputs.domains}
    return {d: float(inputs.others[prior][d]) for d in inputs.domains}


def lengths(inputs: MethodInputs) -> dict[str, int]:
    """Return `update_steps`, the steps of a segment (null: a thirtieth of the run), and the `updates`."""
    given = inputs.params["update_steps"]
    every = max(1, inputs.total_steps // 30) if given is None else int(given)
    return {"update_steps": every, "updates": math.ceil(inputs.total_steps / every) - 1}


class Segments:
    """Cuts a run into segments; what rounding to whole blocks leaves is owed to the next one."""

    def __init__(self, names: Sequence[str], first: int, every: int) -> None:
        """
        Args:
            names: of the domains, in the order of the shares.
            first: steps of the first segment.
            every: steps of all others; the last is as long as the run allows.
        """
        self.owed = Owed(names)
        self.first, self.every = first, every
        #: Steps of the segment being played; 0 before the first.
        self.length = 0

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
        a_step = sum(state.realised.values()) / self.length
        self.length = min(self.every, left)
        return self.length, self.owed.asked(update(), a_step * self.length)

    def state(self) -> dict[str, Any]:
        """Return what later segments depend on."""
        return {"owed": self.owed.blocks, "length": self.length}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.owed.blocks, self.length = np.array(state["owed"]), int(state["length"])
