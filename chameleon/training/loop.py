"""One training loop for proxies, extra runs and base models.

Reads token shards, a schedule of weights (or an online method's controller) and a recipe. Everything that a
method does not own (initialisation, order of the data within a domain, recipe, number of steps) comes from
axes that all methods share.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from chameleon.core.errors import Interrupted
from chameleon.core.provenance import Cost
from chameleon.core.seeds import generator
from chameleon.data.sampler import MixtureSampler, batches
from chameleon.data.tokens import TokenStream
from chameleon.mixing.method import Controller, Objective, Observer
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixing.types import StepInfo, TrainingState
from chameleon.training import divergence, engine
from chameleon.training.device import pick_device
from chameleon.training.losses import domain_means
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.progress import Progress
from chameleon.training.recipe import Rates, Recipe, optimizers
from chameleon.training.resume.interruption import Watch, watching
from chameleon.training.resume.states import Carried, States


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
        self.device = pick_device()
        self.model = (self.start or Decoder(self.shape).initialise(self.init_seed)).to(self.device)
        self.model.checkpointing = self.recipe.activation_checkpointing
        self.engine = engine.choose(
            self.recipe.precision, self.recipe.compile, self.device, self.shape.d_model
        )
        blocks = {d: max(0, (len(s) - 1) // self.shape.context) for d, s in self.streams.items()}
        self.sampler = MixtureSampler(blocks, self.data_seed, self.max_epochs)
        self.rows: list[tuple[int, int, float, float, float]] = []
        self.segments: list[dict[str, Any]] = []
        self.cost = Cost()
        self.step = 0
        #: The segment being played: its first step, length, weights, and the sampler's state before it.
        self._segment: dict[str, Any] | None = None

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
            print(f"{self.label or 'run'}: goes on at step {self.step}", file=sys.stderr, flush=True)
        with watching() as signals:
            self._train(
                schedule.segments(self.recipe.steps), controller, validation_losses, watch or {}, signals
            )
        if objective is not None:
            self.cost.add(0, objective.extra_flops)
        return self.model

    def _prepare(self, objective: Objective | None, observer: Observer | None) -> None:
        recipe = self.recipe
        self._optimizers = optimizers(dict(self.model.named_parameters()), recipe, self.engine.precision)
        self._rates = Rates(self._optimizers)
        self.model.train()
        self._objective, self._observer = objective, observer
        # Objectives reach into the model, layer by layer; a controller is told what the summed loss hides.
        own = "objective" if objective is not None else "controller observes every step" if observer else ""
        if own and self.engine.compiled:
            self.engine = replace(self.engine, compiled=False, reason=f"the method's own {own}")
        part = math.ceil(recipe.batch_size / recipe.grad_accumulation)
        example = torch.zeros(part, self.shape.context + 1, dtype=torch.long, device=self.device)
        self.engine, self._summed = self.engine.prepared(self.model, example)
        self._resumable = True

    def _carry(self, name: str, part: Any, states: States | None) -> None:
        """Make a method's objective or controller part of the state; without state() the run has none."""
        if hasattr(part, "state") and hasattr(part, "restore"):
            self._carried[name] = Carried(part.state, part.restore)
        elif states is not None:
            self._resumable = False
            said = f"{type(part).__name__} has no state() and restore(): this run cannot be resumed"
            print(f"{self.label}: {said}", file=sys.stderr, flush=True)

    def _train(
        self,
        planned: Sequence[tuple[int, dict[str, float]]],
        controller: Controller | None,
        validation_losses: Callable[[Decoder], dict[str, float]] | None,
        watch: Mapping[int, Callable[[Decoder, int], None]],
        signals: Watch,
    ) -> None:
        steps, size = self.recipe.steps, self.recipe.batch_size
        progress = Progress(self.label, steps) if self.label else None
        while self.step < steps or self._segment is not None:
            if self._segment is None:
                if controller is None:
                    length, weights = planned[len(self.segments)]
                else:
                    assert validation_losses is not None
                    measure = partial(validation_losses, self.model)
                    realised = dict(self.segments[-1]["blocks"]) if self.segments else {}
                    state = TrainingState(self.step, steps, tuple(self.streams), measure, realised)
                    length, weights = self._asked(controller, state)
                self._segment = {
                    "start_step": self.step,
                    "steps": min(length, steps - self.step),
                    "weights": weights,
                    "sampler": self.sampler.state(),
                }
            now = self._segment
            before = now["sampler"]["drawn"]
            blocks = batches(self.sampler.segment(now["weights"], now["steps"] * size), size)
            for batch in blocks[self.step - now["start_step"] :]:
                loss = self._step(self.step, batch)
                self.step += 1
                if progress is not None:
                    progress.update(self.step, loss)
                if self.step in watch:
                    watch[self.step](self.model, self.cost.tokens)
                self._keep(signals)
            realised = {d: self.sampler.drawn[d] - before[d] for d in before}
            kept = {key: now[key] for key in ("start_step", "steps", "weights")}
            self.segments.append({**kept, "blocks": realised})
            self._segment = None
        if progress is not None:
            progress.close()

    def _keep(self, signals: Watch) -> None:
        """Save the state if it is time to, or if a signal asks the job to stop."""
        # Read once: a signal may come at any time.
        received = signals.received
        saved = None
        if self._states is not None and (received or self._states.due(self.step)):
            saved = self._states.save(self.step, self._state())
        if received:
            what = "the state is saved" if saved else "nothing of it is saved"
            raise Interrupted(f"{self.label}: {received} after step {self.step}; {what}")

    def _state(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on."""
        return {
            "step": self.step,
            "segment": self._segment,
            "segments": self.segments,
            "rows": np.array(self.rows, dtype=np.float64),
            "cost": [self.cost.tokens, self.cost.flops],
            "model": dict(self.model.named_parameters()),
            "optimizers": [optimizer.saved() for optimizer in self._optimizers],
            "random": torch.get_rng_state(),
            "carried": {name: part.state() for name, part in self._carried.items()},
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.segments, self._segment = state["step"], state["segments"], state["segment"]
        self.rows = [(int(s), int(t), lr, x, g) for s, t, lr, x, g in state["rows"].tolist()]
        self.cost = Cost(*state["cost"])
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(state["model"][name])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.restore(saved)
        torch.set_rng_state(state["random"])
        for name, part in self._carried.items():
            part.restore(state["carried"][name])
        if self._segment is not None:
            self.sampler.restore(self._segment["sampler"])

    def _asked(self, controller: Controller, state: TrainingState) -> tuple[int, dict[str, float]]:
        """Return the controller's next segment.

        Raises:
            ValueError: no steps, other domains, or weights off the simplex.
        """
        length, weights = controller.next_segment(state)
        if length < 1 or set(weights) != set(self.streams):
            asked = f"{length} steps of {sorted(weights)}"
            raise ValueError(f"{self.label}: at step {state.step} the controller asked for {asked}")
        return int(length), Stage(state.step, {d: float(weights[d]) for d in self.streams}).weights

    def _read(self, batch: Sequence[tuple[str, int]]) -> torch.Tensor:
        """Return the blocks of a batch, blocks x (context + 1)."""
        context = self.shape.context
        data = np.stack([self.streams[d].read(b * context, (b + 1) * context + 1) for d, b in batch])
        return torch.from_numpy(data).to(self.device)

    def _draw(self, step: int, count: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Return blocks that depend on the data seed and the step alone: see `StepInfo.draw`."""
        rng = generator(self.data_seed, "independent", step)
        names = sorted(self.streams)
        turns = [names[i] for i in rng.permutation(len(names))]
        domains = [turns[i % len(turns)] for i in range(count)]
        batch = [(d, int(rng.integers(self.sampler.block_counts[d]))) for d in domains]
        tokens = self._read(batch)
        return tokens[:, :-1], tokens[:, 1:], domains

    def _step(self, step: int, batch: Sequence[tuple[str, int]]) -> float:
        recipe, context = self.recipe, self.shape.context
        factor = recipe.learning_rate(step)
        self._rates.set(factor)
        tokens = self._read(batch)
        total, observed = 0.0, []
        if self._objective is not None:
            # The domains of a batch belong together in an objective: it sees all, and divides the passes.
            info = StepInfo(
                step, recipe.steps, factor, recipe.lr * factor, recipe.grad_clip, partial(self._draw, step),
                parts=recipe.grad_accumulation,
            )  # fmt: skip
            with self.engine.autocast(self.device):
                total = self._objective.step(
                    self.model, tokens[:, :-1], tokens[:, 1:], [d for d, _ in batch], info
                )
        for part in tokens.chunk(recipe.grad_accumulation) if self._objective is None else ():
            with self.engine.autocast(self.device):
                if self._observer is None:
                    loss = self._summed(part[:, :-1], part[:, 1:]) / (len(tokens) * context)
                else:
                    means = self.model(part[:, :-1], part[:, 1:]).mean(1)
                    loss = means.sum() / len(tokens)
                    observed += means.tolist()
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip))
        domains = {d for d, _ in batch}
        divergence.check(self.label, total, norm, self.shape.vocab_size, step, recipe.lr * factor, domains)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        count = len(tokens) * context
        self.cost.add(count, flops_per_token(self.shape) * count)
        self.rows.append((step + 1, self.cost.tokens, recipe.lr * factor, total, norm))
        if self._observer is not None:
            self._observer.observe(step + 1, domain_means(observed, [d for d, _ in batch]))
        return total
