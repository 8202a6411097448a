"""Cleaning, cutting, identity and split of single documents: pure functions used by `prepare`."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BOUNDARIES = ("\n\n", "\n", ". ", " ")


def clean(text: str) -> str:
    """Return `text` with `\\n` line ends, no control characters, trailing spaces or runs of empty lines."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    # JSON may escape half of a surrogate pair, which no UTF-8 file can hold.
    text = text.encode("utf-8", "replace").decode("utf-8")
    if " \n" in text or "\t\n" in text:
        # Line by line, as an expression for it tries a long run of blanks from every one of them.
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n").rstrip()


def cut(text: str, limit: int) -> Iterator[str]:
    """Yield consecutive pieces of at most `limit` characters that together hold all of `text` but blanks.

    A piece ends at the last paragraph boundary in its second half, else at the last line, sentence or word
    boundary there, else in mid-word.
    """
    start = 0
    while len(text) - start > limit:
        stop = start + limit
        for boundary in _BOUNDARIES:
            found = text.rfind(boundary, start + limit // 2, start + limit)
            if found >= 0:
                stop = found + len(boundary)
                break
        if piece := text[start:stop].strip("\n").rstrip():
            yield piece
        start = stop
    if piece := text[start:].strip("\n").rstrip():
        yield piece


def normalise(text: str) -> str:
    """Return the form in which two documents are compared: NFKC, lower case, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.lower().split())


def document_id(normalised: str) -> str:
    """Return the SHA-256 (hex) of a normalised text: equal texts, equal ids."""
    return hashlib.sha256(normalised.encode()).hexdigest()


def split_of(doc_id: str, shares: Mapping[str, float]) -> str:
    """Return `test`, `validation` or `train` for a document, from its id alone.

    A document's split therefore never moves when others are added, removed or reordered, and equal texts
    share a split in whatever domain they stand.

    Args:
        doc_id: 64 hex digits.
        shares: expected fractions `{"validation": ..., "test": ...}`; the rest is train.
    """
    position = int(doc_id[:16], 16) / 2**64
    if position < shares["test"]:
        return "test"
    return "validation" if position < shares["test"] + shares["validation"] else "train"


def sampling_key(seed: int, doc_id: str) -> bytes:
    """Return the key by which documents are sampled under a cap: independent of split and order."""
    return hashlib.sha256(f"{seed}\x1f{doc_id}".encode()).digest()
