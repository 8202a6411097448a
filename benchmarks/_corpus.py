"""A corpus of random tokens, laid out as the workflow lays out a real one, for scripts that run jobs."""

from pathlib import Path

import numpy as np

from chameleon.core.artifacts import fingerprint, write_json
from chameleon.data.tokenizing import write_split
from chameleon.data.tokens import SPLITS


def write(folder: Path, domains: list[str], vocab: int, tokens: int) -> Path:
    """Write a corpus of `tokens` tokens per domain and split; return its manifest."""
    found = {}
    for number, domain in enumerate(domains):
        found[domain] = {}
        for split in SPLITS:
            rng = np.random.default_rng([number, SPLITS.index(split)])
            documents = [rng.integers(vocab, size=1000) for _ in range(tokens // 1000)]
            found[domain][split] = write_split(documents, folder, f"{domain}/{split}", "<u2", 1 << 25)
    manifest = {
        "corpus": folder.name,
        "tokenizer_sha256": "0" * 64,
        "vocab_size": vocab,
        "eot": 0,
        "dtype": "<u2",
        "order": domains,
        "domains": found,
    }
    write_json(folder / "manifest.json", manifest | {"sha256": fingerprint(manifest)}, "tokens")
    return folder / "manifest.json"
