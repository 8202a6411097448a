"""What `domain_gradients` leaves, for any model: one backward pass after the other, each of a domain.

The one-pass form there reaches into the layers of our own decoder. This one asks a model for nothing but its
losses. All passes together cost a forward and a backward pass over the batch; m × P numbers are kept. Several
ranks share the blocks and sum their rows.
"""

import numpy as np
import torch
from torch import Tensor

from chameleon.training.distributed.ranks import here
from chameleon.training.model import Decoder


class Separate:
    """The gradients of a batch's domains, with the interface of `domain_gradients.Captured`.

    Attributes:
        rows: m lists, a gradient per parameter in the model's order; ℓ_i is the mean loss of row i's blocks.
        block_losses: mean loss (nats/token) of every block.
    """

    def __init__(
        self, model: Decoder, tokens: Tensor, targets: Tensor, block_rows: Tensor, at_once: int | None = None
    ) -> None:
        """
        Args:
            model: its `.grad`s are left alone until `combine`.
            tokens, targets: blocks x length, sorted by row.
            block_rows: row (0 to m - 1) of every block.
            at_once: blocks of one pass at most; None: all of a row.
        """
        self.parameters = list(model.parameters())
        self.rows: list[list[Tensor]] = []
        ranks = here()
        mine, theirs, owners = (ranks.share(x) for x in (tokens, targets, block_rows))
        losses = [tokens.new_empty(0, dtype=torch.float32)]
        for row, count in enumerate(torch.bincount(block_rows).tolist()):
            total = [torch.zeros_like(p) for p in self.parameters]
            blocks = torch.nonzero(owners == row).squeeze(1)
            for part in blocks.split(at_once or count) if len(blocks) else ():
                means = model(mine[part], theirs[part]).mean(1)
                with torch.autocast(tokens.device.type, enabled=False):
                    parts = torch.autograd.grad(means.sum() / count, self.parameters, allow_unused=True)
                for whole, gradient in zip(total, parts, strict=True):
                    if gradient is not None:
                        whole.add_(gradient)
                losses.append(means.detach())
            self.rows.append(total)
        ranks.sum_(gradient for of_row in self.rows for gradient in of_row)
        self.block_losses = ranks.gathered(torch.cat(losses), len(tokens))

    def extra_flops(self) -> float:
        """Return what this computes beyond a plain step: Gram matrix and weighted sum."""
        m = len(self.rows)
        return 2.0 * m * (m + 1) * sum(p.numel() for p in self.parameters)

    @torch.no_grad()
    def gram(self) -> np.ndarray:
        """Return ⟨g_i, g_j⟩ over all parameters, m × m float64."""
        products = torch.zeros(len(self.rows), len(self.rows), dtype=torch.float64)
        with torch.autocast(self.block_losses.device.type, enabled=False):
            for of_one in zip(*self.rows, strict=True):
                flat = torch.stack([part.flatten() for part in of_one])
                products += (flat @ flat.T).double().cpu()
        found: np.ndarray = products.numpy()
        return found

    @torch.no_grad()
    def combine(self, weights: np.ndarray) -> None:
        """Leave Σ_i weights_i g_i in every parameter's `.grad`."""
        for at, parameter in enumerate(self.parameters):
            parameter.grad = torch.zeros_like(parameter)
            for weight, row in zip(weights.tolist(), self.rows, strict=True):
                parameter.grad.add_(row[at], alpha=weight)
