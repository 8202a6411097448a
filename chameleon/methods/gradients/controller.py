"""A controller that is its run's objective too: it trains on the mean loss, and sees gradients by domain.

What those of R&B and PiKE share: a group of blocks per domain (or several), shares that move from segment to
segment, and what was measured on the way.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.gradients.last_layer import GroupSums
from chameleon.methods.reweighting.segments import Segments
from chameleon.mixing.types import StepInfo, TrainingState

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder


class GradientController:
    """Plays the start for a segment, then shares that `update` moves, segment by segment.

    Attributes:
        names: the domains, sorted, so that the scenario's order cannot change a bit of the result.
        shares: k numbers on the simplex: what is played.
        sums: the gradients since they were cleared.
        history: what was measured, an entry an update.
    """

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
            self.history.append({"step": state.step, "weights": self.named(self.shares), **said})
            return self.shares

        return self.segments.next(state, self.shares, moved)

    def named(self, values: np.ndarray) -> dict[str, float | None]:
        """Return domain -> value; None for NaN."""
        return {d: None if np.isnan(x) else float(x) for d, x in zip(self.names, values, strict=True)}

    def outcome(self) -> dict[str, Any]:
        """Return the history."""
        return {"updates": self.history}

    def state(self) -> dict[str, Any]:
        """Return what later steps and segments depend on."""
        own = {"shares": self.shares, "gradients": self.sums.state(), "history": self.history}
        return own | self.segments.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.shares, self.history = np.array(state["shares"]), list(state["history"])
        self.sums.restore(state["gradients"])
        self.segments.restore(state)
