"""A controller that is its run's objective too: it trains on the mean loss, and sees gradients by domain.

What those of R&B and PiKE share: a group of blocks per domain (or several), shares that move from segment to
segment, and what was measured on the way.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.gradients.last_layer import GroupSums
from chameleon.methods.reweighting.segments import Segments
from chameleon.methods.reweighting.weights import by_name
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import StepInfo, TrainingState

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder


class GradientController(Kept):
    """Plays the start for a segment, then shares that `update` moves, segment by segment.

    Attributes:
        names: the domains, sorted, so that the scenario's order cannot change a bit of the result.
        shares: k numbers on the simplex: what is played.
        sums: the gradients since they were cleared.
        history: what was measured, an entry an update.
    """

    kept: tuple[str, ...] = ("shares", "sums", "history", "segments")

    def __init__(self, start: Mapping[str, float], every: int, groups: int = 1) -> None:
        """
        Args:
            start: shares by domain.
            every: steps of a segment.
            groups: per domain; those of the i-th are i · groups and the ones after it.
        """
        self.names = tuple(sorted(start))
        self.shares = np.array([float(start[d]) for d in self.names])
        self.segments = Segments(self.names, every, every)
        self.sums = GroupSums(groups * len(self.names))
        self.history: list[dict[str, Any]] = []

    def owners(self, rows: Sequence[int]) -> Sequence[int]:
        """Return the group of each of a batch's blocks; `rows`: positions of their domains in `names`."""
        return rows

    def heard(self, blocks: int) -> None:
        """Look at the gradients after a step of so many blocks."""

    def update(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the next segment's shares, and what else belongs to the history (JSON-able)."""
        raise NotImplementedError

    @property
    def extra_flops(self) -> float:
        return self.sums.extra_flops

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the mean loss's gradient in `.grad`; see `chameleon.mixing.Objective`."""
        row = {name: i for i, name in enumerate(self.names)}
        loss = self.sums.step(model, tokens, targets, self.owners([row[d] for d in domains]), info.parts)
        self.heard(len(tokens))
        return loss

    def next_segment(self, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return the next segment's steps and weights."""

        def moved() -> np.ndarray:
            self.shares, said = self.update()
            weights = by_name(self.names, self.shares)
            self.history.append({"step": state.step, "weights": weights, **said})
            return self.shares

        return self.segments.next(state, self.shares, moved)

    def outcome(self) -> dict[str, Any]:
        """Return the history."""
        return {"updates": self.history}
