"""Draws training blocks under a mixture: exact counts, the same data order per domain for every method.

A domain's train stream is cut into non-overlapping blocks of `context` tokens (plus the next token as last
target). Each pass over a domain is a permutation that depends on the seed and the domain alone, so the n-th
block of a domain is the same block under every mixture. How many blocks a segment takes from each domain is
the largest-remainder rounding of its weights: what is played is what the weights say. Nothing here is as long
as a segment or a domain: any stretch of a segment is computed when it is asked for.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.data.order import blocks_at

Block = tuple[str, int]
#: Blocks of a segment that are computed at once.
AT_ONCE = 4096


def allocate(
    weights: Mapping[str, float], total: int, limits: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Split `total` blocks over domains in proportion to `weights`.

    Largest remainders get the rounding's surplus; ties go by name, so the order of domains does not matter.
    Where `limits` caps a domain, its surplus goes to the domains below their cap, in proportion to their
    weights, until nothing is over (the rule of `max_epochs`). A domain of weight zero receives nothing.

    Args:
        weights: on the simplex.
        total: blocks to hand out.
        limits: most blocks per domain; None for no cap.

    Returns:
        Blocks per domain, summing to `total`.

    Raises:
        ValueError: all domains with weight are at their cap and blocks are left over.
    """
    fixed: dict[str, int] = {}
    while True:
        free = {d: w for d, w in weights.items() if d not in fixed and w > 0}
        left = total - sum(fixed.values())
        if not free:
            if left > 0:
                raise ValueError(f"{left} of {total} blocks are over when every domain is at its cap")
            return {d: fixed.get(d, 0) for d in weights}
        # fsum: a plain sum depends on the order of the domains, and its last bit decides ties.
        scale = left / math.fsum(free.values())
        exact = {d: w * scale for d, w in free.items()}
        over = {} if limits is None else {d: limits[d] for d in free if exact[d] > limits[d]}
        if over:
            fixed |= over
            continue
        counts = {d: int(x) for d, x in exact.items()}
        # Caps are whole numbers: a domain at its cap has no remainder, stands last and gets nothing more.
        # Rounded: weights that differ by floating-point noise tie, as equal weights do.
        by_remainder = sorted(free, key=lambda d: (round(counts[d] - exact[d], 9), d))
        for d in by_remainder[: left - sum(counts.values())]:
            counts[d] += 1
        return {d: fixed.get(d, counts.get(d, 0)) for d in weights}


@dataclass(frozen=True)
class Segment:
    """The blocks of a segment, in order: pairs (domain, number of the block).

    Each domain's blocks are spread evenly over the segment, the j-th of c at (j + offset) / c of it, so that
    every batch is close to the mixture.

    Attributes:
        counts: blocks of each domain.
        offsets: of each domain, in [0, 1).
        drawn: blocks of each domain that were drawn before.
        sizes: blocks that each domain has.
        seed: of the domains' orders.
    """

    counts: Mapping[str, int]
    offsets: Mapping[str, float]
    drawn: Mapping[str, int]
    sizes: Mapping[str, int]
    seed: int

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __getitem__(self, at: slice) -> list[Block]:
        """Return a stretch of the segment (a slice without a step).

        Before a point t of the segment lie between t·c - 1 and t·c + 1 blocks of a domain of c: those wanted
        lie between the two points below, and what lies between them is sorted.
        """
        start, stop, _ = at.indices(len(self))
        if start >= stop:
            return []
        names = sorted(d for d, count in self.counts.items() if count)
        low = (start - len(names) - 1) / len(self)
        high = (stop + len(names) + 1) / len(self)
        firsts, owners, keys, blocks = 0, [], [], []
        for number, domain in enumerate(names):
            count, offset = self.counts[domain], self.offsets[domain]
            first = max(0, math.floor(low * count - offset))
            j = np.arange(first, min(count, math.ceil(high * count - offset) + 1))
            firsts += first
            owners.append(np.full(len(j), number))
            keys.append((j + offset) / count)
            blocks.append(self._blocks(domain, j))
        owner = np.concatenate(owners)
        # Ties go by name, which is the order in which they stand here.
        order = np.argsort(np.concatenate(keys), kind="stable")[start - firsts : stop - firsts]
        numbers = np.concatenate(blocks)[order].tolist()
        return [(names[i], block) for i, block in zip(owner[order].tolist(), numbers, strict=True)]

    def _blocks(self, domain: str, j: np.ndarray) -> np.ndarray:
        """Return the j-th blocks that this segment draws from a domain."""
        size = self.sizes[domain]
        epochs, places = np.divmod(self.drawn[domain] + j, size)
        found = np.empty(len(j), np.int64)
        for epoch in np.unique(epochs).tolist():
            mine = epochs == epoch
            found[mine] = blocks_at(places[mine], size, self.seed, domain, epoch)
        return found


class MixtureSampler:
    """Hands out blocks segment by segment and remembers how far into each domain it is.

    Args:
        block_counts: blocks in each domain's train split.
        seed: already derived from the axes that methods share.
        max_epochs: most passes over a domain in the whole run; None for no cap.
    """

    def __init__(self, block_counts: Mapping[str, int], seed: int, max_epochs: float | None = None) -> None:
        for domain, count in block_counts.items():
            if count < 1:
                raise UserError(f"domain {domain!r} has no complete block of training tokens")
        self.block_counts = dict(block_counts)
        self.seed = seed
        self.max_epochs = max_epochs
        self.drawn = {d: 0 for d in self.block_counts}
        self._segments = 0

    def segment(self, weights: Mapping[str, float], total: int) -> Segment:
        """Return `total` blocks to train on.

        Raises:
            UserError: `max_epochs` leaves too few blocks.
        """
        limits = None
        if self.max_epochs is not None:
            limits = {
                d: max(0, math.floor(n * self.max_epochs + 1e-9) - self.drawn[d])
                for d, n in self.block_counts.items()
            }
        try:
            counts = allocate(weights, total, limits)
        except ValueError as error:
            raise UserError(
                f"max_epochs {self.max_epochs}: {error}; raise max_epochs or train on fewer tokens"
            ) from error
        offsets = {d: generator(self.seed, "offset", d, self._segments).random() for d in counts}
        found = Segment(counts, offsets, dict(self.drawn), self.block_counts, self.seed)
        for domain, count in counts.items():
            self.drawn[domain] += count
        self._segments += 1
        return found

    def state(self) -> dict[str, Any]:
        """Return how far into each domain the sampler is."""
        return {"drawn": dict(self.drawn), "segments": self._segments}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to where `state` was."""
        self.drawn = {d: int(state["drawn"][d]) for d in self.block_counts}
        self._segments = int(state["segments"])

    def effective_epochs(self) -> dict[str, float]:
        """Return how many passes over each domain have been drawn so far."""
        return {d: self.drawn[d] / n for d, n in self.block_counts.items()}


def batches(segment: Segment, size: int, first: int = 0) -> Iterator[list[Block]]:
    """Yield the batches of `size` blocks that a segment is cut into, from the `first`-th on."""
    held = max(1, AT_ONCE // size) * size
    for start in range(first * size, len(segment), held):
        part = segment[start : start + held]
        for at in range(0, len(part), size):
            yield part[at : at + size]
