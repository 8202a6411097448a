"""How a scale is trained: the recipe, its learning rates and its optimizers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chameleon.training.optim import AdamW, Muon, Optimizer


@dataclass(frozen=True)
class Recipe:
    """How a scale is trained; the keys of `scales.<name>.train` in the config.

    `lr` is the step size of AdamW, and of Muon for the blocks' matrices where `optimizer` is "muon"
    (embeddings, norms and biases then use AdamW with `adam_lr`). `batch_size` counts blocks of one step.
    `grad_accumulation` cuts a step's batch into so many parts, `activation_checkpointing` keeps only the
    blocks' inputs and computes the rest again, `shard` leaves each of a job's processes a share of the
    model's parameters, gradients and optimizer state: all save memory and leave the step what it is.
    `precision` and `compile`: see `chameleon.training.engine`.
    """

    optimizer: str
    lr: float
    batch_size: int
    steps: int
    adam_lr: float | None = None
    betas: Sequence[float] = (0.9, 0.95)
    weight_decay: float = 0.1
    warmup: float = 0.05
    min_lr_ratio: float = 0.1
    grad_clip: float = 1.0
    precision: str = "fp32"
    grad_accumulation: int = 1
    activation_checkpointing: bool = False
    compile: str = "never"
    shard: bool = False

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
        stacked: whether each has a leading dimension of runs (`chameleon.training.stacked`).
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
