"""From prepared text to token shards, in constant memory: documents are encoded as they lie, then shuffled.

Reads `results/corpora/{corpus}/{domain}.parquet` and the tokenizer. `encode` writes the tokens of a part of
every domain's documents in the order of the files; `assemble` writes all of them, in an order of their own,
as the shards that `chameleon.data.tokens` reads, and `manifest.json` last. `tokenize` does both.
"""

import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from chameleon.core.artifacts import atomic, fingerprint, read_json, sha256_file, write_json
from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.data import bpe
from chameleon.data.lengths import Asked, check_lengths
from chameleon.data.tokenizer import end_of_text, load_tokenizer, tokenizer_sha256, vocabulary_size
from chameleon.data.tokens import SPLITS

BATCH = 2048  # documents encoded at once: enough for words to come again, little memory
COMPARED = 64  # documents of a domain on which the faster encoder is held against the tokenizer


def tokenize(
    spec: dict[str, Any],
    corpus_dir: str | Path,
    tokenizer_dir: str | Path,
    out_dir: str | Path,
    asked: Asked = MappingProxyType({}),
) -> None:
    """Encode every document of a corpus, each followed by the end-of-text token, into shards with a manifest.

    Args:
        spec: `{corpus, domains, shard_tokens, version}`; a shard holds at most `shard_tokens` tokens.
        corpus_dir: folder with `{domain}.parquet`.
        tokenizer_dir: folder of the experiment's tokenizer.
        out_dir: folder for the shards and `manifest.json`.
        asked: tokens that every domain's splits must hold.

    Raises:
        UserError: a split without documents, or shorter than is asked.
    """
    encoded = Path(out_dir) / ".encoded"
    shutil.rmtree(encoded, ignore_errors=True)
    try:
        encode(spec, corpus_dir, tokenizer_dir, encoded)
        assemble(spec, [encoded], tokenizer_dir, out_dir, asked)
    finally:
        shutil.rmtree(encoded, ignore_errors=True)


def encode(
    spec: dict[str, Any],
    corpus_dir: str | Path,
    tokenizer_dir: str | Path,
    folder: Path,
    part: int = 0,
    parts: int = 1,
) -> None:
    """Write the tokens of the `part`-th of `parts` shares of every domain's documents, `encoded.json` last.

    Args:
        spec, corpus_dir, tokenizer_dir: as of `tokenize`.
        folder: gets per domain and split the tokens (`.bin`) and each document's number of them (`.lengths`).
    """
    import pyarrow.parquet

    tokenizer = load_tokenizer(tokenizer_dir)
    eot = tokenizer.convert_tokens_to_ids(end_of_text(tokenizer))
    vocabulary = vocabulary_size(tokenizer)
    slow = bpe.own(tokenizer)
    fast = bpe.fast(tokenizer) or slow
    dtype = "<u2" if vocabulary <= 2**16 else "<u4"
    for domain in spec["domains"]:
        file = pyarrow.parquet.ParquetFile(Path(corpus_dir) / f"{domain}.parquet")
        rows = file.metadata.num_rows
        (folder / domain).mkdir(parents=True, exist_ok=True)
        out = {split: open(folder / domain / f"{split}.bin", "wb") for split in SPLITS}  # noqa: SIM115
        lengths: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
        compared = False
        try:
            for splits, texts in _batches(file, rows * part // parts, rows * (part + 1) // parts):
                found = fast(texts)
                if fast is not slow and not compared:
                    compared = True
                    if not found[:COMPARED].equals(slow(texts[:COMPARED])):
                        fast, found = slow, slow(texts)
                ends = found.offsets.to_numpy()
                sizes, start = np.diff(ends) + 1, 0
                # End-of-text behind every document.
                stream = np.insert(found.values.to_numpy(), ends[1:], eot).astype(dtype)
                for split, documents in groupby(splits.to_pylist()):
                    own, sizes = np.split(sizes, [sum(1 for _ in documents)])
                    stop = start + int(own.sum())
                    out[split].write(stream[start:stop].tobytes())
                    lengths[split].append(own)
                    start = stop
        finally:
            for handle in out.values():
                handle.close()
        for split in SPLITS:
            told = np.concatenate([np.empty(0, np.int64), *lengths[split]])
            _write(folder / domain / f"{split}.lengths", told.astype(np.int64).tobytes())
    write_json(folder / "encoded.json", {"dtype": dtype, "eot": eot, "vocab_size": vocabulary})


def _batches(file: Any, start: int, stop: int) -> Iterator[tuple[Any, Any]]:
    """Yield splits and texts (Arrow) of the rows from `start` to `stop` of a prepared domain's file."""
    at = 0
    for group in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        first, last = max(start - at, 0), min(stop - at, size)
        at += size
        if first < last:
            rows = file.read_row_group(group, ["split", "text"]).slice(first, last - first)
            for batch in rows.to_batches(BATCH):
                yield batch["split"], batch["text"]


def assemble(
    spec: dict[str, Any],
    folders: Sequence[Path],
    tokenizer_dir: str | Path,
    out_dir: str | Path,
    asked: Asked = MappingProxyType({}),
) -> None:
    """Write what was encoded as shards with a manifest.

    Documents of a split are shuffled once with a fixed seed: the parquet files are sorted by content hash,
    so neighbours are already unrelated, but the order must not depend on how `prepare` sorts.

    Args:
        spec, tokenizer_dir, out_dir, asked: as of `tokenize`.
        folders: that `encode` wrote, of all parts in order.

    Raises:
        UserError: a split without documents, or shorter than is asked.
    """
    told = read_json(folders[0] / "encoded.json")
    out_dir, dtype = Path(out_dir), told["dtype"]
    domains: dict[str, Any] = {}
    for domain in spec["domains"]:
        domains[domain] = {}
        for split in SPLITS:
            documents = _shuffled(spec["corpus"], domain, split, folders, dtype)
            stem = f"{domain}/{split}"
            domains[domain][split] = write_split(documents, out_dir, stem, dtype, spec["shard_tokens"])
    check_lengths(f"corpus {spec['corpus']}", domains, asked)
    manifest = {
        "corpus": spec["corpus"],
        "tokenizer_sha256": tokenizer_sha256(tokenizer_dir),
        "vocab_size": told["vocab_size"],
        "eot": told["eot"],
        "dtype": dtype,
        "order": list(spec["domains"]),
        "domains": domains,
    }
    write_json(out_dir / "manifest.json", manifest | {"sha256": fingerprint(manifest)}, "tokens")


def _shuffled(
    corpus: str, domain: str, split: str, folders: Sequence[Path], dtype: str
) -> Iterator[np.ndarray]:
    """Yield the tokens of every document of a split, in the split's own order.

    Raises:
        UserError: there is none.
    """
    lengths = [np.fromfile(folder / domain / f"{split}.lengths", np.int64) for folder in folders]
    firsts = np.cumsum([0, *map(len, lengths)])
    if not firsts[-1]:
        raise UserError(f"corpus {corpus!r}: domain {domain!r}: no documents in split {split!r}")
    ends = [np.cumsum(length) for length in lengths]
    # Views without the ways of a memmap, which take longer than a document.
    streams = [
        np.asarray(np.memmap(folder / domain / f"{split}.bin", dtype, "r"))
        if len(length)
        else np.empty(0, dtype)
        for folder, length in zip(folders, lengths, strict=True)
    ]
    order = generator(0, "document order", corpus, domain, split).permutation(int(firsts[-1]))
    parts = np.searchsorted(firsts, order, "right") - 1
    for part, end, size in zip(
        parts.tolist(),
        np.concatenate(ends)[order].tolist(),
        np.concatenate(lengths)[order].tolist(),
        strict=True,
    ):
        yield streams[part][end - size : end]


def _write(path: Path, data: bytes) -> None:
    """Write a file. NumPy's own writing says on a full disk how much it wrote, but not why no more."""
    with open(path, "wb") as handle:
        handle.write(data)


def write_split(
    documents: Iterable[np.ndarray], out_dir: Path, stem: str, dtype: str, shard_tokens: int
) -> dict[str, Any]:
    """Write one split's shards and offsets; return its entry of the manifest.

    A document may cross shards: the stream is one sequence, shards only bound the size of a file.
    """
    starts: list[int] = []
    shards: list[dict[str, Any]] = []
    total = 0
    waiting: list[np.ndarray] = []
    held = 0

    def flush(final: bool) -> None:
        nonlocal waiting, held
        stream = np.concatenate(waiting)
        while len(stream) >= shard_tokens or (final and len(stream)):
            part, stream = stream[:shard_tokens], stream[shard_tokens:]
            name = f"{stem}-{len(shards):05d}.bin"
            with atomic(out_dir / name) as temporary:
                _write(temporary, part.astype(dtype).tobytes())
            shards.append({"file": name, "tokens": len(part), "sha256": sha256_file(out_dir / name)})
        waiting, held = [stream], len(stream)

    for ids in documents:
        starts.append(total)
        waiting.append(ids)
        total += len(ids)
        held += len(ids)
        if held >= shard_tokens:
            flush(final=False)
    flush(final=True)
    packed = io.BytesIO()
    np.save(packed, np.array(starts, dtype="<i8"))
    with atomic(out_dir / f"{stem}.offsets.npy") as temporary:
        _write(temporary, packed.getvalue())
    return {"tokens": total, "documents": len(starts), "shards": shards, "offsets": f"{stem}.offsets.npy"}
