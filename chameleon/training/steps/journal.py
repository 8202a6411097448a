"""What steps leave behind: their losses are read from the device, checked, written down and told.

Reading a number from a GPU waits until it has done all that it was given. So there steps are noted, and read
`EVERY` steps together; on a CPU, whose numbers are at hand, each is read before the optimizer moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chameleon.training import divergence
from chameleon.training.distributed.ranks import here
from chameleon.training.losses import domain_means
from chameleon.training.progress import Progress

#: Steps that are read together on a GPU.
EVERY = 16

#: Step, tokens so far, learning rate, loss of the batch, norm of the gradient.
Row = tuple[int, int, float, float, float]


@dataclass
class Step:
    """A step that has been computed.

    Attributes:
        number: counted from 1.
        tokens: of the run, this step's included.
        rate: learning rate.
        domains: of the blocks of the batch.
        losses: of this rank's passes, parts of the batch's mean; or that mean itself.
        norm: of the gradient before it was clipped.
        blocks: mean losses of this rank's blocks, for an observer.
    """

    number: int
    tokens: int
    rate: float
    domains: Sequence[str]
    losses: Sequence[Tensor] | float
    norm: Tensor
    blocks: Sequence[Tensor] = ()


class Journal:
    """Notes the steps of a run.

    Args:
        label: of the run, for messages.
        vocabulary: of the model.
        rows: where steps are written down.
        every: steps that are read together.
        progress: shown every step's loss.
        observe: called with every step's number and losses by domain, if the steps' `blocks` are given.
    """

    def __init__(
        self,
        label: str,
        vocabulary: int,
        rows: list[Row],
        every: int,
        progress: Progress | None = None,
        observe: Callable[[int, dict[str, float]], None] | None = None,
    ) -> None:
        self.label, self.vocabulary, self.rows, self.every = label, vocabulary, rows, every
        self._progress, self._observe = progress, observe
        self._noted: list[Step] = []

    def note(self, step: Step) -> None:
        """Take a step.

        Raises:
            Diverged: as `read`.
        """
        self._noted.append(step)
        if len(self._noted) >= self.every:
            self.read()

    def read(self) -> None:
        """Read what was noted; all ranks do so at the same step.

        Raises:
            Diverged: a step's loss is not finite or has exploded.
        """
        noted, self._noted = self._noted, []
        if not noted:
            return
        ranks = here()
        totals = [0.0] * len(noted)
        for i, step in enumerate(noted):
            if isinstance(step.losses, float):
                totals[i] = step.losses if ranks.main else 0.0
            else:
                for part in step.losses:
                    totals[i] += float(part)
        totals = ranks.summed(torch.tensor(totals, dtype=torch.float64)).tolist()
        for step, loss in zip(noted, totals, strict=True):
            norm = float(step.norm)
            before = step.number - 1
            divergence.check(self.label, loss, norm, self.vocabulary, before, step.rate, set(step.domains))
            self.rows.append((step.number, step.tokens, step.rate, loss, norm))
            if self._observe is not None:
                mine = [float(x) for block in step.blocks for x in block.tolist()]
                found = ranks.gathered(torch.tensor(mine, dtype=torch.float64), len(step.domains))
                self._observe(step.number, domain_means(found.tolist(), step.domains))
            if self._progress is not None:
                self._progress.update(step.number, loss)

    def close(self) -> None:
        """Show nothing more."""
        if self._progress is not None:
            self._progress.close()
