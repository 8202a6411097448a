"""Token shards of a prepared corpus: written once, then read memory-mapped by training and embedding.

Reads `results/corpora/{corpus}/{domain}.parquet` and the tokenizer; writes per domain and split little-endian
`{split}-00000.bin` shards and `{split}.offsets.npy` (document starts), and `manifest.json` last.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from chameleon.core.artifacts import atomic, fingerprint, read_json, sha256_file, write_json
from chameleon.core.errors import UserError, choices
from chameleon.core.seeds import generator
from chameleon.data.lengths import Asked, check_lengths
from chameleon.data.tokenizer import end_of_text, load_tokenizer, tokenizer_sha256, vocabulary_size

SPLITS = ("train", "validation", "test")
BATCH = 512  # documents encoded at once: enough to keep the tokenizer's threads busy, little memory
PIECE = 1 << 22  # tokens counted at once


def tokenize(
    spec: dict[str, Any],
    corpus_dir: str | Path,
    tokenizer_dir: str | Path,
    out_dir: str | Path,
    asked: Asked = MappingProxyType({}),
) -> None:
    """Encode every document of a corpus, each followed by the end-of-text token, into shards with a manifest.

    Documents of a split are shuffled once with a fixed seed: the parquet files are sorted by content hash,
    so neighbours are already unrelated, but the order must not depend on how `prepare` sorts.

    Args:
        spec: `{corpus, domains, shard_tokens, version}`; a shard holds at most `shard_tokens` tokens.
        corpus_dir: folder with `{domain}.parquet`.
        tokenizer_dir: folder of the experiment's tokenizer.
        out_dir: folder for the shards and `manifest.json`.
        asked: tokens that every domain's splits must hold.

    Raises:
        UserError: a split without documents, or shorter than is asked.
    """
    import pandas as pd

    tokenizer = load_tokenizer(tokenizer_dir)
    eot = tokenizer.convert_tokens_to_ids(end_of_text(tokenizer))
    vocabulary = vocabulary_size(tokenizer)
    backend = tokenizer.backend_tokenizer
    # Text that happens to contain "<|endoftext|>" is data, not a document boundary.
    backend.encode_special_tokens = True
    dtype = "<u2" if vocabulary <= 2**16 else "<u4"
    out_dir = Path(out_dir)
    domains: dict[str, Any] = {}
    for domain in spec["domains"]:
        frame = pd.read_parquet(Path(corpus_dir) / f"{domain}.parquet", columns=["split", "text"])
        domains[domain] = {}
        for split in SPLITS:
            texts = frame.loc[frame["split"] == split, "text"].tolist()
            if not texts:
                raise UserError(f"{corpus_dir}/{domain}.parquet: no documents in split {split!r}")
            order = generator(0, "document order", spec["corpus"], domain, split).permutation(len(texts))
            ids = _encode(backend.encode_batch_fast, [texts[i] for i in order], eot)
            domains[domain][split] = write_split(
                ids, out_dir, f"{domain}/{split}", dtype, spec["shard_tokens"]
            )
    check_lengths(f"corpus {spec['corpus']}", domains, asked)
    manifest = {
        "corpus": spec["corpus"],
        "tokenizer_sha256": tokenizer_sha256(tokenizer_dir),
        "vocab_size": vocabulary,
        "eot": eot,
        "dtype": dtype,
        "order": list(spec["domains"]),
        "domains": domains,
    }
    write_json(out_dir / "manifest.json", manifest | {"sha256": fingerprint(manifest)}, "tokens")


def _encode(encode_batch: Callable[..., Any], texts: list[str], eot: int) -> Iterator[np.ndarray]:
    """Yield one int64 array of token ids per text, `eot` at its end."""
    for start in range(0, len(texts), BATCH):
        for encoding in encode_batch(texts[start : start + BATCH], add_special_tokens=False):
            yield np.array([*encoding.ids, eot])


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


class TokenStream:
    """One domain's split as a single sequence of token ids; files are mapped on first use."""

    def __init__(self, folder: Path, entry: dict[str, Any], dtype: str) -> None:
        self.documents: int = entry["documents"]
        self._folder = folder
        self._entry = entry
        self._dtype = dtype
        self._starts = np.cumsum([0] + [shard["tokens"] for shard in entry["shards"]])

    def __len__(self) -> int:
        """Return the number of tokens, end-of-text tokens included."""
        return int(self._entry["tokens"])

    @cached_property
    def offsets(self) -> np.ndarray:
        """Token position at which each document starts: int64, (`documents`,), ascending, first 0."""
        starts: np.ndarray = np.load(self._folder / self._entry["offsets"])
        return starts

    @cached_property
    def _maps(self) -> list[np.ndarray]:
        maps: list[np.ndarray] = []
        for shard in self._entry["shards"]:
            path = self._folder / shard["file"]
            size = path.stat().st_size if path.is_file() else -1
            if size != shard["tokens"] * np.dtype(self._dtype).itemsize:
                state = "missing" if size < 0 else f"{size} bytes long"
                raise UserError(f"{path}: shard is {state}, the manifest says {shard['tokens']} tokens")
            maps.append(np.memmap(path, dtype=self._dtype, mode="r"))
        return maps

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the token ids of positions `start` (included) to `stop` (excluded), int64.

        Raises:
            ValueError: the range does not lie within `0 <= start <= stop <= len(self)`.
        """
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"range {start}:{stop} does not lie in 0:{len(self)}")
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        for shard in range(first, len(self._maps)):
            base = int(self._starts[shard])
            if base >= stop:
                break
            parts.append(self._maps[shard][max(start - base, 0) : stop - base])
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)

    def histogram(self, size: int) -> np.ndarray:
        """Return how often each of `size` token ids stands in the stream (int64), read in pieces."""
        counts = np.zeros(size, np.int64)
        for start in range(0, len(self), PIECE):
            counts += np.bincount(self.read(start, min(start + PIECE, len(self))), minlength=size)
        return counts


class TokenCorpus:
    """The token shards of one corpus, opened by its manifest.

    Attributes:
        corpus: name of the corpus.
        domains: domain names, in the corpus's order.
        tokenizer_sha256, vocab_size, eot: of the tokenizer that wrote the shards.
        sha256: identity of the whole (counts, shard hashes, tokenizer).
    """

    def __init__(self, manifest_path: str | Path) -> None:
        """Open `manifest_path`.

        Raises:
            UserError: the manifest is missing, breaks its schema, or was edited.
        """
        manifest = read_json(manifest_path, "tokens")
        self.sha256: str = manifest.pop("sha256")
        if fingerprint(manifest) != self.sha256:
            raise UserError(
                f"{manifest_path}: sha256 does not match the content; remove it and tokenize again"
            )
        self.corpus: str = manifest["corpus"]
        self.domains: tuple[str, ...] = tuple(manifest["order"])
        self.tokenizer_sha256: str = manifest["tokenizer_sha256"]
        self.vocab_size: int = manifest["vocab_size"]
        self.eot: int = manifest["eot"]
        self._path = Path(manifest_path)
        self._manifest = manifest

    def stream(self, domain: str, split: str) -> TokenStream:
        """Return the tokens of one domain's split.

        Raises:
            UserError: no such domain or split.
        """
        if domain not in self.domains:
            raise UserError(f"{self._path}: domain {choices(domain, self.domains)}")
        if split not in SPLITS:
            raise UserError(f"{self._path}: split {choices(split, SPLITS)}")
        return TokenStream(
            self._path.parent, self._manifest["domains"][domain][split], self._manifest["dtype"]
        )
