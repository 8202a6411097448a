"""Word shingles of texts and their MinHash signatures, of many texts at once: what `dedup` compares texts by.

The values are those of datasketch's MinHash over the shingles' hashes. Whole shingles are hashed, as a
polynomial of their words' hashes instead of with SHA-1, and the shingles of many texts permuted in one array.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np

# Scripts without spaces between words: each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
_CHARACTER = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
#: Multiplier of polynomials and last multiplier of hashes, 64 bits.
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXER = np.uint64(0xBF58476D1CE4E5B9)
#: Characters of text that are signed at once: what is made of them stays in a processor's cache.
TOGETHER = 500_000


def shingles(text: str, size: int) -> np.ndarray:
    """Return the set of hashed shingles of `size` words of a normalised text: uint32, sorted, unique.

    A text shorter than one shingle is a single shingle; an empty text has none.
    """
    words = _WORD.findall(text)
    codes = np.fromiter(map(_WORDS.__getitem__, words), dtype=np.uint64, count=len(words))
    if not words:
        return np.empty(0, np.uint32)
    return np.unique(_hashed(codes, min(size, len(codes))))


def signature(found: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """Return the MinHash signature of a set of shingles: uint32, (permutations,).

    Args:
        found: as of `shingles`, in any order, also more than once.
        permutations: uint32, (2, permutations): factors and summands.
    """
    if not len(found):
        return np.full(permutations.shape[1], 0xFFFFFFFF, np.uint32)
    smallest: np.ndarray = (_mixed(found)[:, None] * permutations[0] + permutations[1]).min(axis=0)
    return smallest


def signatures(texts: Sequence[str], size: int, permutations: np.ndarray) -> np.ndarray:
    """Return `signature` of the shingles of each normalised text: uint32, (texts, permutations)."""
    found = np.empty((len(texts), permutations.shape[1]), np.uint32)
    first = held = 0
    for number, text in enumerate(texts):
        held += len(text)
        if held > TOGETHER or number == len(texts) - 1:
            found[first : number + 1] = _together(texts[first : number + 1], size, permutations)
            first, held = number + 1, 0
    return found


def _together(texts: Sequence[str], size: int, permutations: np.ndarray) -> np.ndarray:
    """Return what `signatures` does, with all words of all texts in one array, all shingles in another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = np.empty((len(texts), permutations.shape[1]), np.uint32)
    words = pc.split_pattern(pa.array(map(_spaced, texts), pa.string()), " ")
    ends = words.offsets.to_numpy()
    counts = np.diff(ends) - size + 1
    # An empty text has no word, though cutting it gives one.
    long = (counts > 0) & np.fromiter(map(bool, texts), bool, len(texts))
    for place in np.flatnonzero(~long).tolist():
        found[place] = signature(shingles(texts[place], size), permutations)
    if not long.any():
        return found
    different = words.values.dictionary_encode()
    codes = np.fromiter(map(_WORDS.__getitem__, different.dictionary.to_pylist()), np.uint64)
    hashes = _hashed(codes[different.indices.to_numpy()], size)
    # Without those that begin in one text and end in another, or are of a short one.
    within = np.repeat(long, np.diff(ends))
    for offset in range(1, size):
        within[np.maximum(ends[1:] - offset, 0)] = False
    mixed = _mixed(hashes[within[: len(hashes)]])
    starts = np.append(0, np.cumsum(counts[long])[:-1])
    permuted = np.empty_like(mixed)
    for number, (factor, summand) in enumerate(permutations.T):
        np.multiply(mixed, factor, out=permuted)
        permuted += summand
        found[long, number] = np.minimum.reduceat(permuted, starts)
    return found


def _hashed(codes: np.ndarray, size: int) -> np.ndarray:
    """Return the hashes (uint32) of all runs of `size` words, given as `size` codes (uint64) or more."""
    count = len(codes) - size + 1
    total = codes[:count].copy()
    for offset in range(1, size):  # a polynomial in 2^64 arithmetic; overflow is the modulus
        total *= MULTIPLIER
        total += codes[offset : offset + count]
    total ^= total >> np.uint64(31)
    total *= MIXER
    total >>= np.uint64(32)
    return total.astype(np.uint32)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return MurmurHash3's finalizer of uint32, which datasketch applies before it permutes."""
    mixed: np.ndarray = values ^ (values >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def _spaced(text: str) -> str:
    """Return a normalised text with a space between any two of its words."""
    return text if text.isascii() or not _CHARACTER.search(text) else " ".join(_WORD.findall(text))


class _WordCodes(dict[str, int]):
    """CRC-32 of a word, remembered unless it is long: text repeats its words."""

    def __missing__(self, word: str) -> int:
        if len(self) > 1_000_000:
            self.clear()
        code = zlib.crc32(word.encode())
        if len(word) <= 64:
            self[word] = code
        return code


_WORDS = _WordCodes()
