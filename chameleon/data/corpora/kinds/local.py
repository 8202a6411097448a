"""Corpus kind `local`: one folder per domain, holding .jsonl, .jsonl.gz, .txt or .parquet files.

`{kind: local, path: data/mine, text_field: text, domains: [subset]}`; a .txt file is one document, the others
hold one per row in `text_field`.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import Entry, Source, register, subset


def _decode(data: bytes, path: Path, start: int = 0) -> str:
    """Return UTF-8 text; `start` is the offset of `data` in its (decompressed) file.

    Raises:
        UserError: not UTF-8, with the file and the byte offset.
    """
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 at byte {start + error.start} (0x{data[error.start]:02x})"
        ) from error


def _text(path: Path, field: str) -> Iterator[str]:
    yield _decode(path.read_bytes(), path)


def _jsonl(path: Path, field: str) -> Iterator[str]:
    offset = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as lines:
        try:
            for number, data in enumerate(lines, start=1):
                line = _decode(data, path, offset)
                offset += len(data)
                if line.strip():
                    yield _row(line, field, f"{path}:{number}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{path}: cannot be decompressed (truncated?): {error}") from error


def _row(line: str, field: str, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get(field), str):
        known = sorted(k for k, v in row.items() if isinstance(v, str)) if isinstance(row, dict) else ()
        raise UserError(f"{where}: text_field: {choices(field, known)}")
    text: str = row[field]
    return text


def _parquet(path: Path, field: str) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if field not in file.schema_arrow.names:
                raise UserError(f"{path}: text_field: {choices(field, file.schema_arrow.names)}")
            for batch in file.iter_batches(columns=[field]):
                yield from (text for text in batch.column(0).to_pylist() if text)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable parquet file: {' '.join(str(error).split())}") from error


_READERS: dict[str, Callable[[Path, str], Iterator[str]]] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".txt": _text,
    ".parquet": _parquet,
}


@register("local")
class LocalCorpus:
    """The user's own text files."""

    keys = frozenset({"path", "text_field", "domains"})

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the names of the sub-folders, sorted, or the entry's subset."""
        folder = Path(entry.get("path") or "")
        if not entry.get("path") or not folder.is_dir():
            raise UserError(f"corpora.{name}.path: no such folder: {str(entry.get('path'))!r}")
        found = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        return subset(name, entry, found)

    def documents(self, entry: Entry, domain: str) -> Iterator[str]:
        """Yield the documents of a domain's files, in order of file name."""
        for path in _files(entry, domain):
            reader = next(_READERS[suffix] for suffix in _READERS if path.name.endswith(suffix))
            yield from reader(path, entry.get("text_field", "text"))

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Return one record per file, with its checksum; the licence is the user's to know."""
        return [
            {
                "registry": "local",
                "package": entry["path"],
                "version": None,
                "file": str(path.relative_to(entry["path"])),
                "sha256": sha256_file(path),
                "bytes": path.stat().st_size,
                "licence": "the user's own data",
                "redistributable": False,
            }
            for path in _files(entry, domain)
        ]

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return the domain's own name: it stands for itself."""
        return {"title": domain, "stands_for": domain, "differs": ""}


def _files(entry: Entry, domain: str) -> list[Path]:
    folder = Path(entry["path"]) / domain
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name.endswith(tuple(_READERS)))
    if not found:
        raise UserError(f"{folder}: no files for domain {domain!r}; read are {', '.join(_READERS)}")
    return found
