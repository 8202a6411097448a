"""The passes of a plain step: the gradient of a batch's mean loss, in parts, on one rank or on several."""

import contextlib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from chameleon.training.distributed import replicas
from chameleon.training.distributed.ranks import here
from chameleon.training.model import Decoder

#: Returns the context in which a pass runs.
Context = Callable[[], contextlib.AbstractContextManager[Any]]


class Passes:
    """Called with every batch.

    Args:
        model: in training mode.
        summed: the model's summed loss, compiled or not.
        parts: in how many a batch is worked on.
        autocast: of the forward passes.
        by_block: whether the mean loss of every block is asked for.
        sharded: whether the model lies in shares on the ranks.
    """

    def __init__(
        self,
        model: Decoder,
        summed: replicas.Losses,
        parts: int,
        autocast: Context,
        by_block: bool,
        sharded: bool,
    ) -> None:
        self.parts, self.autocast, self.by_block, self.ranks = parts, autocast, by_block, here()

        def block_losses(tokens: Tensor, targets: Tensor) -> Tensor:
            means: Tensor = model(tokens, targets).mean(1)
            return means

        self._losses = block_losses if by_block else summed
        self._gathering: replicas.Gathering = lambda last: contextlib.nullcontext()
        if self.ranks.world > 1:
            spread = replicas.of_shares if sharded else replicas.of_replicas
            self._losses, self._gathering = spread(model, self._losses)

    def __call__(self, tokens: Tensor, blocks: int) -> tuple[list[Tensor], list[Tensor]]:
        """Leave the gradient of the whole batch's mean loss in `.grad`.

        Args:
            tokens: this rank's blocks, blocks x (context + 1); where it has none, one that counts nothing.
            blocks: of the whole batch.

        Returns:
            This rank's parts of the mean, and mean losses of its blocks if these are asked for.
        """
        if self.ranks.world == 1:
            chunks = list(tokens.chunk(self.parts))
        else:
            mine = len(self.ranks.share(range(blocks)))
            chunks = list(tokens[:mine].tensor_split(self.ranks.passes(blocks, self.parts)))
        count = blocks * (tokens.shape[1] - 1)
        losses: list[Tensor] = []
        means: list[Tensor] = []
        for number, part in enumerate(chunks, 1):
            # All ranks make as many passes; one that has nothing to add adds zeros.
            idle = not len(part)
            part = tokens[:1] if idle else part
            with self._gathering(number == len(chunks)):
                with self.autocast():
                    found = self._losses(part[:, :-1], part[:, 1:])
                    loss = found.sum() / blocks if self.by_block else found / count
                (loss * 0.0 if idle else loss).backward()  # type: ignore[no-untyped-call]
            if not idle:
                losses.append(loss.detach())
                means += [found.detach()] if self.by_block else []
        return losses, means
