"""Inner products between the gradients of per-domain losses, and weighted sums of those gradients.

A step of DoGE needs the Gram matrix ⟨g_i, g_j⟩ of the k domain gradients and then Σ_i w_i g_i, with w known
only after the Gram matrix. The obvious form runs k backward passes (the oracle of the tests). `captured` runs
one forward and one backward pass over the whole batch in which no weight gradient is formed. Blocks do not
see each other, so with D the gradient at a layer's outputs and X its inputs (both from that one pass), the
rows of domain i alone give its gradient:

    g_i = D_iᵀ X_i (matrices), Σ_t D_i (biases, LayerNorm shifts), Σ_t D_i ⊙ x̂_i (LayerNorm scales)

Layer by layer, as the backward pass reaches them, these matrices are formed, multiplied with each other and
kept for the weighted sum, k × P numbers in all; all rows together cost what the weight gradient of a plain
step costs. The tied matrix gets both of its parts (head and look-up) before it is multiplied, since their
cross terms count.

Models of transformers have layers of all kinds; for them `separate_passes` leaves the same. Used by
`chameleon.methods.reweighting.with_target`; reads and writes nothing.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chameleon.methods.reweighting.separate_passes import Separate
from chameleon.training.distributed.ranks import Ranks, here
from chameleon.training.model import Decoder

#: Formats in which inner products are formed as they are.
WIDE = (torch.float32, torch.float64)


class Captured:
    """What one pass over the batch left: the Gram matrix, and what the weighted sum of gradients needs.

    Inputs X and output gradients D are blocks x length x width, blocks sorted by domain. A group is a
    domain's blocks, or a single block where a domain has few.

    Attributes:
        block_losses: mean loss (nats/token) of every block.
    """

    def __init__(self, model: Decoder, tokens: Tensor, block_rows: Tensor) -> None:
        self.model, self.tokens, self.block_rows = model, tokens, block_rows
        counts = torch.bincount(block_rows).tolist()
        # With few blocks a domain, one batched product over blocks beats one small product per domain.
        self.per_block = len(block_rows) <= 2 * len(counts) + 2
        self.groups: list[int] = [1] * len(block_rows) if self.per_block else counts
        #: A parameter, its gradient per group, and whether that is inputs x outputs.
        self.matrices: list[tuple[Tensor, Tensor, bool]] = []
        self.vectors: list[tuple[Tensor, Tensor]] = []  # parameter, gradient per block
        self.block_losses = self.look_up = tokens.new_empty(0)
        size = len(self.groups)
        self._products = torch.zeros(size, size, dtype=torch.float64, device=tokens.device)
        self._of_passes = 0.0

    def add(self, layer: nn.Linear | nn.LayerNorm, x: Tensor, d: Tensor) -> None:
        """Take a layer's input and the gradient at its output, while they are warm in the cache."""
        with torch.no_grad(), torch.autocast(d.device.type, enabled=False):
            if isinstance(layer, nn.Linear):
                x = x.to(d.dtype)
                wide = d.shape[2] > x.shape[2]
                products = self._group_products(x, d) if wide else self._group_products(d, x)
                self._multiply(products)
                self.matrices.append((layer.weight, products, wide))
            else:
                normed = F.layer_norm(x, layer.normalized_shape, None, None, layer.eps)
                self.vectors.append((layer.weight, normed.mul_(d).sum(1)))
            self.vectors.append((layer.bias, d.sum(1, dtype=layer.bias.dtype)))

    def finish(self, losses: Tensor, head: tuple[Tensor, Tensor], look_up: Tensor) -> None:
        """Take the loss of every block, X and D of the head, and D at the sum of the two embeddings."""
        self.block_losses, self.look_up = losses, look_up
        with torch.no_grad(), torch.autocast(look_up.device.type, enabled=False):
            self._multiply(self._sums(torch.cat([g for _, g in self.vectors], dim=1)))
            self._multiply(self._sums(look_up))  # positions
            self._multiply_tied(*head)

    def add_up(self, passes: Iterable["Captured"], ranks: Ranks) -> None:
        """Take what several passes left, each over some of the blocks, as one row per domain.

        Args:
            passes: over this rank's share of the blocks.
            ranks: those that share them: their rows are summed, and each multiplies those of some layers.
        """
        m = len(self.groups)
        losses: list[Tensor] = []
        for one in passes:
            rows = one.block_rows
            of_groups = rows if one.per_block else torch.arange(len(one.groups), device=rows.device)
            if not losses:
                # Sums, in a format that does not forget the later ones' digits.
                self.matrices = [(p, _zeros(m, g), wide) for p, g, wide in one.matrices]
                self.vectors = [(p, _zeros(m, g)) for p, g in one.vectors]
                self.look_up = _zeros(m, one.look_up)
            for (_, total, _), (_, part, _) in zip(self.matrices, one.matrices, strict=True):
                total.index_add_(0, of_groups, part.to(total.dtype))
            for (_, vector), (_, part) in zip(self.vectors, one.vectors, strict=True):
                vector.index_add_(0, rows, part.to(vector.dtype))
            self.look_up.index_add_(0, rows, one.look_up.to(self.look_up.dtype))
            losses.append(one.block_losses)
            self._of_passes += one.extra_flops()
        count = len(self.tokens)
        self.block_losses = ranks.gathered(torch.cat(losses)[: len(ranks.share(range(count)))], count)
        ranks.sum_([*(g for _, g, _ in self.matrices), *(g for _, g in self.vectors), self.look_up])
        stacks = [total for _, total, _ in self.matrices]
        stacks += [torch.cat([g for _, g in self.vectors], dim=1), self.look_up]
        for stack in stacks[ranks.rank :: ranks.world]:
            self._multiply(stack)
        self._products = ranks.summed(self._products)
        self._of_passes = float(ranks.summed(torch.tensor(self._of_passes, dtype=torch.float64)))

    def extra_flops(self) -> float:
        """Return what this computes beyond a plain step: Gram matrix, and the weighted sums."""
        g, parameters = len(self.groups), self.model.shape.parameters
        return 2.0 * g * (g + 1) * parameters + self._of_passes

    def gram(self) -> np.ndarray:
        """Return ⟨g_i, g_j⟩ over all parameters, m × m float64."""
        products = self._products.cpu().numpy()
        if self.per_block:
            rows = self.block_rows.cpu().numpy()
            members = np.equal.outer(np.unique(rows), rows)
            products = members @ products @ members.T
        return products

    def _multiply(self, stack: Tensor) -> None:
        """Add the inner products of every group's share of some parameters."""
        flat = stack.flatten(1)
        flat = flat if flat.dtype in WIDE else flat.float()
        self._products += flat @ flat.T

    def _group_products(self, left: Tensor, right: Tensor) -> Tensor:
        """Return leftᵀ right of every group; the wide factor on the right is the faster order."""
        if self.per_block:
            return torch.bmm(left.transpose(1, 2), right)
        stack = left.new_empty(len(self.groups), left.shape[2], right.shape[2])
        pairs = zip(left.split(self.groups), right.split(self.groups), strict=True)
        for out, (a, b) in zip(stack, pairs, strict=True):
            torch.mm(a.flatten(0, 1).T, b.flatten(0, 1), out=out)
        return stack

    def _sums(self, blocks: Tensor) -> Tensor:
        """Return the sum over every group's blocks."""
        if self.per_block:
            return blocks
        return torch.stack([part.sum(0) for part in blocks.split(self.groups)])

    def _multiply_tied(self, x: Tensor, d: Tensor) -> None:
        stack = self._group_products(x, d)
        parts = zip(self.tokens.split(self.groups), self.look_up.split(self.groups), strict=True)
        for out, (ids, gradient) in zip(stack, parts, strict=True):
            gradient = gradient.flatten(0, 1).to(out.dtype)
            out.scatter_add_(1, ids.flatten().expand(x.shape[2], -1), gradient.T)
        self._multiply(stack)
        self.matrices.append((self.model.wte.weight, stack, True))

    @torch.no_grad()
    def combine(self, weights: np.ndarray) -> None:
        """Leave Σ_i weights_i g_i in every parameter's `.grad`."""
        model = self.model
        per_domain = torch.as_tensor(weights).to(self.look_up)
        per_block = per_domain[self.block_rows]
        per_group = per_block if self.per_block else per_domain
        with torch.autocast(per_block.device.type, enabled=False):
            for parameter, products, transposed in self.matrices:
                total = (per_group.to(products.dtype) @ products.flatten(1)).view(products.shape[1:])
                total = total.T.contiguous() if transposed else total
                parameter.grad = total.to(parameter.dtype)
            model.wpe.weight.grad = torch.zeros_like(model.wpe.weight)
            model.wpe.weight.grad[: self.look_up.shape[1]] = (self.look_up * per_block[:, None, None]).sum(0)
            total = per_block @ torch.cat([g for _, g in self.vectors], dim=1)
            parts = total.split([p.numel() for p, _ in self.vectors])
            for (vector, _), part in zip(self.vectors, parts, strict=True):
                vector.grad = part.clone()


def captured(
    model: Decoder, tokens: Tensor, targets: Tensor, owners: Sequence[int], at_once: int | None = None
) -> Captured | Separate:
    """Run one forward and one backward pass of Σ_i ℓ_i and keep what the per-domain gradients need.

    Args:
        model: its `.grad`s are left alone until `combine`.
        tokens, targets: blocks x length.
        owners: row (0 to m - 1) of every block; ℓ_i is the mean loss over the tokens of row i's blocks.
        at_once: blocks of one pass, where all would not fit into memory; None: all of them. The m × P numbers
            are held once more while passes, or those of several ranks, are added up.
    """
    ranks = here()
    order = np.argsort(np.asarray(owners), kind="stable")
    rows = torch.from_numpy(np.asarray(owners)[order]).to(tokens.device)
    index = torch.from_numpy(order).to(tokens.device)
    if type(model) is not Decoder:
        return Separate(model, tokens[index], targets[index], rows, at_once)
    counts = torch.bincount(rows)
    given = (tokens[index], targets[index], rows, counts[rows] * tokens.shape[1])
    if ranks.world == 1 and (at_once is None or at_once >= len(tokens)):
        return _pass(model, *given)
    mine = [ranks.share(x) for x in given]
    if not len(mine[0]):
        # A rank without a block reads one as part of infinitely many tokens: its gradient is zero.
        mine = [x[:1] for x in given]
        mine[3] = torch.full_like(mine[3], math.inf, dtype=torch.float32)
    parts = zip(*(x.split(at_once or len(tokens)) for x in mine), strict=True)
    out = Captured(model, tokens, torch.arange(len(counts), device=rows.device))
    out.add_up((_pass(model, *part) for part in parts), ranks)
    return out


def _pass(model: Decoder, tokens: Tensor, targets: Tensor, rows: Tensor, sizes: Tensor) -> Captured:
    """Return what a pass over blocks sorted by `rows` leaves; `sizes`: tokens of each block's row in all."""
    out = Captured(model, tokens, rows)
    with _recording(model, out):
        x = F.embedding(tokens, model.wte.weight) + model.wpe.weight[: tokens.shape[1]]
        hidden = x.requires_grad_()
        for block in model.blocks:
            hidden = block(hidden)
        hidden = model.ln_f(hidden)
        losses, head, at_hidden = _head(hidden.detach(), model.wte.weight, targets, sizes)
        torch.autograd.backward(hidden, at_hidden.to(hidden.dtype))
    assert x.grad is not None
    out.finish(losses, head, x.grad)
    return out


def _zeros(rows: int, like: Tensor) -> Tensor:
    """Return rows of zeros, each as one of `like`, in float32 or wider."""
    dtype = like.dtype if like.dtype in WIDE else torch.float32
    return torch.zeros(rows, *like.shape[1:], dtype=dtype, device=like.device)


@contextlib.contextmanager
def _recording(model: Decoder, out: Captured) -> Iterator[None]:
    """Hand each layer's input and output gradient to `out` in the passes within; weights get no gradient."""

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Linear | nn.LayerNorm)
        x = inputs[0].detach()
        output.register_hook(lambda d: out.add(layer, x, d))

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.LayerNorm)]
    handles = [m.register_forward_hook(record) for m in layers]
    model.requires_grad_(False)
    try:
        yield
    finally:
        model.requires_grad_(True)
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _head(
    hidden: Tensor, weight: Tensor, targets: Tensor, sizes: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Return every block's loss, (X, D) of the head, and the gradient at the hidden states.

    Block by block, so that a block's logits stay in the cache. D holds e^(z - max z) - Σe at the target and
    e^(z - max z) elsewhere; 1 / (Σe · tokens of the domain) is a factor per row and sits in X, which is
    narrow.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        x, w = hidden.to(dtype), weight.to(dtype)
        errors = x.new_empty(*x.shape[:2], len(w))
        scaled, at_hidden, losses = torch.empty_like(x), torch.empty_like(x), []
        for i, target in enumerate(targets[:, :, None]):
            e = torch.mm(x[i], w.T, out=errors[i]) if dtype in WIDE else (x[i] @ w.T).float()
            e.sub_(e.amax(1, keepdim=True))
            of_target = e.gather(1, target)
            total = e.exp_().sum(1, keepdim=True)
            losses.append((total.log() - of_target).mean())
            e.scatter_add_(1, target, -total)
            if e.dtype != dtype:
                e = errors[i].copy_(e)
            factor = (1 / (total * sizes[i])).to(dtype)
            torch.mul(e @ w, factor, out=at_hidden[i])
            torch.mul(x[i], factor, out=scaled[i])
    return torch.stack(losses), (scaled, errors), at_hidden
