"""Token shards of a corpus, read memory-mapped by training, embedding and evaluation.

`chameleon.data.tokenizing` writes them: per domain and split little-endian `{split}-00000.bin` shards and
`{split}.offsets.npy` (document starts), and `manifest.json`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import fingerprint, read_json
from chameleon.core.errors import UserError, choices

SPLITS = ("train", "validation", "test")
PIECE = 1 << 22  # tokens counted at once


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
