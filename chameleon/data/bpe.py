"""Encoding with byte-level BPE tokenizers of GPT-2's kind by tiktoken, each word once: the same ids, sooner.

Text repeats its words: texts are cut where no token can lie across, Arrow finds the different stretches of a
batch, and tiktoken encodes those that were not met before. What is encoded so is compared with the
tokenizer's own answer on the first documents of every domain; a tokenizer of another kind, or one that
tiktoken takes for another, does its own encoding.
"""

import json
import re
from array import array
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np

#: How GPT-2 cuts text into words, as `tokenizers` does it (its ByteLevel pre-tokenizer).
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PLAIN = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}

#: Stretches that are remembered, of so many ids each on average; when there are more, all are forgotten.
#: Scripts without spaces have long ones, which do not come again.
REMEMBERED, EACH = 500_000, 8

#: White space as Unicode has it; Python takes four separators for it as well.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# Runs of blanks but for their last one, if a word follows; words with that one; runs at the end.
_STRETCH = re.compile(f"[{BLANKS}]+(?=[{BLANKS}][^{BLANKS}])|[{BLANKS}]?[^{BLANKS}]+|[{BLANKS}]+")
# Where a cut before every space and every line's end would be in the midst of a run, and some more places.
_IN_A_RUN = f" (?:[{BLANKS}]|$)|[{BLANKS}]\n(?:[{BLANKS}]|$)"

# From an Arrow array of texts to one of lists of ids (uint32).
Encode = Callable[[Any], Any]


def own(tokenizer: Any) -> Encode:
    """Return how a fast tokenizer of `transformers` itself encodes texts."""
    import pyarrow as pa

    backend = tokenizer.backend_tokenizer
    # Text that happens to contain "<|endoftext|>" is data, not a document boundary.
    backend.encode_special_tokens = True

    def encode(texts: Any) -> Any:
        found = backend.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        return pa.array([e.ids for e in found], pa.list_(pa.uint32()))

    return encode


def fast(tokenizer: Any) -> Encode | None:
    """Return the same by tiktoken, or None for a tokenizer that is not of GPT-2's kind.

    Ids must rise as the merges were learnt: tiktoken takes them for the order of merging.
    """
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    model, before = told["model"], told["pre_tokenizer"] or {}
    plain = {key: before.get(key) for key in PLAIN} == PLAIN and not told["normalizer"]
    added = {token["content"] for token in told["added_tokens"]}
    if model["type"] != "BPE" or not plain or not all(token["special"] for token in told["added_tokens"]):
        return None
    if any(model.get(key) for key in ("dropout", "ignore_merges", "byte_fallback", "unk_token")):
        return None
    merged = [model["vocab"]["".join(pair)] for pair in map(_pair, model["merges"])]
    if merged != sorted(merged):
        return None
    from tiktoken import Encoding

    byte = _bytes()
    ranks = {
        bytes(byte[letter] for letter in token): number
        for token, number in model["vocab"].items()
        if token not in added
    }
    return _Stretches(Encoding("own", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={}), ranks)


class _Stretches:
    """Encodes texts by their stretches, which are remembered.

    GPT-2's words begin with one space at most and hold no other blank, and of a run of blanks before a word
    the last one is apart from the others, which are together. So a text has the ids of its stretches, if each
    of them begins with the first blank of a run or with the last one before a word.
    """

    def __init__(self, encoding: Any, ranks: dict[bytes, int]) -> None:
        self._encoding = encoding
        self._bytes = np.zeros(max(ranks.values()) + 1, np.int64)
        self._bytes[list(ranks.values())] = [len(token) for token in ranks]
        # From a stretch to its number: those that begin with a space without it, or whole.
        self._spaced: dict[str, int] = {}
        self._whole: dict[str, int] = {}
        self._ids, self._ends = array("I"), array("q", [0])

    def __call__(self, texts: Any) -> Any:
        """Return an Arrow array of the ids of every text."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if max(len(self._ends), len(self._ids) // EACH) > REMEMBERED:
            for known in (self._spaced, self._whole):
                known.clear()
            self._ids, self._ends = array("I"), array("q", [0])
        apart = pc.match_substring_regex(texts, _IN_A_RUN)
        plain = self._between_spaces(texts.filter(pc.invert(apart)))
        if len(plain) == len(texts):
            return plain
        others = self._in_runs(texts.filter(apart).to_pylist())
        order = np.argsort(np.argsort(apart.to_numpy(zero_copy_only=False), kind="stable"))
        return pa.concat_arrays([plain, others]).take(pa.array(order))

    def _between_spaces(self, texts: Any) -> Any:
        """Encode texts that may be cut before every space and every line's end."""
        import pyarrow.compute as pc

        # A space is never before a line's end here.
        cut = pc.split_pattern(pc.replace_substring(texts, "\n", " \n"), " ")
        firsts = cut.offsets.to_numpy()
        stretches = cut.values.dictionary_encode()
        numbers = self._numbers(stretches.dictionary.to_pylist(), self._spaced, " ")
        # A text's first stretch has no space in front.
        begin = cut.values.take(cut.offsets[:-1]).dictionary_encode()
        places = stretches.indices.to_numpy().copy()
        places[firsts[:-1]] = begin.indices.to_numpy() + len(numbers)
        numbers = np.append(numbers, self._numbers(begin.dictionary.to_pylist(), self._whole, ""))
        return self._together(numbers, places, firsts)

    def _in_runs(self, texts: Sequence[str]) -> Any:
        """Encode any texts."""
        import pyarrow as pa

        cut = [_STRETCH.findall(text) for text in texts]
        firsts = np.cumsum([0, *map(len, cut)])
        stretches = pa.array(list(chain.from_iterable(cut)), pa.string()).dictionary_encode()
        numbers = self._numbers(stretches.dictionary.to_pylist(), self._whole, "")
        return self._together(numbers, stretches.indices.to_numpy(), firsts)

    def _numbers(self, stretches: list[str], known: dict[str, int], before: str) -> np.ndarray:
        """Return the numbers of different stretches; encode the new ones.

        Those that begin with no blank have `before` in front.
        """
        numbers = np.fromiter(map(known.get, stretches, repeat(-1)), np.int64, len(stretches))
        new = np.flatnonzero(numbers < 0)
        if len(new):
            words = [stretches[place] for place in new.tolist()]
            together = [word for word in words if word[-1:] not in BLANKS]
            if together:
                self._remember(together, known, *self._as_one(together, before))
            # What ends in a blank would make one run with what follows.
            for word in words:
                if word not in known:
                    told = word if word[:1] == "\n" else before + word
                    ids = np.array(self._encoding.encode_ordinary(told), np.uint32)
                    self._remember([word], known, ids, np.array([len(ids)]))
            numbers[new] = [known[word] for word in words]
        return numbers

    def _remember(self, words: list[str], known: dict[str, int], ids: np.ndarray, ends: np.ndarray) -> None:
        known.update(zip(words, range(len(self._ends) - 1, len(self._ends) - 1 + len(words)), strict=True))
        self._ends.frombytes((len(self._ids) + ends).astype(np.int64).tobytes())
        self._ids.frombytes(ids.tobytes())

    def _as_one(self, words: list[str], before: str) -> tuple[np.ndarray, np.ndarray]:
        """Encode words as one text; return the ids and where those of each end.

        None of them ends in a blank. So one may follow another if it begins with a blank, as those with
        `before` in front do; if not, it gets a line's end in front, which is a token of its own there.
        """
        fronts = ["" if word[0] in BLANKS else before or "\n" for word in words]
        text = "".join(chain.from_iterable(zip(fronts, words, strict=True)))
        ids = self._encoding.encode_to_numpy(text, disallowed_special=())
        own = np.fromiter(map(bool, fronts), bool, len(words))
        stops = np.cumsum([len(word.encode()) for word in words]) + np.cumsum(own)
        ends = np.searchsorted(np.cumsum(self._bytes[ids]), stops) + 1
        if before:
            return ids, ends
        return np.delete(ids, np.append(0, ends[:-1])[own]), ends - np.cumsum(own)

    def _together(self, numbers: np.ndarray, places: np.ndarray, firsts: np.ndarray) -> Any:
        """Return the ids of texts.

        Args:
            numbers: of the batch's different stretches.
            places: for every stretch of every text, where its number stands in `numbers`.
            firsts: which of them is the first of each text, and at last how many there are.
        """
        import pyarrow as pa

        all_ends = np.frombuffer(self._ends, np.int64)
        starts = all_ends[numbers]
        sizes = all_ends[numbers + 1] - starts
        ends = np.cumsum(sizes)
        ids = np.frombuffer(self._ids, np.uint32)[
            np.repeat(starts - ends + sizes, sizes) + np.arange(sizes.sum())
        ]
        different = pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), pa.array(ids))
        told = different.take(pa.array(places))
        return pa.ListArray.from_arrays(told.offsets.take(pa.array(firsts)), told.values)


def _pair(merge: Any) -> list[str]:
    """Return the two halves of a merge, which older files have as one text."""
    return merge.split(" ") if isinstance(merge, str) else list(merge)


def _bytes() -> dict[str, int]:
    """Return the byte that each letter of GPT-2's alphabet stands for.

    Printable bytes stand for themselves, the others, in order, for letters from 256 on.
    """
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
