"""Blocks of tokens on the device: a batch's, those of the batches after it read ahead, and further draws."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from chameleon.core.seeds import generator
from chameleon.data.tokens import TokenStream
from chameleon.training.distributed.ranks import here

#: (domain, number of the block).
Block = tuple[str, int]


class Feed:
    """Reads blocks of the train splits.

    Args:
        streams: train split per domain.
        context: tokens of a block.
        seed: of the data.
        device: where tokens go.
    """

    def __init__(
        self, streams: Mapping[str, TokenStream], context: int, seed: int, device: torch.device
    ) -> None:
        self.streams, self.context, self.seed, self.device = streams, context, seed, device
        #: Whether a thread reads the next batch while the device works on this one.
        self.reads_ahead = device.type == "cuda"
        #: Blocks in each domain's split.
        self.counts = {d: max(0, (len(s) - 1) // context) for d, s in streams.items()}

    def read(self, batch: Sequence[Block]) -> Tensor:
        """Return the blocks of a batch, blocks x (context + 1)."""
        return self._read(batch).to(self.device, non_blocking=True)

    def ahead(self, batches: Iterable[Sequence[Block]], whole: bool = True) -> Iterator[Tensor]:
        """Yield `read` of each; see `reads_ahead`.

        Args:
            batches: whole ones.
            whole: read all of them; False: this rank's share, or, to take part in the others' passes where it
                has none, a block.
        """
        ranks = here()
        mine = (batch if whole else ranks.share(batch) or batch[:1] for batch in batches)
        if not self.reads_ahead:
            yield from map(self.read, mine)
            return
        with ThreadPoolExecutor(1) as reader:
            waiting = None
            for batch in mine:
                coming = reader.submit(self._read, batch)
                if waiting is not None:
                    yield waiting.result().to(self.device, non_blocking=True)
                waiting = coming
            if waiting is not None:
                yield waiting.result().to(self.device, non_blocking=True)

    def draw(self, step: int, count: int) -> tuple[Tensor, Tensor, list[str]]:
        """Return blocks that depend on the data seed and the step alone: see `StepInfo.draw`."""
        rng = generator(self.seed, "independent", step)
        names = sorted(self.streams)
        turns = [names[i] for i in rng.permutation(len(names))]
        domains = [turns[i % len(turns)] for i in range(count)]
        tokens = self.read([(d, int(rng.integers(self.counts[d]))) for d in domains])
        return tokens[:, :-1], tokens[:, 1:], domains

    def _read(self, batch: Sequence[Block]) -> Tensor:
        size = self.context
        data = np.stack([self.streams[d].read(b * size, (b + 1) * size + 1) for d, b in batch])
        return on_host(data, self.device)


def on_host(data: np.ndarray, device: torch.device) -> Tensor:
    """Return an array as a tensor on the host; for a GPU in memory that it copies from while it works."""
    tokens = torch.from_numpy(data)
    return tokens.pin_memory() if device.type == "cuda" else tokens
