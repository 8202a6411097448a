"""The one interface behind which every mixing method sits, and the types that cross it.

A method sees domains, token counts and what it asked for in `requires` or `extra_runs`, and answers with a
`MixtureSchedule`. Four kinds fit: weights known at once (uniform); weights computed from a proxy's embeddings
(Chameleon); weights computed from extra runs (RegMix's swarm; DoReMi and DoGE, whose proxies are trained
under an `Objective` of the method's own); weights that move while the base model trains (`online`, Aioli).
Imports no torch: the workflow reads methods while it builds its DAG.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.model import Decoder

#: What a method may ask for in `requires`. `embeddings` brings the scenario's proxy with it.
REQUIREMENTS = frozenset({"embeddings"})

#: In `RunSpec.after`: the proxy trained on the uniform mixture of the scenario's own domains.
REFERENCE = "reference"

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
    """A run that a method needs before it can answer: a small model trained on a mixture.

    The run's data order, initialisation and recipe are those of the scenario's proxy (same seed).

    Attributes:
        run_id: a file name.
        weights: the mixture its data are drawn from; None: `Method.run_weights` decides once the runs in
            `after` are done.
        steps: optimizer steps; None: those of its `scale`, or the proxy's own number.
        scale: name in the config's `scales`; None: the scenario's proxy scale.
        after: runs that must be done before, by run id, and REFERENCE for the uniform proxy.
        objective: trained under `Method.objective` instead of the mean loss of the batch.
        swarm: one of many small runs: trained with others by one worker process, leaves no checkpoint.
    """

    run_id: str
    weights: dict[str, float] | None
    steps: int | None = None
    scale: str | None = None
    after: tuple[str, ...] = ()
    objective: bool = False
    swarm: bool = False


@dataclass(frozen=True)
class RunResult:
    """What an extra run left.

    Attributes:
        weights: the mixture it was trained on.
        losses: validation loss per domain (nats/token) at its end.
        model_dir: its checkpoint folder; None for a run of a swarm.
        outcome: what its objective answered; empty without one.
    """

    weights: dict[str, float]
    losses: dict[str, float]
    model_dir: Path | None
    outcome: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInputs:
    """What a method may look at while one of its extra runs is set up.

    Attributes:
        run: the run.
        domains: k names, in the scenario's order.
        token_counts: tokens in each domain's train split.
        params: the method's parameters.
        seed: derived for (scenario, method, seed).
        earlier: results of the runs in `run.after`, by run id (REFERENCE among them).
    """

    run: RunSpec
    domains: tuple[str, ...]
    token_counts: Mapping[str, int]
    params: Mapping[str, Any]
    seed: int
    earlier: Mapping[str, RunResult]


@dataclass(frozen=True)
class StepInfo:
    """Where a run stands when its objective is asked for gradients.

    Attributes:
        step: optimizer steps done before this one.
        total_steps: of the run.
        lr_factor: the learning-rate schedule's factor on the peak rate at this step, in (0, 1].
        learning_rate: the recipe's `lr` times the factor.
        grad_clip: norm to which the loop clips the gradient left in `.grad` afterwards.
    """

    step: int
    total_steps: int
    lr_factor: float
    learning_rate: float
    grad_clip: float


class Objective(Protocol):
    """Replaces the mean loss of the batch in a method's own proxy run.

    `extra_flops` accumulates what the objective computes beyond one forward and backward pass over the batch
    (formula: `model.flops_per_token`); the loop adds it to the run's cost.
    """

    extra_flops: float

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the gradient of the step in every parameter's `.grad`; return the batch's mean loss.

        Args:
            model: in training mode, gradients cleared.
            tokens, targets: blocks x context token ids.
            domains: name of each block's domain; a domain may be absent from a batch.
            info: where the run stands.
        """
        ...

    def outcome(self) -> dict[str, Any]:
        """Return what the method needs of the run (JSON-able); asked once, after the last step."""
        ...


@dataclass(frozen=True)
class MethodInputs:
    """What a method may look at.

    Attributes:
        domains: k names, in the scenario's order.
        token_counts: tokens in each domain's train split.
        params: the method's defaults overlaid with the config's `method_params`.
        seed: derived for (scenario, method, seed); for draws of the method's own.
        total_steps: optimizer steps of the base run.
        token_budget: tokens that the base run trains on.
        embeddings: k x d float64, rows in the order of `domains`; None unless required.
        runs: results of `extra_runs` by run id.
        others: weights of the methods named by `Method.uses`, by label (the first stage of a schedule).
        start: for a controller, the mixture that `weights` answered; None before that.
    """

    domains: tuple[str, ...]
    token_counts: Mapping[str, int]
    params: Mapping[str, Any]
    seed: int
    total_steps: int
    embeddings: np.ndarray | None = None
    runs: Mapping[str, RunResult] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    start: Mapping[str, float] | None = None
    token_budget: int = 0


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

    def uses(self, params: Mapping[str, Any]) -> list[str]:
        """Return the labels of the methods of the same scenario whose weights this one builds on."""
        ...

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the runs needed, known before anything has run: the DAG stays static."""
        ...

    def run_weights(self, inputs: RunInputs) -> dict[str, float]:
        """Return the mixture of a run whose spec leaves it open."""
        ...

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the objective of a run whose spec asks for one."""
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

    def uses(self, params: Mapping[str, Any]) -> list[str]:
        return []

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        return []

    def run_weights(self, inputs: RunInputs) -> dict[str, float]:
        raise NotImplementedError(f"{type(self).__name__} leaves weights open but defines no run_weights()")

    def objective(self, inputs: RunInputs) -> Objective:
        raise NotImplementedError(f"{type(self).__name__} asks for an objective but defines none")

    def weights(self, inputs: MethodInputs) -> MethodResult:
        raise NotImplementedError(f"{type(self).__name__} must define weights()")

    def controller(self, inputs: MethodInputs) -> Controller:
        raise NotImplementedError(f"{type(self).__name__} is online but defines no controller()")
