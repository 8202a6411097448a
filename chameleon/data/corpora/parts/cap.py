"""The cap of a domain: the documents of smallest key that fit into so many bytes together.

Keys are hashes of a seed and of the id, so this is a uniform sample without replacement that does not depend
on the order of the source. What does not fit among some of the documents does not fit among all of them:
every part may leave out what is over the cap in it alone.
"""

import numpy as np

from chameleon.data.corpora.clean import sampling_key


def key_of(seed: int, doc_id: str) -> int:
    """Return a document's key, 64 bits."""
    return int.from_bytes(sampling_key(seed, doc_id)[:8], "big")


def under_cap(keys: np.ndarray, sizes: np.ndarray, cap: int | None) -> np.ndarray:
    """Return a mask of the documents that fit (uint64 keys, bytes of each, all different); no cap: all."""
    kept = np.full(len(keys), not cap)
    if cap:
        order = np.argsort(keys, kind="stable")
        kept[order[np.cumsum(sizes[order]) <= cap]] = True
    return kept


class Passing:
    """Tells of documents that pass by which cannot fit; remembers what would fill the cap twice."""

    def __init__(self, cap: int | None) -> None:
        self._cap = cap
        self._sizes: dict[int, int] = {}
        self._held = 0
        self._limit = 1 << 64

    def fits(self, key: int, text: str) -> bool:
        """Return whether a document may still be among those that fit; equal ones count once."""
        if not self._cap or key in self._sizes:
            return True
        if key >= self._limit:
            return False
        self._sizes[key] = len(text.encode())
        self._held += self._sizes[key]
        if self._held > 2 * self._cap:
            keys = np.fromiter(self._sizes, np.uint64, len(self._sizes))
            sizes = np.fromiter(self._sizes.values(), np.int64, len(self._sizes))
            kept = under_cap(keys, sizes, self._cap)
            self._limit = int(keys[~kept].min())
            self._sizes = {int(k): int(size) for k, size in zip(keys[kept], sizes[kept], strict=True)}
            self._held = sum(self._sizes.values())
        return key < self._limit
