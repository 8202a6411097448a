"""Near-duplicate search: MinHash signatures propose pairs, the exact Jaccard index of word shingles decides.

Used by `prepare`. Hashing whole shingles with a rolling numpy hash instead of SHA-1 per shingle makes a
signature about ten times cheaper than datasketch's default.
"""

import re
import zlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Scripts without spaces between words: each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIXER = np.uint64(0xBF58476D1CE4E5B9)


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

    def shingles(self, text: str) -> np.ndarray:
        """Return the set of hashed shingles of a normalised text: uint32, sorted, unique.

        A text shorter than one shingle is a single shingle; an empty text has none.
        """
        words = _WORD.findall(text)
        codes = np.fromiter(map(_WORDS.__getitem__, words), dtype=np.uint64, count=len(words))
        size = min(self.shingle_words, len(codes))
        if size == 0:
            return np.empty(0, np.uint32)
        count = len(codes) - size + 1
        total = np.zeros(count, np.uint64)
        for offset in range(size):  # a polynomial in 2^64 arithmetic; overflow is the modulus
            total = total * _MULTIPLIER + codes[offset : offset + count]
        total = (total ^ (total >> np.uint64(31))) * _MIXER
        return np.unique((total >> np.uint64(32)).astype(np.uint32))

    def sign(self, texts: Iterable[str]) -> list[Any]:
        """Return one datasketch MinHash per normalised text."""
        from datasketch import MinHash

        empty = MinHash(self.permutations, seed=1, hashfunc=int)
        signatures = []
        for text in texts:
            signature = empty.copy()
            signature.update_batch(self.shingles(text).tolist())
            signatures.append(signature)
        return signatures

    def same(self, first: str, second: str) -> bool:
        """Tell whether two normalised texts reach the threshold."""
        one, two = self.shingles(first), self.shingles(second)
        shared = len(np.intersect1d(one, two, assume_unique=True))
        union = len(one) + len(two) - shared
        return union > 0 and shared >= self.threshold * union

    def index(self) -> "Index":
        """Return an empty index of documents."""
        return Index(self)


class Index:
    """Documents that later ones are compared with."""

    def __init__(self, near: NearDuplicates) -> None:
        from datasketch import MinHashLSH

        self._near = near
        # Weighted towards recall: a missed pair is lost, a false one costs one exact comparison.
        self._lsh = MinHashLSH(near.threshold, near.permutations, weights=(0.1, 0.9))
        self._texts: dict[Hashable, str] = {}

    def add(self, key: Hashable, text: str, signature: Any) -> None:
        """Add a document: `text` normalised, `signature` from `sign`."""
        self._lsh.insert(key, signature, check_duplication=False)
        self._texts[key] = text

    def candidates(self, signature: Any) -> list[Any]:
        """Return the keys of the documents that may be near duplicates, sorted. Cheap: needs no text."""
        return sorted(self._lsh.query(signature))

    def matches(self, text: str, signature: Any) -> list[Any]:
        """Return the keys of the near duplicates of a document, sorted."""
        return [key for key in self.candidates(signature) if self._near.same(text, self._texts[key])]


class _WordCodes(dict[str, int]):
    """CRC-32 of a word, remembered: text repeats its words."""

    def __missing__(self, word: str) -> int:
        if len(self) > 1_000_000:
            self.clear()
        code = self[word] = zlib.crc32(word.encode())
        return code


_WORDS = _WordCodes()
