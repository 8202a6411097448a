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
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from chameleon import engine
from chameleon.artifacts import write_json, write_text
from chameleon.interfaces import Controller, MixtureSchedule, Objective, Stage, StepInfo, TrainingState
from chameleon.model import Decoder, ModelShape, flops_per_token, pick_device, save_pretrained
from chameleon.optim import AdamW, Muon, Optimizer
from chameleon.provenance import Cost
from chameleon.sampler import MixtureSampler, batches
from chameleon.tokens import TokenStream


@dataclass(frozen=True)
class Recipe:
    """How a scale is trained; the keys of `scales.<name>.train` in the config.

    `lr` is the step size of AdamW, and of Muon for the blocks' matrices where `optimizer` is "muon"
    (embeddings, norms and biases then use AdamW with `adam_lr`). `batch_size` counts blocks of one step.
    `grad_accumulation` cuts a step's batch into so many parts, `activation_checkpointing` keeps only the
    blocks' inputs and computes the rest again: both save memory and leave the step what it is.
    `precision` and `compile`: see `chameleon.engine`.
    """

    optimizer: str
    lr: float
    batch_size: int
    steps: int
    adam_lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    warmup: float = 0.05
    min_lr_ratio: float = 0.1
    grad_clip: float = 1.0
    precision: str = "fp32"
    grad_accumulation: int = 1
    activation_checkpointing: bool = False
    compile: str = "never"

    def learning_rate(self, step: int) -> float:
        """Return the factor on the peak rate at `step`: linear warm-up, then cosine to `min_lr_ratio`."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def optimizers(
    parameters: Mapping[str, Tensor], recipe: Recipe, precision: str, stacked: bool = False
) -> list[Optimizer]:
    """Return the recipe's optimizers; weight decay acts on matrices of the blocks only.

    Args:
        parameters: a decoder's, by name.
        precision: "fp32" or "bf16", that the job runs in.
        stacked: whether each has a leading dimension of runs (`chameleon.stacked`).
    """
    matrices = [p for n, p in parameters.items() if p.ndim == 2 + stacked and n.startswith("blocks.")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters.values() if id(p) not in chosen]
    adam_lr = recipe.adam_lr or recipe.lr
    groups: list[dict[str, Any]] = [{"params": rest, "weight_decay": 0.0}]
    if recipe.optimizer == "adamw":
        groups.append({"params": matrices, "weight_decay": recipe.weight_decay, "lr": recipe.lr})
    built: list[Optimizer] = [AdamW(groups, lr=adam_lr, betas=recipe.betas)]
    if recipe.optimizer == "muon":
        dtype = torch.bfloat16 if precision == "bf16" else matrices[0].dtype
        built.append(Muon(matrices, lr=recipe.lr, weight_decay=recipe.weight_decay, dtype=dtype))
    return built


class Rates:
    """Sets the optimizers' learning rates: each group's own peak times the recipe's factor."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._groups = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]

    def set(self, factor: float) -> None:
        for group, peak in self._groups:
            group["lr"] = peak * factor


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


class Progress:
    """A tqdm bar on a terminal, a log line every twenty seconds elsewhere."""

    def __init__(self, label: str, total: int, every: float = 20.0) -> None:
        self.label, self.total, self.every = label, total, every
        self.bar = tqdm(total=total, desc=label, unit="step") if sys.stderr.isatty() else None
        self.start = self.last = time.monotonic()

    def update(self, step: int, loss: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif (now := time.monotonic()) - self.last >= self.every or step == self.total:
            self.last = now
            rate = step / max(1e-9, now - self.start)
            left = (self.total - step) / rate
            print(
                f"{self.label}: step {step}/{self.total}, loss {loss:.3f}, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
