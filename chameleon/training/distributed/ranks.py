"""Where a process stands among those that train one model together, and what they tell each other.

`here()` answers for this process: rank 0 of 1, unless `chameleon.training.launch` started it as
one of several. Every rank holds the same streams and plays the same segments; it reads its share of each
batch, and sums over all ranks stand in the place of sums over the batch. So nothing depends on how many ranks
there are but the order of additions. With one rank nothing here copies, waits or rounds.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

T = TypeVar("T")
Rows = TypeVar("Rows", Sequence[Any], Tensor, np.ndarray)

#: Numbers that are summed in one message.
BUCKET = 2**23


@dataclass(frozen=True)
class Ranks:
    """This process among `world`; `rank` counts from 0."""

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes files and says how far the job has come."""
        return self.rank == 0

    def share(self, items: Rows) -> Rows:
        """Return this rank's items of a sequence or rows of a tensor: neighbours; it may be none."""
        n = len(items)
        return items[n * self.rank // self.world : n * (self.rank + 1) // self.world]

    def passes(self, blocks: int, parts: int) -> int:
        """Return in how many passes every rank works on its share of a batch.

        Args:
            blocks: of the whole batch.
            parts: in how many a single process would: passes hold no more blocks than then.
        """
        return min(math.ceil(parts / self.world), math.ceil(blocks / self.world))

    def at_once(self, blocks: int, parts: int) -> int:
        """Return the most blocks of a pass on any rank; arguments as of `passes`."""
        return math.ceil(math.ceil(blocks / self.world) / self.passes(blocks, parts))

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks. They lie on one device and are of any shapes."""
        if self.world == 1:
            return
        bucket: list[Tensor] = []
        for tensor in tensors:
            if bucket and (
                bucket[0].dtype != tensor.dtype or sum(t.numel() for t in bucket) + tensor.numel() > BUCKET
            ):
                _sum(bucket)
                bucket = []
            bucket.append(tensor)
        if bucket:
            _sum(bucket)

    def summed(self, tensor: Tensor) -> Tensor:
        """Return the sum over the ranks; with one rank the tensor itself."""
        if self.world == 1:
            return tensor
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum the parameters' `.grad` over the ranks; a rank without blocks adds zeros."""
        if self.world == 1:
            return
        with torch.no_grad():
            found = []
            for p in parameters:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
                found.append(p.grad)
            self.sum_(found)

    def gathered(self, mine: Tensor, total: int) -> Tensor:
        """Return the rows of all ranks in their order, where each gives those of its share of `total`."""
        if self.world == 1:
            return mine
        rows = mine.new_zeros(total, *mine.shape[1:])
        self.share(rows).copy_(mine)
        dist.all_reduce(rows)
        return rows

    def agreed(self, value: T) -> T:
        """Return what rank 0 says; all wait for it."""
        if self.world == 1:
            return value
        said = [value]
        dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
        return said[0]

    def most(self, *values: int) -> list[int]:
        """Return the largest of each over the ranks."""
        if self.world == 1:
            return list(values)
        found = torch.tensor(values)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return [int(x) for x in found]


_here = Ranks()


def here() -> Ranks:
    """Return where this process stands."""
    return _here


def stand(ranks: Ranks) -> None:
    """Say where this process stands: `launch` does, once the ranks have found each other."""
    global _here
    _here = ranks


def _sum(tensors: Sequence[Tensor]) -> None:
    if len(tensors) == 1 and tensors[0].is_contiguous():
        dist.all_reduce(tensors[0])
        return
    flat = torch.cat([t.flatten() for t in tensors])
    dist.all_reduce(flat)
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
