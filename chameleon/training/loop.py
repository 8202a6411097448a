"""One training loop for proxies, extra runs and base models.

Reads token shards, a schedule of weights (or an online method's controller) and a recipe. Everything that a
method does not own (initialisation, order of the data within a domain, recipe, number of steps) comes from
axes that all methods share.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import tee
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chameleon.core.errors import Interrupted
from chameleon.core.provenance import Cost
from chameleon.data.sampler import MixtureSampler, batches
from chameleon.data.tokens import TokenStream
from chameleon.mixing.method import Controller, Objective, Observer
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixing.types import StepInfo, TrainingState
from chameleon.training import engine
from chameleon.training.device import pick_device
from chameleon.training.distributed import replicas
from chameleon.training.distributed.ranks import here
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.progress import Progress
from chameleon.training.recipe import Rates, Recipe, optimizers
from chameleon.training.resume.interruption import Watch, signal_name, watching
from chameleon.training.resume.states import Carried, States
from chameleon.training.steps.feed import Block, Feed
from chameleon.training.steps.journal import EVERY, Journal, Row, Step
from chameleon.training.steps.passes import Passes


@dataclass
class Training:
    """One run. `play` trains; `chameleon.training.output` writes its files.

    Args:
        shape: sizes of the model.
        recipe: optimizer, rates, steps.
        streams: train split per domain, in the scenario's order.
        init_seed: of the initial weights.
        data_seed: of the data order.
        max_epochs: cap on passes over a domain; None for none.
        label: shown in the progress line; empty for none.
        start: model to go on from (it is changed in place); None: drawn from `init_seed`.
    """

    shape: ModelShape
    recipe: Recipe
    streams: Mapping[str, TokenStream]
    init_seed: int
    data_seed: int
    max_epochs: float | None = None
    label: str = "train"
    start: Decoder | None = None

    def __post_init__(self) -> None:
        self.device, self.ranks = pick_device(), here()
        self.model = (self.start or self.shape.initial(self.init_seed)).to(self.device)
        self.model.checkpointing = self.recipe.activation_checkpointing
        self.engine = engine.choose(
            self.recipe.precision, self.recipe.compile, self.device, self.shape.d_model
        )
        self.feed = Feed(self.streams, self.shape.context, self.data_seed, self.device)
        self.sampler = MixtureSampler(self.feed.counts, self.data_seed, self.max_epochs)
        self.rows: list[Row] = []
        self.segments: list[dict[str, Any]] = []
        self.cost = Cost()
        self.step = 0
        #: The segment being played: its first step, length, weights, and the sampler's state before it.
        self._segment: dict[str, Any] | None = None
        #: Where the model lies in shares on several ranks: what becomes of it at the end.
        self._whole: Decoder | None = None

    @property
    def spread(self) -> dict[str, Any]:
        """How the run is spread over processes, for its record; empty if it is not."""
        if self.ranks.world == 1:
            return {}
        return {"processes": self.ranks.world, "sharded": self._whole is not None}

    def play(
        self,
        schedule: MixtureSchedule,
        controller: Controller | None = None,
        validation_losses: Callable[[Decoder], dict[str, float]] | None = None,
        objective: Objective | None = None,
        watch: Mapping[int, Callable[[Decoder, int], None]] | None = None,
        states: States | None = None,
        carried: Mapping[str, Carried] | None = None,
    ) -> Decoder:
        """Train for `recipe.steps` steps under the schedule, or under the controller if there is one.

        Args:
            schedule: weights by step.
            controller: of an online method; asked for segments instead. An `Observer` is told of every step.
                An `Objective` is the run's where no other is given.
            validation_losses: what the controller may order.
            objective: computes the gradients instead of the mean loss of the batch.
            watch: called after so many steps with the model and the tokens trained on so far.
            states: where the run's state is kept; it goes on from the newest one there.
            carried: what else belongs to the state, by name.

        Raises:
            Diverged: the loss is not finite or has exploded; the last good state is kept.
            Interrupted: a signal came; the state is saved.
        """
        if objective is None and isinstance(controller, Objective):
            objective = controller
        observer = controller if objective is None and isinstance(controller, Observer) else None
        self._prepare(objective, observer)
        self._carried = dict(carried or {})
        for name, part in (("objective", objective), ("controller", controller)):
            # One that is both is carried once, as the controller.
            if part is not None and (name == "controller" or part is not controller):
                self._carry(name, part, states)
        self._states = states if self._resumable else None
        if self._states is not None and (found := self._states.newest()) is not None:
            self._restore(found[1])
            self._say(f"goes on at step {self.step}")
        with watching() as signals:
            self._train(
                schedule.segments(self.recipe.steps), controller, validation_losses, watch or {}, signals
            )
        self._journal.close()
        if objective is not None:
            self.cost.add(0, objective.extra_flops)
        if self._whole is not None:
            self.model = replicas.unshard(self.model, self._whole)
        return self.model

    def _prepare(self, objective: Objective | None, observer: Observer | None) -> None:
        recipe = self.recipe
        self._objective = objective
        self._whole = replicas.sharded(self.model, recipe, objective) if recipe.shard else None
        self._optimizers = optimizers(dict(self.model.named_parameters()), recipe, self.engine.precision)
        self._rates = Rates(self._optimizers)
        self.model.train()
        # Objectives reach into the model, layer by layer; a controller is told what the summed loss hides.
        own = "objective" if objective is not None else "controller observes every step" if observer else ""
        if own and self.engine.compiled:
            self.engine = replace(self.engine, compiled=False, reason=f"the method's own {own}")
        part = self.ranks.at_once(recipe.batch_size, recipe.grad_accumulation)
        example = torch.zeros(part, self.shape.context + 1, dtype=torch.long, device=self.device)
        self.engine, summed = self.engine.prepared(self.model, example, by_block=self.ranks.world > 1)
        self._passes = Passes(
            self.model, summed, recipe.grad_accumulation, partial(self.engine.autocast, self.device),
            by_block=observer is not None, sharded=self._whole is not None,
        ) if objective is None else None  # fmt: skip
        self._journal = Journal(
            self.label, self.shape.vocab_size, self.rows, 1 if self.device.type == "cpu" else EVERY,
            progress=Progress(self.label, recipe.steps) if self.label and self.ranks.main else None,
            observe=None if observer is None else observer.observe,
        )  # fmt: skip
        self._resumable = True

    def _carry(self, name: str, part: Any, states: States | None) -> None:
        """Make a method's objective or controller part of the state; without state() the run has none."""
        if hasattr(part, "state") and hasattr(part, "restore"):
            self._carried[name] = Carried(part.state, part.restore)
        elif states is not None:
            self._resumable = False
            self._say(f"{type(part).__name__} has no state() and restore(): this run cannot be resumed")

    def _say(self, what: str) -> None:
        if self.ranks.main:
            print(f"{self.label or 'run'}: {what}", file=sys.stderr, flush=True)

    def _train(
        self,
        planned: Sequence[tuple[int, dict[str, float]]],
        controller: Controller | None,
        validation_losses: Callable[[Decoder], dict[str, float]] | None,
        watch: Mapping[int, Callable[[Decoder, int], None]],
        signals: Watch,
    ) -> None:
        steps, size = self.recipe.steps, self.recipe.batch_size
        while self.step < steps or self._segment is not None:
            if self._segment is None:
                if controller is None:
                    length, weights = planned[len(self.segments)]
                else:
                    assert validation_losses is not None
                    length, weights = self._asked(controller, validation_losses)
                self._segment = {
                    "start_step": self.step,
                    "steps": min(length, steps - self.step),
                    "weights": weights,
                    "sampler": self.sampler.state(),
                }
            now = self._segment
            before = now["sampler"]["drawn"]
            segment = self.sampler.segment(now["weights"], now["steps"] * size)
            left, same = tee(batches(segment, size, first=self.step - now["start_step"]))
            for batch, tokens in zip(left, self.feed.ahead(same, self._objective is not None), strict=True):
                self._step(self.step, batch, tokens)
                self.step += 1
                if self.step in watch:
                    watch[self.step](self.model, self.cost.tokens)
                self._keep(signals)
            self._journal.read()
            realised = {d: self.sampler.drawn[d] - before[d] for d in before}
            played = {key: now[key] for key in ("start_step", "steps", "weights")} | {"blocks": realised}
            self.segments.append(played)
            self._segment = None

    def _keep(self, signals: Watch) -> None:
        """Save the state if it is time to, or if a signal asks the job to stop."""
        now = self._states is not None and self._states.due(self.step)
        # Read once: a signal may come at any time, and to any rank.
        number, due = self.ranks.most(signals.number, now)
        if not (number or due):
            return
        self._journal.read()
        saved = None
        if self._states is not None:
            state = self._state()
            saved = self._states.save(self.step, state) if self.ranks.main else None
        if number:
            what = "the state is saved" if self.ranks.agreed(saved is not None) else "nothing of it is saved"
            raise Interrupted(f"{self.label}: {signal_name(number)} after step {self.step}; {what}")

    def _state(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on."""
        return {
            "step": self.step,
            "segment": self._segment,
            "segments": self.segments,
            "rows": np.array(self.rows, dtype=np.float64),
            "cost": [self.cost.tokens, self.cost.flops],
            "model": replicas.full(dict(self.model.named_parameters())),
            "optimizers": replicas.full([optimizer.saved() for optimizer in self._optimizers]),
            "random": torch.get_rng_state(),
            "carried": {name: part.state() for name, part in self._carried.items()},
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.segments, self._segment = state["step"], state["segments"], state["segment"]
        self.rows[:] = [(int(s), int(t), lr, x, g) for s, t, lr, x, g in state["rows"].tolist()]
        self.cost = Cost(*state["cost"])
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(replicas.laid(state["model"][name], p))
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.restore(saved)
        torch.set_rng_state(state["random"])
        for name, part in self._carried.items():
            part.restore(state["carried"][name])
        if self._segment is not None:
            self.sampler.restore(self._segment["sampler"])

    def _asked(
        self, controller: Controller, validation_losses: Callable[[Decoder], dict[str, float]]
    ) -> tuple[int, dict[str, float]]:
        """Return the controller's next segment: what it says on rank 0.

        Raises:
            ValueError: no steps, other domains, or weights off the simplex.
        """
        realised = dict(self.segments[-1]["blocks"]) if self.segments else {}
        measure = lambda: self.ranks.agreed(validation_losses(self.model))  # noqa: E731
        state = TrainingState(self.step, self.recipe.steps, tuple(self.streams), measure, realised)
        length, weights = self.ranks.agreed(controller.next_segment(state))
        if length < 1 or set(weights) != set(self.streams):
            asked = f"{length} steps of {sorted(weights)}"
            raise ValueError(f"{self.label}: at step {state.step} the controller asked for {asked}")
        return int(length), Stage(state.step, {d: float(weights[d]) for d in self.streams}).weights

    def _step(self, step: int, batch: Sequence[Block], tokens: Tensor) -> None:
        recipe, count = self.recipe, len(batch) * self.shape.context
        factor = recipe.learning_rate(step)
        self._rates.set(factor)
        domains = [d for d, _ in batch]
        losses: list[Tensor] | float = []
        observed: list[Tensor] = []
        if self._objective is not None:
            # The domains of a batch belong together in an objective: it sees all, and divides the passes.
            info = StepInfo(
                step, recipe.steps, factor, recipe.lr * factor, recipe.grad_clip,
                partial(self.feed.draw, step), parts=recipe.grad_accumulation,
            )  # fmt: skip
            with self.engine.autocast(self.device):
                losses = self._objective.step(self.model, tokens[:, :-1], tokens[:, 1:], domains, info)
        elif self._passes is not None:
            losses, observed = self._passes(tokens, len(batch))
        norm = replicas.full(torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip))
        self.cost.add(count, flops_per_token(self.shape) * count)
        done = Step(step + 1, self.cost.tokens, recipe.lr * factor, domains, losses, norm, observed)
        self._journal.note(done)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
