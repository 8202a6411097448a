"""The gradient of the last block's last matrix, by group of blocks, out of an ordinary training step.

The matrix is the second one of the last block's MLP, d_model x 4·d_model in our decoder, and what its class
has there in a model of transformers. It is the last linear layer that is the model's own: the head after it
is tied to the embedding, so its gradient has a part from the first layer, and it is as large as the
vocabulary. A forward hook records the layer's inputs X and, once the backward pass has come to it, the
gradient D at its outputs. Blocks do not see each other, so the rows of group g alone give its gradient,
D_gᵀ X_g. Model, loss and backward pass are those of a plain step; all groups together cost what that one
matrix's gradient costs, once more.

Used by `controller`; reads and writes nothing.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chameleon.training.device import pick_device
from chameleon.training.distributed.ranks import here
from chameleon.training.model import Decoder


def last_layer(model: Decoder) -> nn.Module:
    """Return the layer whose matrix is looked at: the last one of the last block that has one."""
    parts = model.blocks[-1].modules()
    return [p for p in parts if isinstance(getattr(p, "weight", None), Tensor) and _matrix(p).ndim == 2][-1]


def _matrix(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight


class GroupSums:
    """Sums over blocks, by group, of the matrix's gradient of a block's mean loss; steps add to them.

    Attributes:
        counts: m, the blocks in each sum.
        extra_flops: computed so far beyond plain steps.
    """

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros(groups, dtype=np.int64)
        self.extra_flops = 0.0
        #: m x d_model x 4·d_model, in float32 or wider; None before the first step. This rank's part.
        self._sums: Tensor | None = None

    def step(
        self, model: Decoder, tokens: Tensor, targets: Tensor, owners: Sequence[int], parts: int
    ) -> float:
        """Do the passes of a plain step: its gradient is left in `.grad`, its mean loss returned.

        Args:
            model: in training mode, gradients cleared.
            tokens, targets: blocks x length.
            owners: group (0 to m - 1) of every block.
            parts: in how many passes (`StepInfo.parts`).
        """
        layer, device, ranks = last_layer(model), tokens.device.type, here()
        if self._sums is None:
            self._sums = _matrix(layer).new_zeros(len(self.counts), *_matrix(layer).shape)
        total, rows = 0.0, torch.as_tensor(owners)
        parts, shares = ranks.passes(len(tokens), parts), [ranks.share(x) for x in (tokens, targets, rows)]
        for some, theirs, mine in zip(*(x.chunk(parts) for x in shares), strict=True):
            if not len(some):
                continue  # a rank may have no share
            with self._recording(layer, mine.tolist(), len(tokens)):
                loss = model.summed(some, theirs) / tokens.numel()
                # As in a plain step, where nothing is cast any more when the backward pass begins.
                with torch.autocast(device, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        ranks.sum_gradients(model.parameters())
        self.counts += np.bincount(owners, minlength=len(self.counts))
        self.extra_flops += 2.0 * tokens.numel() * _matrix(layer).numel()
        return float(ranks.summed(torch.tensor(total, dtype=torch.float64)))

    @contextlib.contextmanager
    def _recording(self, layer: nn.Module, owners: Sequence[int], blocks: int) -> Iterator[None]:
        """Add up what the passes within do to the layer; the loss is a mean over so many blocks."""

        def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x = inputs[0].detach()
            # An output that activation checkpointing computes again gets no gradient: this happens once.
            output.register_hook(lambda d: self._add(x, d, owners, blocks))

        handle = layer.register_forward_hook(record)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def _add(self, x: Tensor, d: Tensor, owners: Sequence[int], blocks: int) -> None:
        """Take X and D, blocks x length x width."""
        assert self._sums is not None
        order = np.argsort(owners, kind="stable")
        present, counts = np.unique(owners, return_counts=True)
        index = torch.from_numpy(order).to(d.device)
        pairs = (t[index].to(d.dtype).split(counts.tolist()) for t in (d, x))
        with torch.autocast(d.device.type, enabled=False):
            for row, left, right in zip(present.tolist(), *pairs, strict=True):
                # The product may be bfloat16, as a plain step's is; the sum is not.
                product = left.flatten(0, 1).T @ right.flatten(0, 1)
                # Some keep a matrix as inputs x outputs; inner products are the same.
                kept = product if product.shape == self._sums.shape[1:] else product.T
                self._sums[row].add_(kept, alpha=blocks)

    def products(self, groups: Sequence[int]) -> np.ndarray:
        """Return the inner products of these groups' sums, float64."""
        if self._sums is None:
            return np.zeros((len(groups), len(groups)))
        flat = here().summed(self._sums[list(groups)]).flatten(1)
        self.extra_flops += 2.0 * len(groups) * flat.numel()
        with torch.autocast(flat.device.type, enabled=False):
            found: np.ndarray = (flat @ flat.T).double().cpu().numpy()
        return found

    def clear(self, groups: Sequence[int]) -> None:
        """Begin the sums of these groups anew."""
        if self._sums is not None:
            self._sums[list(groups)] = 0
        self.counts[list(groups)] = 0

    def state(self) -> dict[str, Any]:
        """Return the sums and what was computed."""
        sums = None if self._sums is None else here().summed(self._sums)
        return {"sums": sums, "counts": self.counts, "extra_flops": self.extra_flops}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        sums = state["sums"]
        # The sum over ranks is the first one's part.
        self._sums = None if sums is None else sums.to(pick_device()) * here().main
        self.counts, self.extra_flops = np.array(state["counts"]), float(state["extra_flops"])
