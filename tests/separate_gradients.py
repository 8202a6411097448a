"""One backward pass per domain: the obvious form of what `domain_gradients` does in one pass.

The oracle of the tests, and the other side of the benchmark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chameleon.methods.reweighting.domain_gradients import WIDE
from chameleon.training.model import Decoder


@dataclass
class Naive:
    """Flat gradients, one row per domain, and the mean loss of every block."""

    model: Decoder
    flat: Tensor
    block_losses: Tensor

    def extra_flops(self) -> float:
        """Return what this computes beyond a plain step: Gram matrix and weighted sum of flat gradients."""
        rows, parameters = self.flat.shape
        return 2.0 * rows * (rows + 1) * parameters

    def gram(self) -> np.ndarray:
        """Return ⟨g_i, g_j⟩, m × m float64."""
        return (self.flat @ self.flat.T).double().cpu().numpy()

    def combine(self, weights: np.ndarray) -> None:
        """Leave Σ_i weights_i g_i in every parameter's `.grad`."""
        total = torch.as_tensor(weights).to(self.flat) @ self.flat
        at = 0
        for p in self.model.parameters():
            p.grad = total[at : at + p.numel()].view_as(p).clone()
            at += p.numel()


def naive(
    model: Decoder, tokens: Tensor, targets: Tensor, owners: Sequence[int], at_once: int | None = None
) -> Naive:
    """One forward and backward pass per domain over its own blocks. Arguments as for `captured`."""
    parameters = list(model.parameters())
    rows, block_losses = [], torch.zeros(len(tokens), device=tokens.device, dtype=torch.float64)
    for row in range(max(owners) + 1):
        mine = torch.tensor([i for i, o in enumerate(owners) if o == row], device=tokens.device)
        logits = F.linear(model.hidden(tokens[mine]), model.wte.weight)
        logits = logits if logits.dtype in WIDE else logits.float()
        losses = F.cross_entropy(logits.flatten(0, 1), targets[mine].flatten(), reduction="none")
        gradients = torch.autograd.grad(losses.mean(), parameters)
        rows.append(torch.cat([g.flatten() for g in gradients]))
        block_losses[mine] = losses.detach().double().view(len(mine), -1).mean(1)
    return Naive(model, torch.stack(rows), block_losses)
