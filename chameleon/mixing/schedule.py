"""Domain weights over the course of a run: a schedule of stages, each on the simplex."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

#: Weights must sum to one up to float64 rounding over a few thousand domains.
SIMPLEX_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Stage:
    """Domain weights (dimensionless, on the simplex) in force from `start_step` on."""

    start_step: int
    weights: dict[str, float]

    def __post_init__(self) -> None:
        if self.start_step < 0:
            raise ValueError(f"start_step {self.start_step} is negative")
        if not self.weights:
            raise ValueError("a mixture needs at least one domain")
        bad = {d: w for d, w in self.weights.items() if not (math.isfinite(w) and w >= 0)}
        if bad:
            raise ValueError(f"weights must be finite and non-negative, got {bad}")
        total = math.fsum(self.weights.values())
        if abs(total - 1) > SIMPLEX_TOLERANCE:
            raise ValueError(f"weights sum to {total!r}, not to 1")


@dataclass(frozen=True)
class MixtureSchedule:
    """Stages in order of `start_step`; the first starts at step 0, all name the same domains."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].start_step != 0:
            raise ValueError("the first stage of a schedule starts at step 0")
        starts = [stage.start_step for stage in self.stages]
        if any(b <= a for a, b in pairwise(starts)):
            raise ValueError(f"start steps must increase, got {starts}")
        if any(set(stage.weights) != set(self.stages[0].weights) for stage in self.stages):
            raise ValueError("all stages of a schedule name the same domains")

    @classmethod
    def static(cls, weights: Mapping[str, float]) -> "MixtureSchedule":
        """Return the schedule of one stage."""
        return cls((Stage(0, {d: float(w) for d, w in weights.items()}),))

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.stages[0].weights)

    def segments(self, total_steps: int) -> list[tuple[int, dict[str, float]]]:
        """Return (number of steps, weights) per stage, cut at `total_steps`."""
        starts = [*(min(stage.start_step, total_steps) for stage in self.stages), total_steps]
        lengths = [b - a for a, b in pairwise(starts)]
        return [(n, dict(s.weights)) for n, s in zip(lengths, self.stages, strict=True) if n > 0]
