"""For every test: no network of the Hugging Face libraries, no display, no thread fights on small machines.

Also a toy experiment shared by the tests: a config, its token shards, and a stand-in tokenizer folder.
"""

import copy
import os

# Before anything imports the libraries that read them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_config import EOT, RAW, VOCAB

TOKENIZER_SHA256 = "7" * 64
Streams = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Toy:
    """Files that the stages of the toy config read; `manifests` are in the scenario's order."""

    root: Path
    tokenizer: Path
    manifests: list[Path]


def chain(domain: str, split: str, tokens: int) -> np.ndarray:
    """Return a learnable stream: each token has one likely successor, another one in every domain."""
    from chameleon.core.seeds import generator

    successor = generator(0, "successor", domain).permutation(VOCAB)
    rng = generator(0, "draws", domain, split)
    noise, surprise = rng.integers(VOCAB, size=tokens), rng.random(tokens) < 0.1
    ids = np.empty(tokens, dtype=np.int64)
    ids[0] = 1
    for i in range(1, tokens):
        ids[i] = noise[i] if surprise[i] else successor[ids[i - 1]]
    return ids


def _write_shards(folder: Path, corpus: str, streams: Streams, tokenizer_sha256: str) -> Path:
    from chameleon.core.artifacts import fingerprint, write_json
    from chameleon.data.tokenizing import write_split

    entries = {
        domain: {
            split: write_split([ids], folder, f"{domain}/{split}", "<u2", shard_tokens=700)
            for split, ids in splits.items()
        }
        for domain, splits in streams.items()
    }
    manifest = {
        "corpus": corpus,
        "tokenizer_sha256": tokenizer_sha256,
        "vocab_size": VOCAB,
        "eot": EOT,
        "dtype": "<u2",
        "order": list(streams),
        "domains": entries,
    }
    write_json(folder / "manifest.json", manifest | {"sha256": fingerprint(manifest)}, "tokens")
    return folder / "manifest.json"


@pytest.fixture(scope="session")
def write_shards() -> Callable[..., Path]:
    """Return a function that writes one corpus's shards and returns the manifest's path."""

    def write(folder: Path, corpus: str, streams: Streams, tokenizer_sha256: str = TOKENIZER_SHA256) -> Path:
        return _write_shards(folder, corpus, streams, tokenizer_sha256)

    return write


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy config's token shards and tokenizer folder. Read only."""
    root = tmp_path_factory.mktemp("toy")
    sizes = {"twin_one": 2000, "unique": 900, "blend": 3000}
    manifests = [
        _write_shards(
            root / "tokens" / corpus,
            corpus,
            {
                d: {
                    s: chain(d, s, sizes[d] if s == "train" else 400) for s in ("train", "validation", "test")
                }
                for d in entry["domains"]
            },
            TOKENIZER_SHA256,
        )
        for corpus, entry in RAW["corpora"].items()
    ]
    tokenizer = root / "tokenizer"
    tokenizer.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "run.json"):
        (tokenizer / name).write_text("{}\n", encoding="utf-8")
    return Toy(root, tokenizer, manifests)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: where files run side by side, the last ones are then short.

    The first of all makes the smoke run; whoever else looks at it comes when it is there.
    """
    order = {"workflow": 1, "contract": 2, "fuzz": 4}
    users = dict.fromkeys(item.path for item in items if "smoke" in getattr(item, "fixturenames", ()))
    place = {path: 3 if number else 0 for number, path in enumerate(users)}
    items.sort(key=lambda item: place.get(item.path, order.get(item.path.parent.name, 5)))


@pytest.fixture
def raw() -> dict[str, Any]:
    """The toy config, to be changed at will."""
    return copy.deepcopy(RAW)
