"""Draws training blocks under a mixture: exact counts, the same data order per domain for every method.

A domain's train stream is cut into non-overlapping blocks of `context` tokens (plus the next token as last
target). Each pass over a domain is a permutation that depends on the seed and the domain alone, so the n-th
block of a domain is the same block under every mixture. How many blocks a segment takes from each domain is
the largest-remainder rounding of its weights: what is played is what the weights say.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator


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
            counts = {}
            break
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
        break
    return {d: fixed.get(d, counts.get(d, 0)) for d in weights}


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
        self._orders: dict[tuple[str, int], np.ndarray] = {}

    def _order(self, domain: str, epoch: int) -> np.ndarray:
        key = (domain, epoch)
        if key not in self._orders:
            self._orders.pop((domain, epoch - 1), None)
            rng = generator(self.seed, "order", domain, epoch)
            self._orders[key] = rng.permutation(self.block_counts[domain])
        return self._orders[key]

    def segment(self, weights: Mapping[str, float], total: int) -> list[tuple[str, int]]:
        """Return `total` pairs (domain, block number) to train on, in order.

        Each domain's blocks are spread evenly over the segment (with an offset of its own), so that every
        batch is close to the mixture.

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
        slots: list[tuple[float, str, int]] = []
        for domain, count in counts.items():
            offset = generator(self.seed, "offset", domain, self._segments).random()
            n = self.block_counts[domain]
            for j in range(count):
                epoch, position = divmod(self.drawn[domain] + j, n)
                slots.append(((j + offset) / count, domain, int(self._order(domain, epoch)[position])))
            self.drawn[domain] += count
        self._segments += 1
        slots.sort(key=lambda slot: slot[:2])
        return [(domain, block) for _, domain, block in slots]

    def state(self) -> dict[str, Any]:
        """Return how far into each domain the sampler is."""
        return {"drawn": dict(self.drawn), "segments": self._segments}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to where `state` was."""
        self.drawn = {d: int(state["drawn"][d]) for d in self.block_counts}
        self._segments = int(state["segments"])
        self._orders.clear()

    def effective_epochs(self) -> dict[str, float]:
        """Return how many passes over each domain have been drawn so far."""
        return {d: self.drawn[d] / n for d, n in self.block_counts.items()}


def batches(blocks: Sequence[tuple[str, int]], size: int) -> list[Sequence[tuple[str, int]]]:
    """Cut a segment into batches of `size` blocks."""
    return [blocks[i : i + size] for i in range(0, len(blocks), size)]
