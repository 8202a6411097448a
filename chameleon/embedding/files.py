"""Embedding files, as the weights stage reads them, which needs no torch."""

from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError

#: What all files that are read together must share.
MAKE = ("tokenizer_sha256", "proxy_sha256", "layer")


def load(paths: list[Path], domains: tuple[str, ...]) -> np.ndarray:
    """Return the embeddings of `domains` from one or more files: k x d float64.

    Raises:
        UserError: a file breaks its schema, its rows are not those of its domains or of several widths, a
            domain is missing or in two files, or files of different tokenizers, proxies or layers are mixed.
    """
    artefacts = {path: read_json(path, "embeddings") for path in paths}
    rows: dict[str, list[float]] = {}
    for path, artefact in artefacts.items():
        _check(path, artefact)
        for domain, row in artefact["rows"].items():
            if domain in rows:
                raise UserError(f"{path}: domain {domain!r} is in another file too")
            rows[domain] = row
    where = ", ".join(map(str, paths))
    for domain in domains:
        if domain not in rows:
            raise UserError(f"{where}: no embedding of domain {domain!r}")
    if any(len({a[key] for a in artefacts.values()}) > 1 for key in MAKE):
        raise UserError(f"{where}: made with different tokenizers, proxies or layers")
    if len({len(rows[domain]) for domain in domains}) > 1:
        raise UserError(f"{where}: made by models of different widths")
    return np.array([rows[d] for d in domains], dtype=np.float64)


def _check(path: Path, artefact: dict[str, Any]) -> None:
    """Refuse what the schema cannot: rows of other domains than the file says, and of several lengths."""
    domains = artefact["domains"]
    odd = sorted(set(domains) ^ set(artefact["rows"])) or [d for d in domains if domains.count(d) > 1]
    if odd:
        raise UserError(f"{path}: domain {odd[0]!r} is not once in both domains and rows")
    widths = {domain: len(row) for domain, row in artefact["rows"].items()}
    first = domains[0]
    for domain, width in widths.items():
        if width != widths[first]:
            raise UserError(f"{path}: rows.{domain}: {width} numbers, rows.{first} has {widths[first]}")
