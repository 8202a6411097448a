"""Seeds derived from named axes, so that two methods of one seed share what they must share.

`derive(0, "init", "pretrain")` is the same for every method: nothing about the method is in it.
"""

import hashlib

import numpy as np


def derive(seed: int, *axes: object) -> int:
    """Return a 63-bit seed for the user's `seed` and the named `axes`.

    SHA-256 of the axes, so adding an axis elsewhere moves nothing and neighbouring seeds are unrelated
    (Python's `hash` changes between processes; `seed + i` makes runs share streams).
    """
    text = "\x1f".join([str(int(seed)), *map(str, axes)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *axes: object) -> np.random.Generator:
    """Return a numpy generator seeded with `derive(seed, *axes)`."""
    return np.random.default_rng(derive(seed, *axes))
