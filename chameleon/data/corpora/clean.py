"""Cleaning, cutting, identity and split of single documents: pure functions used by `prepare`."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping

_CONTROL = bytes([*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
# Blanks of ASCII as spaces, capitals as small letters.
_PLAIN = bytes(ord(chr(i).lower()) if i < 128 and not chr(i).isspace() else 32 for i in range(256))
_BOUNDARIES = ("\n\n", "\n", ". ", " ")


def clean(text: str) -> str:
    """Return `text` with `\\n` line ends, no control characters, trailing spaces or runs of empty lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        told = text.encode()
    except UnicodeEncodeError:
        # JSON may escape half of a surrogate pair, which no UTF-8 file can hold.
        told = text.encode("utf-8", "replace")
        text = told.decode()
    # In UTF-8 no other character has such bytes.
    if len(left := told.translate(None, _CONTROL)) < len(told):
        text = left.decode()
    if " \n" in text or "\t\n" in text:
        # Line by line, as an expression for it tries a long run of blanks from every one of them.
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n" in text:
        text = re.sub(r"\n{3,}", "\n\n", text)
    return text.strip("\n").rstrip()


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
    if text.isascii():
        plain = text.encode().translate(_PLAIN)
        if b"  " not in plain:
            return plain.strip(b" ").decode()
    else:
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
