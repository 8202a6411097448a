"""Permutations of the blocks of a domain: which block is the n-th of a pass over it."""

from functools import lru_cache

import numpy as np

from chameleon.core.seeds import generator

#: Longer permutations are computed place by place; up to here they are lists, as they were from the first.
LISTED = 1 << 20
ROUNDS = 6
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_MIXER = np.uint64(0x94D049BB133111EB)


def blocks_at(places: np.ndarray, count: int, seed: int, domain: str, epoch: int) -> np.ndarray:
    """Return the blocks at some places of a pass: int64, as `places`, each below `count`.

    Args:
        places: of the pass over a domain of `count` blocks, int64.
        seed, domain, epoch: the permutation depends on nothing else.
    """
    if count <= LISTED:
        return _listed(count, seed, domain, epoch)[places]
    return keyed(
        places, count, generator(seed, "order", domain, epoch).integers(2**64, size=ROUNDS, dtype=np.uint64)
    )


@lru_cache(maxsize=64)
def _listed(count: int, seed: int, domain: str, epoch: int) -> np.ndarray:
    return generator(seed, "order", domain, epoch).permutation(count)


def keyed(places: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Return the images of `places` under a permutation of 0 to `count` - 1 that `keys` choose.

    A balanced Feistel network over the smallest square of a power of two that holds `count` (a permutation
    whatever its round function), applied again to what falls outside: fewer than four times on average.

    Args:
        places: int64, each below `count`.
        keys: a round's key each, uint64.
    """
    bits = np.uint64(max(1, -(-(count - 1).bit_length() // 2)))
    mask = np.uint64((1 << int(bits)) - 1)
    found = places.astype(np.uint64)
    outside = np.ones(len(found), bool)
    while outside.any():
        left, right = found[outside] >> bits, found[outside] & mask
        for key in keys:
            mixed = (right ^ key) * _MULTIPLIER
            mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIXER
            left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
        found[outside] = (left << bits) | right
        outside = found >= np.uint64(count)
    return found.astype(np.int64)
