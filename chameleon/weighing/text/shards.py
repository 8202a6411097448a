"""Token shards as domains: Megatron's `.bin` with `.idx`, or numpy's `.npy` of token ids; memory-mapped.

Windows are drawn uniformly over a domain's tokens and may cross document ends. The ids are taken for the
embedder's own unless the tokenizer that made them is named; then windows are turned into text and tokenised
again, as the reference code does with all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.mixture import Domain
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.text.texts import Made, Text

#: First bytes of an .idx file, then version 1 (8 bytes) and the code of the ids' type (1 byte).
_MAGIC = b"MMIDIDX\x00\x00"
_TYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


@dataclass(frozen=True)
class Shard:
    """Tokens of one file, and where its documents begin (None: not known)."""

    tokens: np.ndarray
    starts: np.ndarray | None


def found(data: Sequence[str | Path]) -> dict[str, list[Path]]:
    """Return the shards of every domain by its name, or nothing where `data` holds none.

    A domain is a folder of shards, or a shard by itself (a file, or a Megatron prefix without its ending).
    """
    given = [Path(path) for path in data]
    if len(given) == 1 and given[0].is_dir():
        if alone := _shards(given[0]):
            return {path.stem: [path] for path in alone}
        given = sorted(path for path in given[0].iterdir() if path.is_dir())
    domains: dict[str, list[Path]] = {}
    for path in given:
        idx = (
            path
            if path.suffix == ".idx"
            else path.with_suffix(".idx" if path.suffix == ".bin" else path.suffix + ".idx")
        )
        if path.is_dir():
            shards = _shards(path)
        elif path.suffix == ".npy" and path.is_file():
            shards = [path]
        else:
            shards = [idx] if idx.is_file() else []
        if shards:
            domains[path.name if path.is_dir() else path.stem] = shards
    if domains and len(domains) < len(given):
        raise UserError("token shards and text side by side: weigh one kind, or give each its own call")
    return domains


def _shards(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix in (".idx", ".npy") and p.is_file())


def read(path: Path) -> Shard:
    """Return the tokens of a shard, memory-mapped.

    Raises:
        UserError: not such a file, or one that is cut off.
    """
    try:
        if path.suffix == ".npy":
            tokens = np.load(path, mmap_mode="r", allow_pickle=False)
            if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
                raise UserError(
                    f"{path}: holds {tokens.dtype} of shape {tokens.shape}, not a row of token ids"
                )
            return Shard(tokens, None)
        return _megatron(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as token ids: {error}") from error


def _megatron(path: Path) -> Shard:
    head = np.memmap(path, np.uint8, "r")
    if head[: len(_MAGIC)].tobytes() != _MAGIC or int(head[9:17].view("<u8")[0]) != 1:
        raise UserError(f"{path}: not a Megatron index (version 1)")
    if (code := int(head[17])) not in _TYPES:
        raise UserError(f"{path}: ids of type {code}, not one of {', '.join(map(str, _TYPES))}")
    sequences, documents = (int(n) for n in head[18:34].view("<u8"))
    lengths = head[34 : 34 + 4 * sequences].view("<i4")
    first = 34 + 12 * sequences
    indices = head[first : first + 8 * documents].view("<i8")
    if len(lengths) != sequences or len(indices) != documents:
        raise UserError(f"{path}: ends before its {documents} documents")
    tokens = np.memmap(path.with_suffix(".bin"), _TYPES[code], "r")
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if ends[-1] != len(tokens):
        raise UserError(f"{path.with_suffix('.bin')}: holds {len(tokens)} ids, its index says {ends[-1]}")
    # The last entry is the end of the last document.
    return Shard(tokens, ends[indices[:-1]])


def texts(
    domains: dict[str, list[Path]], embedder: Embedder, count: int, seed: int, tokenizer: str | None
) -> dict[str, Text]:
    """Return `count` windows of every domain.

    Args:
        domains: shards by name.
        embedder: whose tokenizer and window length count.
        count: windows of a domain.
        seed: of their places.
        tokenizer: what made the ids, a folder or a name on the hub; None: the embedder's own.

    Raises:
        UserError: a shard that cannot be read, or without tokens.
    """
    theirs = _tokenizer(tokenizer)
    return {name: _text(name, paths, embedder, count, seed, theirs) for name, paths in domains.items()}


def _text(name: str, paths: list[Path], embedder: Embedder, count: int, seed: int, theirs: Any) -> Text:
    shards = [read(path) for path in paths]
    ends = np.cumsum([len(shard.tokens) for shard in shards])
    total, length = int(ends[-1]), embedder.window_length
    if not total:
        raise UserError(f"{paths[0]}: holds no tokens")
    places = generator(seed, "weigh", name).integers(0, total, count)
    most = len(embedder.tokenizer)

    def make(i: int) -> Made:
        at = int(np.searchsorted(ends, places[i], side="right"))
        shard = shards[at]
        start = max(0, min(int(places[i] - (ends[at - 1] if at else 0)), len(shard.tokens) - length))
        ids = [int(token) for token in shard.tokens[start : start + length]]
        if theirs is not None:
            ids, _ = embedder.tokens([theirs.decode(ids, skip_special_tokens=True)])
        elif max(ids) >= most or min(ids) < 0:
            odd = max(ids) if max(ids) >= most else min(ids)
            raise UserError(
                f"{paths[at]}: holds the id {odd}, and the embedder's tokenizer has {most} tokens; "
                "--tokenizer names what made the ids"
            )
        return ids, _document(shard, start, at), None

    known = [shard.starts for shard in shards if shard.starts is not None]
    documents = sum(map(len, known)) if len(known) == len(shards) else None
    about = Domain(
        paths=[str(path.with_suffix("") if path.suffix == ".idx" else path) for path in paths],
        documents=documents,
        tokens=total,
        tokens_per_document=total / documents if documents else None,
    )
    return Text(make, count, length, about)


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except Exception as error:  # transformers has no type of its own for it
        raise UserError(f"--tokenizer: {name!r} cannot be loaded: {str(error).splitlines()[0]}") from error


def _document(shard: Shard, start: int, at: int) -> int:
    """Return a number for the document that a window begins in; each window its own where none is known."""
    if shard.starts is None:
        return (at << 40) + start
    return (at << 40) + int(np.searchsorted(shard.starts, start, side="right"))
