"""Embedding files: written by the embedding stage, read by the weights stage, which needs no torch."""

from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import read_json, write_json
from chameleon.core.errors import UserError


def save(path: Path, artefact: dict[str, Any]) -> None:
    """Write an embeddings file."""
    write_json(path, artefact, "embeddings")


def load(paths: list[Path], domains: tuple[str, ...]) -> np.ndarray:
    """Return the embeddings of `domains` from one or more files: k x d float64.

    Raises:
        UserError: a domain is missing, or files of different tokenizers, proxies or layers are mixed.
    """
    artefacts = [read_json(p, "embeddings") for p in paths]
    rows = {d: r for a in artefacts for d, r in a["rows"].items()}
    for domain in domains:
        if domain not in rows:
            raise UserError(f"{', '.join(map(str, paths))}: no embedding of domain {domain!r}")
    if any(len({a[key] for a in artefacts}) > 1 for key in ("tokenizer_sha256", "proxy_sha256", "layer")):
        raise UserError(f"{', '.join(map(str, paths))}: made with different tokenizers, proxies or layers")
    return np.array([rows[d] for d in domains], dtype=np.float64)
