"""Cross-entropy over a vocabulary, for models so small that it is a quarter of their step or more.

Neither form makes float32 logits of a whole batch in bfloat16, or a second matrix of them in float32. Reads
and writes nothing; used by `model` and `stacked`.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def token_losses(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each token's target under softmax(x Wᵀ), in nats (float32 for bfloat16).

    The same as `F.cross_entropy` of the logits, without its second and third matrix of n x vocabulary.

    Args:
        x: n x d_model final hidden states.
        weight: vocabulary x d_model, of the same dtype.
        targets: n token ids.
    """
    losses: Tensor = _TokenLosses.apply(x, weight, targets)
    return losses


def domain_means(losses: Sequence[float], domains: Sequence[str]) -> dict[str, float]:
    """Return the mean of a batch's losses over the blocks of each domain that is in it, by name.

    Args:
        losses: of each block, nats/token. The blocks are of one length.
        domains: name of each block's domain.
    """
    found: dict[str, list[float]] = {}
    for loss, domain in zip(losses, domains, strict=True):
        found.setdefault(domain, []).append(loss)
    return {domain: math.fsum(found[domain]) / len(found[domain]) for domain in sorted(found)}


def summed_loss(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of `token_losses`, a scalar. Its gradients are made with it, so logits are never kept.

    What it is for is memory: a chunk of logits instead of a batch's. A step takes about the same time
    (benchmarks/training_step.py).
    """
    loss: Tensor = _SummedLoss.apply(x, weight, targets)
    return loss


def chunk_rows(device: str) -> int:
    """Return the rows of a chunk of logits: it stays in a CPU's cache, or in little memory on a GPU."""
    return 128 if device == "cpu" else 4096


def _chunks(x: Tensor) -> list[slice]:
    size = chunk_rows(x.device.type)
    return [slice(i, i + size) for i in range(0, len(x), size)]


def _exponentials(z: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn logits into exp(z - max) in place.

    Returns:
        Losses (n), row maxima and sums of the exponentials (n x 1).
    """
    picked = z.gather(1, targets[:, None])
    top = z.amax(1, keepdim=True)
    total = z.sub_(top).exp_().sum(1, keepdim=True)
    return (total.log() + top - picked).squeeze(1), top, total


class _TokenLosses(torch.autograd.Function):
    """-log softmax(x Wᵀ)[target], with one matrix of logits in the precision of x.

    float32 and float64: the matrix becomes its exponentials in place. bfloat16: it stays as it is, and a
    chunk at a time is worked on in float32; gradients are rounded to bfloat16 before their products, as
    autocast does.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        logits = x @ weight.T
        low = logits.dtype == torch.bfloat16
        dtype = torch.float32 if low else x.dtype
        losses, scale = x.new_empty(len(x), dtype=dtype), x.new_empty(len(x), 1, dtype=dtype)
        for part in _chunks(x):
            z = logits[part].float() if low else logits[part]
            losses[part], top, total = _exponentials(z, targets[part])
            # What the backward pass needs to get the softmax back from the logits kept.
            scale[part] = total.log() + top if low else 1 / total
        ctx.save_for_backward(x, weight, targets, logits, scale)
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, targets, kept, scale = ctx.saved_tensors
        # Nothing that was kept is changed: a retained graph may come here twice.
        up = upstream[:, None]
        if kept.dtype == torch.bfloat16:
            d_logits = torch.empty_like(kept)
            for part in _chunks(x):
                p = kept[part].float().sub_(scale[part]).exp_().mul_(up[part])
                d_logits[part] = p.scatter_add_(1, targets[part, None], -up[part])
            return d_logits @ weight, d_logits.T @ x, None
        # The softmax is a row's exponentials times one number, and its target's gradient touches one row of
        # W: both go to the narrow factors, and the matrix of n x vocabulary is only read, by the products.
        factor = scale * up
        d_x = (kept @ weight).mul_(factor).addcmul_(weight[targets], up, value=-1)
        d_weight = (kept.T @ (x * factor)).index_add_(0, targets, x * up, alpha=-1)
        return d_x, d_weight, None


class _SummedLoss(torch.autograd.Function):
    """Σ -log softmax(x Wᵀ)[target], with its gradients, a chunk of rows at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        low = x.dtype == torch.bfloat16
        d_x = torch.empty_like(x)
        # Over chunks, in float32: bfloat16 would forget the later ones' digits.
        d_weight = torch.zeros_like(weight, dtype=torch.float32 if low else weight.dtype)
        sums = []
        for part in _chunks(x):
            rows, goals = x[part], targets[part]
            z = rows @ weight.T
            if low:
                z = z.float()
                losses, _, total = _exponentials(z, goals)
                z.div_(total)[torch.arange(len(z), device=z.device), goals] -= 1
                d_logits = z.bfloat16()
                d_x[part] = d_logits @ weight
                d_weight += d_logits.T @ rows
            else:
                # The softmax is a row's exponentials over one number, and its target's gradient touches one
                # row of W: both go to the narrow factors.
                losses, _, total = _exponentials(z, goals)
                d_x[part] = (z @ weight).div_(total).sub_(weight[goals])
                d_weight.addmm_(z.T, rows / total).index_add_(0, goals, rows, alpha=-1)
            sums.append(losses.sum())
        ctx.save_for_backward(d_x, d_weight.to(weight.dtype))
        return torch.stack(sums).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        d_x, d_weight = ctx.saved_tensors
        # A number, not a tensor of another dtype: nothing is promoted, and its own digits are not rounded.
        return d_x * upstream, d_weight * upstream, None
