"""How a model lies on several ranks: a replica on each (DDP), or in shares of its parameters (FSDP2).

Replicas sum their gradients while the backward pass still works on earlier layers. Shares are for a model
whose parameters, gradients and optimizer state do not fit on one device together: a block's parameters are
brought together when it is computed, and only then. Both are torch's; what is ours is that gradients are
sums over the ranks, of each rank's part of the batch's mean, and not means over ranks.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from chameleon.core.errors import UserError
from chameleon.training.distributed.ranks import Ranks, here
from chameleon.training.model import Decoder

if TYPE_CHECKING:
    from chameleon.training.recipe import Recipe

#: Tokens and targets of a pass -> what its loss is made of.
Losses = Callable[[Tensor, Tensor], Tensor]
#: Whether a pass is its step's last, in whose backward pass gradients are summed -> the context of the pass.
Gathering = Callable[[bool], contextlib.AbstractContextManager[Any]]


def of_replicas(model: Decoder, losses: Losses) -> tuple[Losses, Gathering]:
    """Return how passes are made where every rank has the whole model.

    Args:
        model: the same on every rank.
        losses: of a pass over the model.
    """
    from torch.nn.parallel import DistributedDataParallel

    device = next(model.parameters()).device
    ddp = DistributedDataParallel(
        _Pass(model, losses),
        device_ids=None if device.type == "cpu" else [device],
        gradient_as_bucket_view=True,
    )
    ddp.register_comm_hook(None, _add_up)
    return ddp, lambda last: contextlib.nullcontext() if last else ddp.no_sync()


def of_shares(model: Any, losses: Losses) -> tuple[Losses, Gathering]:
    """Return the same where every rank has a share of every parameter: `model` was laid so by `sharded`."""

    @contextlib.contextmanager
    def gathering(last: bool) -> Iterator[None]:
        model.set_requires_gradient_sync(last)
        yield

    return losses, gathering


class _Pass(nn.Module):
    """A pass as the module that DDP calls."""

    def __init__(self, model: Decoder, losses: Losses) -> None:
        super().__init__()
        self.model, self.losses = model, losses

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        return self.losses(tokens, targets)


def _add_up(_: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Sum a bucket of gradients over the ranks."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda future: future.value()[0])
    return summed


def sharded(model: Decoder, recipe: "Recipe", objective: object | None) -> Decoder | None:
    """Lay a model's parameters on all ranks, block by block; return a whole copy on the CPU for `unshard`.

    With one rank nothing is done, and None returned.

    Args:
        model: in training mode or not; changed in place.
        recipe: of the run.
        objective: the method's own, if there is one.

    Raises:
        UserError: the objective, or Muon, reaches into whole matrices.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    if here().world == 1:
        return None
    if objective is not None or recipe.optimizer == "muon":
        what = "optimizer muon" if objective is None else f"the objective {type(objective).__name__}"
        raise UserError(f"scales.*.train.shard: {what} needs the whole model in every process; leave it out")
    whole = copy.deepcopy(model.cpu())
    modules: list[Any] = [*model.blocks, model]
    for module in modules:
        fully_shard(module)
        # gloo knows no means, and nothing here wants one.
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)
    register_fsdp_forward_method(model, "summed")
    return whole


@torch.no_grad()
def unshard(model: Decoder, whole: Decoder) -> Decoder:
    """Bring the parameters together in the copy that `sharded` returned, on every rank, and return it."""
    named = dict(whole.named_parameters())
    for name, p in model.named_parameters():
        named[name].copy_(full(p))
    return whole.to(next(model.parameters()).device)


def full(value: Any) -> Any:
    """Return a value with each sharded tensor in it brought together; all ranks ask at once."""
    if hasattr(value, "full_tensor"):
        return value.full_tensor()
    if isinstance(value, list | tuple):
        return type(value)(full(part) for part in value)
    return {key: full(part) for key, part in value.items()} if isinstance(value, dict) else value


def laid(value: Any, like: Tensor) -> Any:
    """Return a tensor, or each of several, on the device of `like`, and sharded if `like` is."""
    if isinstance(value, list | tuple):
        return tuple(laid(part, like) for part in value)
    value = value.to(like.device)
    if not hasattr(like, "full_tensor") or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    # Every rank has the whole tensor: nothing is sent.
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)  # type: ignore[attr-defined]


def among(model: Decoder) -> Ranks:
    """Return the ranks that may divide a model's forward passes; of a sharded one all must make each."""
    return Ranks() if any(hasattr(p, "full_tensor") for p in model.parameters()) else here()
