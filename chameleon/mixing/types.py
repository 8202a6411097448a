"""What crosses the interface of a mixing method: what it may ask for, see and answer.

Imports no torch: the workflow reads methods while it builds its DAG.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chameleon.core.errors import UserError
from chameleon.mixing.schedule import MixtureSchedule

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

#: What a method may ask for in `requires`. `embeddings` brings the scenario's proxy with it, `histograms`
#: counts the tokens of the train splits, `validation_histograms` those of the validation splits, `validation`
#: lets it measure models of its own making.
REQUIREMENTS = frozenset({"embeddings", "histograms", "validation_histograms", "validation"})


#: Kinds of methods, in reading order: no runs; weights from a proxy; from many small runs; from one run per
#: domain; weights that move during base training; what methods are held against.
KINDS = ("free", "proxy", "swarm", "experts", "online", "control")

#: What a method's weights may depend on, beside the number of domains.
SEEN = (
    "token counts",
    "train text",
    "training losses",
    "validation text",
    "validation losses",
    "downstream tasks",
)

#: In `RunResult.model_dir`: what an objective left beside the model (`LeavesTensors`).
OBJECTIVE_TENSORS = "objective.safetensors"

#: In `RunSpec.after`: the proxy trained on the uniform mixture of the scenario's own domains.
REFERENCE = "reference"


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
        blocks: the loss of every block of the validation text is kept, not only a domain's mean.
        start: a run in `after` whose model this one goes on from (its scale is this one's); None: the initial
            weights of the scenario's proxy. Not for runs of a swarm.
    """

    run_id: str
    weights: dict[str, float] | None
    steps: int | None = None
    scale: str | None = None
    after: tuple[str, ...] = ()
    objective: bool = False
    swarm: bool = False
    blocks: bool = False
    start: str | None = None


@dataclass(frozen=True)
class RunResult:
    """What an extra run left.

    Attributes:
        weights: the mixture it was trained on.
        losses: validation loss per domain (nats/token) at its end.
        model_dir: its checkpoint folder; None for a run of a swarm.
        outcome: what its objective answered; empty without one.
        blocks: by domain, the mean loss (nats/token) of each block of the validation text, in its order, the
            same blocks for every run; empty unless its spec asked for them.
        block_tokens: of a block; 0 without blocks.
        moved: of a run with a `start` θ_b, how far it went: ‖θ − θ_b‖ / (‖θ‖ + ‖θ_b‖); 0 without.
    """

    weights: dict[str, float]
    losses: dict[str, float]
    model_dir: Path | None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    blocks: Mapping[str, list[float]] = field(default_factory=dict)
    block_tokens: int = 0
    moved: float = 0.0


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


def _nothing_to_draw(count: int) -> NoReturn:
    raise ValueError(f"{count} blocks are asked for, but this step has no data beside its batch")


@dataclass(frozen=True)
class StepInfo:
    """Where a run stands when its objective is asked for gradients.

    Attributes:
        step: optimizer steps done before this one.
        total_steps: of the run.
        lr_factor: the learning-rate schedule's factor on the peak rate at this step, in (0, 1].
        learning_rate: the recipe's `lr` times the factor.
        grad_clip: norm to which the loop clips the gradient left in `.grad` afterwards.
        draw: returns so many blocks of the train splits, drawn for this step alone and independent of the
            batch (tokens, targets: blocks x context; name of each block's domain). The domains come in turns,
            so that every one has as many blocks, or one less. Its FLOPs are the objective's to count.
        parts: in how many the recipe wants a batch worked on (`grad_accumulation`), because the passes over
            all of it would not fit into the device's memory.
    """

    step: int
    total_steps: int
    lr_factor: float
    learning_rate: float
    grad_clip: float
    draw: "Callable[[int], tuple[Tensor, Tensor, list[str]]]" = _nothing_to_draw
    parts: int = 1


@dataclass(frozen=True)
class StepSize:
    """What the memory of a run's step depends on; see `Method.objective_bytes`.

    Attributes:
        blocks: of a batch.
        length: tokens of a block.
        parts: in how many passes the batch is worked on.
        domains: k.
        parameters: of the model.
        vocabulary: of the model.
        number: bytes of a number in the passes, 4 or 2.
        token_bytes: what a pass keeps of a token until its backward pass, logits apart.
        width: d_model.
    """

    blocks: int
    length: int
    parts: int
    domains: int
    parameters: int
    vocabulary: int
    number: int
    token_bytes: int
    width: int

    @property
    def at_once(self) -> int:
        """Blocks of one pass."""
        return math.ceil(self.blocks / self.parts)


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
        read: results of the extra runs of the methods named by `Method.reads`, by label and run id.
        others: weights of the methods named by `Method.uses`, by label (the first stage of a schedule).
        played: shares of the blocks that the base runs of the methods named by `Method.follows` drew from
            each domain, by label.
        start: for a controller, the mixture that `weights` answered; None before that.
        histograms: k x vocabulary, how often each token stands in a domain's train split; None unless
            required.
        validation_histograms: the same of the validation splits.
        validation_losses: returns the losses (nats/token) by domain of a `Decoder` on the validation split
            (`domains=`: of these alone), and charges the method for the pass; None unless `validation` is
            required.
    """

    domains: tuple[str, ...]
    token_counts: Mapping[str, int]
    params: Mapping[str, Any]
    seed: int
    total_steps: int
    embeddings: np.ndarray | None = None
    runs: Mapping[str, RunResult] = field(default_factory=dict)
    read: Mapping[str, Mapping[str, RunResult]] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    played: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    start: Mapping[str, float] | None = None
    token_budget: int = 0
    histograms: np.ndarray | None = None
    validation_histograms: np.ndarray | None = None
    validation_losses: Callable[..., dict[str, float]] | None = None

    @property
    def names(self) -> list[str]:
        """The domains sorted: the order of arrays, so that the scenario's order changes no result."""
        return sorted(self.domains)

    def counted(self, method: str) -> dict[str, int]:
        """Return the tokens of each domain's train split; `method` is whose mixture they decide.

        Raises:
            UserError: a domain without any.
        """
        if empty := [domain for domain in self.domains if self.token_counts[domain] <= 0]:
            raise UserError(f"{method}: domain {', '.join(empty)} has no train tokens")
        return {domain: self.token_counts[domain] for domain in self.domains}

    def answer(
        self, weights: "Mapping[str, float] | ArrayLike", diagnostics: Mapping[str, Any] | None = None
    ) -> "MethodResult":
        """Return the static mixture of weights by domain, or of k weights in the order of `names`."""
        found = weights if isinstance(weights, Mapping) else named(self.domains, weights)
        return MethodResult(MixtureSchedule.static(found), dict(diagnostics or {}))


def named(domains: Iterable[str], values: "ArrayLike") -> dict[str, float]:
    """Return domain -> value in the order of `domains`, of values in the order of their sorted names."""
    found = dict(zip(sorted(domains), np.asarray(values).tolist(), strict=True))
    return {domain: found[domain] for domain in domains}


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
