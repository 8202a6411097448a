"""Optimizers a scale may name: AdamW (the papers') and Muon (for small budgets).

Both hold their state themselves: the first call to a `torch.optim.Optimizer` imports torch's compiler, a
second at the start of each of hundreds of small jobs.

Muon orthogonalises the momentum of every matrix of the blocks; embeddings, norms and biases stay with AdamW.
`torch.optim.Muon` runs its Newton-Schulz iteration in bfloat16, which costs three quarters of a training
step on processors without bfloat16 units, so the iteration here takes its dtype from the hardware. With
bfloat16 it is torch's algorithm (the tests compare them).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from chameleon.training.distributed.replicas import laid

# Coefficients of the quintic iteration, as in torch.optim.Muon (K. Jordan et al., 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315

#: Matrices are orthogonalised together up to so many elements: beyond, nothing but memory is spent by it.
STACKED = 2**17


def orthogonalise(gradients: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Return the approximate nearest semi-orthogonal matrices to a stack of them, n x rows x columns."""
    x = gradients.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    if x.shape[-1] >= 2 * x.shape[-2] and dtype != torch.bfloat16:
        x = _from_gram(x, steps)
    else:
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if tall else x


def _from_gram(x: Tensor, steps: int) -> Tensor:
    """Return the same iteration's result for matrices at least twice as wide as high.

    Every iterate is Q X with Q a polynomial in G = X Xᵀ, and the next Gram matrix is P G P with
    P = aI + bG + cG²: all but the first and the last product are of the short side, 0.6 of the work. It
    squares the condition: over six decades of singular values a float32 result is within 4e-4 of float64's
    (96 rows), 500 times nearer than the iteration in bfloat16.
    """
    gram, factor = x @ x.mT, None
    for step in range(steps):
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(_A)
        factor = polynomial if factor is None else polynomial @ factor
        if step < steps - 1:
            gram = polynomial @ gram @ polynomial
    return x if factor is None else factor @ x


class Optimizer:
    """Groups of parameters with their settings, as `torch.optim` has them: `lr` may be set between steps.

    Args:
        groups: "params" and the settings that differ from `settings`.
        settings: of all groups.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], **settings: Any) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {**settings, **group, "params": list(group["params"])} for group in groups
        ]
        self.state: dict[Tensor, Any] = {}

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        raise NotImplementedError

    def saved(self) -> list[Any]:
        """Return what is remembered of every parameter in turn; None of one never updated."""
        return [self.state.get(p) for group in self.param_groups for p in group["params"]]

    def restore(self, saved: Iterable[Any]) -> None:
        """Remember what `saved` says; the parameters are those of the optimizer that was saved, in order."""
        for p, kept in zip((p for g in self.param_groups for p in g["params"]), saved, strict=True):
            if kept is not None:
                # The count of steps stays the scalar in float32 that torch's fused form wants.
                self.state[p] = laid(kept, p)


class AdamW(Optimizer):
    """torch's fused AdamW."""

    def __init__(
        self,
        groups: Iterable[Mapping[str, Any]],
        lr: float,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            used = [p for p in group["params"] if p.grad is not None]
            for p in used:
                if p not in self.state:
                    count = torch.zeros((), dtype=torch.float32, device=p.device)
                    self.state[p] = torch.zeros_like(p), torch.zeros_like(p), count
            if not used:
                continue
            first, second, counts = (list(part) for part in zip(*(self.state[p] for p in used), strict=True))
            adamw(
                used, [p.grad for p in used], first, second, [], counts, fused=True, amsgrad=False,
                beta1=group["betas"][0], beta2=group["betas"][1], lr=group["lr"],
                weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
            )  # fmt: skip


class Muon(Optimizer):
    """Momentum orthogonalised by Newton-Schulz, for matrices; small ones of one shape together.

    Args:
        params: matrices of the blocks, or stacks of them (each matrix of a stack is a parameter of its own).
        lr: step size; the update is scaled by max(1, rows/columns)^0.5.
        momentum: of the Nesterov momentum (exponential moving average of the gradient).
        weight_decay: decoupled, multiplied by `lr`.
        steps: Newton-Schulz iterations.
        dtype: of the iteration.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        settings = {"momentum": momentum, "weight_decay": weight_decay, "steps": steps, "dtype": dtype}
        super().__init__([{"params": params}], lr=lr, **settings)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for params in self._alike([p for p in group["params"] if p.grad is not None]):
                gradients = [p.grad for p in params if p.grad is not None]
                for p in params:
                    if p not in self.state:
                        self.state[p] = torch.zeros_like(p)
                buffers = [self.state[p] for p in params]
                torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
                moved = torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"]))
                update = orthogonalise(moved.flatten(0, -3), group["steps"], group["dtype"])
                rows, columns = update.shape[-2:]
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(
                    params,
                    list(update.to(moved.dtype).view_as(moved).unbind()),
                    alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5,
                )

    @staticmethod
    def _alike(params: Iterable[Tensor]) -> Iterator[list[Tensor]]:
        """Yield parameters of one shape together, `STACKED` elements or one parameter at a time."""
        shapes: dict[tuple[Any, ...], list[Tensor]] = {}
        for p in params:
            shapes.setdefault((p.shape, p.dtype, p.device), []).append(p)
        for found in shapes.values():
            size = max(1, STACKED // found[0].numel())
            yield from (found[i : i + size] for i in range(0, len(found), size))
