"""The one interface behind which every mixing method sits.

A method sees domains, token counts and what it asked for in `requires` or `extra_runs`, and answers with a
`MixtureSchedule`. Four kinds fit: weights known at once (uniform); weights computed from a proxy's embeddings
(Chameleon); weights computed from extra runs (RegMix's swarm; DoReMi and DoGE, whose proxies are trained
under an `Objective` of the method's own); weights that move while the base model trains (`online`, Aioli).
Imports no torch: the workflow reads methods while it builds its DAG.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from chameleon.mixing.parameters import MEAN, Parameter
from chameleon.mixing.types import (
    MethodInputs,
    MethodResult,
    RunInputs,
    RunSpec,
    StepInfo,
    StepSize,
    TrainingState,
)

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Objective(Protocol):
    """Replaces the mean loss of the batch in a method's own proxy run, or in an online method's base run.

    `extra_flops` accumulates what the objective computes beyond one forward and backward pass over the batch
    (formula: `model.flops_per_token`); the loop adds it to the run's cost.
    """

    extra_flops: float

    def step(
        self, model: Any, tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the gradient of the step in every parameter's `.grad`; return the batch's mean loss.

        Args:
            model: the run's `chameleon.training.model.Decoder`, in training mode, gradients cleared.
            tokens, targets: blocks x context token ids.
            domains: name of each block's domain; a domain may be absent from a batch.
            info: where the run stands.
        """
        ...

    def outcome(self) -> dict[str, Any]:
        """Return what the method needs of the run (JSON-able); asked once, after the last step."""
        ...

    def state(self) -> Any:
        """Return everything that later steps depend on, `extra_flops` among it.

        Numbers, strings, lists, dicts, numpy arrays and tensors. Saved with the run, so that one
        that was cut off goes on to the very same bytes.
        """
        ...

    def restore(self, state: Any) -> None:
        """Go on from what `state` returned, in an objective that was made anew for the same run."""
        ...


@runtime_checkable
class LeavesTensors(Protocol):
    """What an objective may be besides: one that leaves more than numbers."""

    def tensors(self, model: Any) -> "Mapping[str, Tensor]":
        """Return what the method needs of the run; asked once, after the last step.

        Written to `RunResult.model_dir / OBJECTIVE_TENSORS` (safetensors).

        Args:
            model: as the run left it.
        """
        ...


class Controller(Protocol):
    """The moving part of an online method: asked for the next segment until the steps are used up.

    It may be an `Observer` too, or an `Objective` with all its members: then it computes the gradients of the
    base run's steps, and its `extra_flops` are that run's. It has one state; its `outcome` is put into the
    run's record, for a reader.
    """

    def next_segment(self, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return (number of steps >= 1, weights) to train next."""
        ...

    def state(self) -> Any:
        """Return everything that later answers depend on (see `Objective.state`)."""
        ...

    def restore(self, state: Any) -> None:
        """Go on from what `state` returned, in a controller that was made anew for the same run."""
        ...


@runtime_checkable
class Observer(Protocol):
    """What a controller may be besides: told of the training losses of every step, at no extra pass.

    The loss of every token is kept for it instead of a sum made chunk by chunk, and the step is not compiled:
    the same gradient but for rounding, in more memory. Steps under an `Objective` are not observed. What it
    was told belongs to its `state`.
    """

    def observe(self, step: int, losses: dict[str, float]) -> None:
        """Take note of a step that has just been done.

        Args:
            step: optimizer steps done so far, this one included.
            losses: mean loss (nats/token) of the blocks of each domain in the step's batch, before the step
                moved the model; a domain absent from the batch is absent here.
        """
        ...


class Method:
    """One method, as it is where it says nothing else: needs nothing, runs nothing extra, static weights.

    Attributes:
        name: the registry key, the config key and the {method} wildcard.
        version: raised when its weights change for the same inputs; said where it is not the first.
        requires: see `chameleon.mixing.types.REQUIREMENTS`.
        kind, sees, cost: for a reader (`chameleon methods`, which explains the letters): one of KINDS, those
            of SEEN that the weights depend on, FLOPs beyond the base run.
        online: whether it has a `controller`.
        foretells: whether it has an `expected`.
        where: what stands before a parameter's name in messages; empty: `method NAME: `.
        parameters: what it takes: by key a `chameleon.mixing.Parameter`, or a default that `check` checks.
        defaults: the parameters' defaults; made of `parameters`, where a method has these.
    """

    name: str = ""
    version: int = 1
    requires: frozenset[str] = frozenset()
    kind: str = "free"
    sees: tuple[str, ...] = ()
    cost: str = "0"
    online: bool = False
    foretells: bool = False
    where: str = ""
    parameters: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}

    def __init_subclass__(cls) -> None:
        if "parameters" in vars(cls):
            given = cls.parameters.items()
            cls.defaults = {key: of.default if isinstance(of, Parameter) else of for key, of in given}

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for parameters that cannot work; called while the config is read.

        `facts` holds what is known by then: `tokenizer_fingerprint`.
        """
        where = self.where or f"method {self.name}: "
        for key, of in self.parameters.items():
            if isinstance(of, Parameter):
                of.check(where + key, params[key], domains)

    def files(self, params: Mapping[str, Any]) -> list[str]:
        """Return the user's files that the weights depend on; a newer file reruns the method's jobs."""
        return []

    def uses(self, params: Mapping[str, Any]) -> list[str]:
        """Return the labels of the methods of the same scenario whose weights this one builds on."""
        return self._labels(params, "weights")

    def follows(self, params: Mapping[str, Any]) -> list[str]:
        """Return the labels of the methods of the same scenario whose base runs must be done before."""
        return []

    def reads(self, params: Mapping[str, Any]) -> list[str]:
        """Return the labels of the methods of the same scenario whose extra runs this one reads too.

        A swarm is trained once and charged to every method that fits a law to it.
        """
        return self._labels(params, "runs")

    def _labels(self, params: Mapping[str, Any], asked: str) -> list[str]:
        given = [(params[key], of) for key, of in self.parameters.items() if isinstance(of, Parameter)]
        return [label for label, of in given if of.asks == asked and not (of.optional and label is None)]

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the runs needed, known before anything has run: the DAG stays static."""
        return []

    def run_weights(self, inputs: RunInputs) -> dict[str, float]:
        """Return the mixture of a run whose spec leaves it open."""
        raise NotImplementedError(f"{type(self).__name__} leaves weights open but defines no run_weights()")

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the objective of a run whose spec asks for one."""
        raise NotImplementedError(f"{type(self).__name__} asks for an objective but defines none")

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return what a step under the objective holds beyond a plain step's memory, for `chameleon plan`.

        An online method's is that of its base run.
        """
        return 0.0

    def validation_passes(self, params: Mapping[str, Any], domains: Sequence[str]) -> int:
        """Return how many models `weights` measures on the validation split, for `chameleon plan`."""
        return 0

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the schedule; an online method's has one stage, where its controller starts."""
        raise NotImplementedError(f"{type(self).__name__} must define weights()")

    def foretell(self, inputs: MethodInputs, mixtures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return the loss (nats/token) expected of other mixtures, by label; methods that foretell only.

        For a table that holds it against base models; `inputs` are those that `weights` gets. Nothing where
        there is no choice, or where one domain's loss is the target: what base models come to is given as a
        mean over domains.
        """
        if len(inputs.domains) == 1 or inputs.params.get("target", MEAN) != MEAN:
            return {}
        asked = [[mixture.get(d, 0.0) for d in inputs.names] for mixture in mixtures.values()]
        found = self.expected(inputs, np.array(asked))
        return {} if found is None else dict(zip(mixtures, found.tolist(), strict=True))

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray | None:
        """Return the mean losses expected of n mixtures (n x k, columns as `inputs.names`); None: unknown."""
        raise NotImplementedError(f"{type(self).__name__} foretells but defines no expected()")

    def controller(self, inputs: MethodInputs) -> Controller:
        """Return the controller of one base run; online methods only."""
        raise NotImplementedError(f"{type(self).__name__} is online but defines no controller()")
