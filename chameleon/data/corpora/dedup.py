"""Near-duplicate search: MinHash signatures propose pairs, the exact Jaccard index of word shingles decides.

Used by `prepare`; `shingles` makes what is compared here.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import eq
from typing import Any

import numpy as np

from chameleon.data.corpora import shingles
from chameleon.data.corpora.clean import normalise

# One in so many documents of a group must have a shingle for it to get a number: bits are cheap to compare,
# lists are cheap while they are short.
RARE = 16


@dataclass(frozen=True)
class NearDuplicates:
    """What counts as a near duplicate.

    Attributes:
        threshold: Jaccard index of two documents' shingle sets from which they are duplicates, in (0, 1].
        permutations: hash functions of a MinHash signature.
        shingle_words: words per shingle.
    """

    threshold: float
    permutations: int
    shingle_words: int

    @cached_property
    def functions(self) -> np.ndarray:
        """Factors and summands of datasketch's hash functions: uint32, (2, permutations)."""
        from datasketch import MinHash

        found: np.ndarray = MinHash(self.permutations, seed=1).permutations
        return found

    def document(self, text: str) -> "Document":
        """Return a text as the index takes it."""
        found = shingles.shingles(normalise(text), self.shingle_words)
        return Document(found, shingles.signature(found, self.functions))

    @cached_property
    def bands(self) -> list[tuple[int, int]]:
        """First and last place (excluded) of each band of a signature.

        Weighted towards recall: a missed pair is lost, a false one costs one exact comparison.
        """
        from datasketch import MinHashLSH

        ranges: list[tuple[int, int]] = MinHashLSH(
            self.threshold, self.permutations, weights=(0.1, 0.9)
        ).hashranges
        return ranges

    def band_values(self, texts: Sequence[str]) -> np.ndarray:
        """Return a number for each band of each text's signature: uint64, (texts, bands).

        Documents that agree in a band have the same number there; the reverse fails once in 2^64.
        """
        values = np.zeros((len(texts), len(self.bands)), np.uint64)
        plain = [normalise(text) for text in texts]
        hashes = shingles.signatures(plain, self.shingle_words, self.functions)
        for number, (start, end) in enumerate(self.bands):
            for place in range(start, end):
                values[:, number] = values[:, number] * shingles.MULTIPLIER + hashes[:, place]
        values *= shingles.MIXER
        return values

    def reached(self, shared: Any, total: Any) -> Any:
        """Tell whether two sets of `total` elements together, `shared` of them common, are near duplicates.

        Numbers, or arrays of them. Holds for more `shared` or less `total` wherever it holds.
        """
        union = total - shared
        return (union > 0) & (shared >= self.threshold * union)


@dataclass(frozen=True)
class Document:
    """A text as it is compared: its hashed shingles (uint32, sorted, unique) and their MinHash signature."""

    shingles: np.ndarray
    signature: np.ndarray


def _among(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return for each element of `one` whether it is in `two`; both sorted, without repetition."""
    if not len(two):
        return np.zeros(len(one), bool)
    found: np.ndarray = two[np.minimum(np.searchsorted(two, one), len(two) - 1)] == one
    return found


class _Group:
    """Documents whose signatures collide, held so that all of them are compared with one more at once.

    Form letters, licence headers and menus make any two documents collide, though none is a near duplicate.
    Shingles that many of the group have are numbered, and a document is the bits of those that it has and a
    list of the others, which are looked up. What two documents have in common is then counted exactly, in
    nanoseconds; and where a document has none of the others' lists in common with anyone, the bits tell for
    the whole group whether any of it can reach the threshold.
    """

    def __init__(self, near: NearDuplicates) -> None:
        self._near = near
        self._keys: list[Any] = []
        self._documents: list[Document] = []
        self._bands: list[list[bytes]] = []
        # As of _settle, for `_settled` documents; rows of `_bits` are written as documents come.
        self._settled = 0
        self._numbered = np.empty(0, np.uint32)
        self._bits = np.empty((0, 0), np.uint64)
        self._sizes = np.empty(0, np.int64)
        self._others: dict[int, list[int]] = {}
        self._reach = 0.0

    def add(self, key: Any, document: Document, bands: list[bytes]) -> None:
        """Add a document that collides with one of the group."""
        self._keys.append(key)
        self._documents.append(document)
        self._bands.append(bands)

    def numbered(self, shingles: np.ndarray) -> int:
        """Return how many shingles of a document are among those that many of the group have."""
        self._settle()
        return int(_among(shingles, self._numbered).sum())

    def matches(self, shingles: np.ndarray, bands: list[bytes]) -> list[Any]:
        """Return the keys of the documents that collide with this one and are near duplicates of it."""
        self._settle()
        bits, inside, others = self._split(shingles)
        shared = Counter(chain.from_iterable(map(self._others.__getitem__, self._others.keys() & others)))
        size = len(shingles)
        rows = np.arange(len(self._keys))
        if size > self._reach or not self._near.reached(inside, size + int(self._sizes[rows].min())):
            rows = np.fromiter(shared, np.int64, len(shared))
        common = np.bitwise_count(self._bits[rows] & bits).sum(axis=1, dtype=np.int64)
        if shared:
            common += np.fromiter(map(shared.__getitem__, rows.tolist()), np.int64, len(rows))
        near = rows[self._near.reached(common, self._sizes[rows] + size)]
        return [self._keys[row] for row in near.tolist() if any(map(eq, bands, self._bands[row]))]

    def _split(self, shingles: np.ndarray) -> tuple[np.ndarray, int, list[int]]:
        """Return a document's bits, how many are set, and the shingles that have no number."""
        inside = _among(shingles, self._numbered)
        flags = np.zeros(64 * self._bits.shape[1], bool)
        flags[np.searchsorted(self._numbered, shingles[inside])] = True
        return np.packbits(flags).view(np.uint64), int(inside.sum()), shingles[~inside].tolist()

    def _settle(self) -> None:
        """Write the rows of the documents added; number the shingles anew whenever the group has doubled."""
        if len(self._keys) > len(self._bits):
            found, counts = np.unique(
                np.concatenate([document.shingles for document in self._documents]), return_counts=True
            )
            self._numbered = found[counts * RARE >= len(self._keys)]
            self._bits = np.zeros((2 * len(self._keys), -(-len(self._numbered) // 64)), np.uint64)
            self._sizes = np.zeros(len(self._bits), np.int64)
            self._others, self._settled, self._reach = {}, 0, 0.0
        for row in range(self._settled, len(self._keys)):
            shingles = self._documents[row].shingles
            self._bits[row], inside, others = self._split(shingles)
            self._sizes[row] = len(shingles)
            for shingle in others:
                self._others.setdefault(shingle, []).append(row)
            # `inside >= threshold * (|x| + size - inside)` holds up to this |x|; one more for rounding.
            self._reach = max(self._reach, inside / self._near.threshold + inside - len(shingles) + 1)
        self._settled = len(self._keys)


class Index:
    """Documents that later ones are compared with: those whose MinHash signatures agree in a band (LSH)."""

    def __init__(self, near: NearDuplicates) -> None:
        self._near = near
        self._bands = near.bands
        # Per band, from the hashes in it to the numbers of the groups that have them. Groups, not documents:
        # a thousand form letters are one entry.
        self._tables: list[dict[bytes, set[int]]] = [{} for _ in self._bands]
        self._groups: list[_Group] = []

    def _split(self, document: Document) -> list[bytes]:
        return [document.signature[start:end].tobytes() for start, end in self._bands]

    def _colliding(self, bands: list[bytes]) -> list[int]:
        empty: set[int] = set()
        return sorted(
            set().union(*(table.get(band, empty) for table, band in zip(self._tables, bands, strict=True)))
        )

    def add(self, key: Hashable, document: Document) -> None:
        """Add a document under a key."""
        bands = self._split(document)
        groups = self._colliding(bands)
        if groups:
            number = max(groups, key=lambda group: self._groups[group].numbered(document.shingles))
        else:
            number = len(self._groups)
            self._groups.append(_Group(self._near))
        self._groups[number].add(key, document, bands)
        for table, band in zip(self._tables, bands, strict=True):
            table.setdefault(band, set()).add(number)

    def matches(self, document: Document) -> list[Any]:
        """Return the keys of the near duplicates of a document, sorted."""
        bands = self._split(document)
        groups = [self._groups[number] for number in self._colliding(bands)]
        return sorted(key for group in groups for key in group.matches(document.shingles, bands))
