"""One training loop for proxies, extra runs and base models.

Reads token shards, a schedule of weights (or an online method's controller) and a recipe; writes a
checkpoint that `transformers` loads, `training.csv` (step, tokens, learning rate, loss of the batch, gradient
norm) and `mixture.json` (what was really played). Everything that a method does not own (initialisation,
order of the data within a domain, recipe, number of steps) comes from axes that all methods share.
"""

import csv
import io
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chameleon.core.artifacts import write_json, write_text
from chameleon.core.provenance import Cost
from chameleon.data.sampler import MixtureSampler, batches
from chameleon.data.tokens import TokenStream
from chameleon.mixing.method import Controller, Objective
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixing.types import StepInfo, TrainingState
from chameleon.training import engine
from chameleon.training.device import pick_device
from chameleon.training.model import Decoder, ModelShape, flops_per_token, save_pretrained
from chameleon.training.progress import Progress
from chameleon.training.recipe import Rates, Recipe, optimizers


def fixed_segments(schedule: MixtureSchedule, total: int) -> Iterator[tuple[int, dict[str, float]]]:
    yield from schedule.segments(total)


@dataclass
class Training:
    """One run. `play` trains; `save` writes its files.

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

    def play(
        self,
        schedule: MixtureSchedule,
        controller: Controller | None = None,
        validation_losses: Callable[[Decoder], dict[str, float]] | None = None,
        objective: Objective | None = None,
        watch: Mapping[int, Callable[[Decoder, int], None]] | None = None,
    ) -> Decoder:
        """Train for `recipe.steps` steps under the schedule, or under the controller if there is one.

        Args:
            schedule: weights by step.
            controller: of an online method; asked for segments instead.
            validation_losses: what the controller may order.
            objective: computes the gradients instead of the mean loss of the batch.
            watch: called after so many steps with the model and the tokens trained on so far.

        Raises:
            FloatingPointError: the loss is not finite; names the step.
        """
        steps = self.recipe.steps
        self._optimizers = optimizers(dict(self.model.named_parameters()), self.recipe, self.engine.precision)
        self._rates = Rates(self._optimizers)
        self.model.train()
        self._objective = objective
        if objective is not None and self.engine.compiled:
            # Objectives reach into the model, layer by layer.
            self.engine = replace(self.engine, compiled=False, reason="the method's own objective")
        part = math.ceil(self.recipe.batch_size / self.recipe.grad_accumulation)
        example = torch.zeros(part, self.shape.context + 1, dtype=torch.long, device=self.device)
        self.engine, self._summed = self.engine.prepared(self.model, example)
        watch = watch or {}
        progress = Progress(self.label, steps) if self.label else None
        step, realised = 0, dict[str, int]()
        planned = fixed_segments(schedule, steps)
        while step < steps:
            if controller is None:
                length, weights = next(planned)
            else:
                assert validation_losses is not None
                measure = partial(validation_losses, self.model)
                state = TrainingState(step, steps, tuple(self.streams), measure, dict(realised))
                length, weights = self._asked(controller, state)
            length = min(length, steps - step)
            per_step = self.recipe.batch_size
            before = dict(self.sampler.drawn)
            for batch in batches(self.sampler.segment(weights, length * per_step), per_step):
                loss = self._step(step, batch)
                step += 1
                if progress is not None:
                    progress.update(step, loss)
                if step in watch:
                    watch[step](self.model, self.cost.tokens)
            realised = {d: self.sampler.drawn[d] - before[d] for d in before}
            self.segments.append(
                {"start_step": step - length, "steps": length, "weights": weights, "blocks": realised}
            )
        if progress is not None:
            progress.close()
        if objective is not None:
            self.cost.add(0, objective.extra_flops)
        return self.model

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

    def _step(self, step: int, batch: Sequence[tuple[str, int]]) -> float:
        recipe, context = self.recipe, self.shape.context
        factor = recipe.learning_rate(step)
        self._rates.set(factor)
        data = np.stack([self.streams[d].read(b * context, (b + 1) * context + 1) for d, b in batch])
        tokens = torch.from_numpy(data).to(self.device)
        total = 0.0
        if self._objective is not None:
            # Domains of a batch belong together in an objective: accumulation would change what it sees.
            info = StepInfo(step, recipe.steps, factor, recipe.lr * factor, recipe.grad_clip)
            with self.engine.autocast(self.device):
                total = self._objective.step(
                    self.model, tokens[:, :-1], tokens[:, 1:], [d for d, _ in batch], info
                )
        for part in tokens.chunk(recipe.grad_accumulation) if self._objective is None else ():
            with self.engine.autocast(self.device):
                loss = self._summed(part[:, :-1], part[:, 1:]) / (len(tokens) * context)
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.grad_clip))
        if not math.isfinite(total) or not math.isfinite(norm):
            raise FloatingPointError(
                f"{self.label}: loss is not finite at step {step}; lower the learning rate"
            )
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        count = len(tokens) * context
        self.cost.add(count, flops_per_token(self.shape) * count)
        self.rows.append((step + 1, self.cost.tokens, recipe.lr * factor, total, norm))
        return total

    def save(self, out: Path, tokenizer_dir: Path, eos_token_id: int) -> None:
        """Write `model/` (weights, config, tokenizer), `training.csv` and `mixture.json` into `out`."""
        folder, temporary = out / "model", out / ".model.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        save_pretrained(self.model, temporary, eos_token_id)
        for file in sorted(tokenizer_dir.glob("*.json")):
            if file.name != "run.json":
                shutil.copyfile(file, temporary / file.name)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["step", "tokens", "learning_rate", "train_loss", "gradient_norm"])
        writer.writerows((s, t, f"{lr:.6g}", f"{x:.6g}", f"{g:.6g}") for s, t, lr, x, g in self.rows)
        write_text(out / "training.csv", buffer.getvalue())
        write_json(
            out / "mixture.json",
            {
                "segments": self.segments,
                "effective_epochs": {d: round(x, 6) for d, x in self.sampler.effective_epochs().items()},
                "block_tokens": self.shape.context,
                "available_blocks": self.sampler.block_counts,
            },
        )
