"""The one interface behind which every mixing method sits, and the types that cross it.

A method sees domains, token counts and what it asked for in `requires` or `extra_runs`, and answers with a
`MixtureSchedule`. Three kinds fit: weights known at once (uniform), weights computed from a proxy or from
extra runs (Chameleon, RegMix), and weights that move while the base model trains (`online`, Aioli).
Imports no torch: the workflow reads methods while it builds its DAG.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

#: What a method may ask for in `requires`. `embeddings` brings the uniform proxy with it.
REQUIREMENTS = frozenset({"embeddings"})

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
        if any(b <= a for a, b in zip(starts, starts[1:], strict=False)):
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
        starts = [stage.start_step for stage in self.stages] + [max(total_steps, self.stages[-1].start_step)]
        lengths = [
            min(b, total_steps) - min(a, total_steps) for a, b in zip(starts, starts[1:], strict=False)
        ]
        return [(n, dict(s.weights)) for n, s in zip(lengths, self.stages, strict=True) if n > 0]


@dataclass(frozen=True)
class RunSpec:
    """A run that a method needs before it can answer: a proxy trained on a mixture.

    `run_id` is a file name; the run's data order, initialisation and recipe are those of the scenario's
    proxy (same seed), for `steps` optimizer steps (None: the proxy's own number).
    """

    run_id: str
    weights: dict[str, float]
    steps: int | None = None


@dataclass(frozen=True)
class RunResult:
    """What an extra run left: validation loss per domain (nats/token) and its checkpoint folder."""

    weights: dict[str, float]
    losses: dict[str, float]
    model_dir: Path


@dataclass(frozen=True)
class MethodInputs:
    """What a method may look at.

    Attributes:
        domains: k names, in the scenario's order.
        token_counts: tokens in each domain's train split.
        params: the method's defaults overlaid with the config's `method_params`.
        seed: derived for (scenario, method, seed); for draws of the method's own.
        total_steps: optimizer steps of the base run.
        embeddings: k x d float64, rows in the order of `domains`; None unless required.
        runs: results of `extra_runs` by run id.
        start: for a controller, the mixture that `weights` answered; None before that.
    """

    domains: tuple[str, ...]
    token_counts: Mapping[str, int]
    params: Mapping[str, Any]
    seed: int
    total_steps: int
    embeddings: np.ndarray | None = None
    runs: Mapping[str, RunResult] = field(default_factory=dict)
    start: Mapping[str, float] | None = None


@dataclass(frozen=True)
class MethodResult:
    """A method's answer, and what a reader needs to judge it (JSON-able; may be empty)."""

    schedule: MixtureSchedule
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainingState:
    """What an online method sees between two segments of base training.

    Attributes:
        step: optimizer steps done so far.
        total_steps: optimizer steps of the whole run.
        domains: k names.
        validation_losses: evaluates the model now; returns nats/token per domain. Its tokens are counted.
        realised: blocks drawn per domain in the segment just played (empty before the first).
    """

    step: int
    total_steps: int
    domains: tuple[str, ...]
    validation_losses: Callable[[], dict[str, float]]
    realised: dict[str, int]


class Controller(Protocol):
    """The moving part of an online method: asked for the next segment until the steps are used up."""

    def next_segment(self, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return (number of steps >= 1, weights) to train next."""
        ...


class MixingMethod(Protocol):
    """One method. `name` is the registry key, the config key and the {method} wildcard."""

    name: str
    version: int
    requires: frozenset[str]
    online: bool
    defaults: Mapping[str, Any]

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for parameters that cannot work; called while the config is read.

        `facts` holds what is known by then: `tokenizer_fingerprint`.
        """
        ...

    def files(self, params: Mapping[str, Any]) -> list[str]:
        """Return the user's files that the weights depend on; a newer file reruns the method's jobs."""
        ...

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the runs needed, known before anything has run: the DAG stays static."""
        ...

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the schedule; an online method's has one stage, where its controller starts."""
        ...

    def controller(self, inputs: MethodInputs) -> Controller:
        """Return the controller of one base run; online methods only."""
        ...


class Method:
    """Defaults for `MixingMethod`: needs nothing, runs nothing extra, static weights."""

    name: str = ""
    version: int = 1
    requires: frozenset[str] = frozenset()
    online: bool = False
    defaults: Mapping[str, Any] = {}

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        pass

    def files(self, params: Mapping[str, Any]) -> list[str]:
        return []

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        return []

    def weights(self, inputs: MethodInputs) -> MethodResult:
        raise NotImplementedError(f"{type(self).__name__} must define weights()")

    def controller(self, inputs: MethodInputs) -> Controller:
        raise NotImplementedError(f"{type(self).__name__} is online but defines no controller()")
