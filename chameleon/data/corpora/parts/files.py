"""The files between the steps of preparing a corpus: documents by ranges of their ids.

An id is a hash of the text, so ranges of ids are fair shares of any corpus, and equal documents meet in one
range. As the split is decided by the id too, ids in ascending order are test, validation, train.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import atomic, read_json, write_json

#: Ranges at least, and at most unless there are more parts: what is held in memory at once is a range of a
#: corpus, and a part that is read has a file of each open.
RANGES, MOST_RANGES = 32, 512
#: Bytes of text held before they are written.
HELD = 32_000_000


def ranges_of(parts: int) -> int:
    """Return the number of ranges of a corpus that is prepared in `parts` parts."""
    # A quarter of what a part reads, where parts are many.
    return max(RANGES, parts, min(4 * parts, MOST_RANGES))


def share(part: int, parts: int) -> range:
    """Return the ranges that part `part` of `parts` gathers."""
    count = ranges_of(parts)
    return range(part * count // parts, (part + 1) * count // parts)


def range_of(doc_id: str, count: int) -> int:
    """Return in which of `count` ranges a document is."""
    return int(doc_id[:12], 16) * count >> 48


def range_file(folder: Path, number: int) -> Path:
    """Return the file of a range."""
    return folder / f"range-{number:05d}.parquet"


def _writer(path: Path, schema: Any) -> Any:
    """Return a writer of a file that is read once or twice and then goes: quick rather than small."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetWriter(
        path, schema, compression="lz4", use_dictionary=False, write_statistics=False
    )


class RangeWriter:
    """Writes documents as they are read, each to the file of its range; memory is bounded by HELD.

    Columns: domain (its number), doc_id, text, and unit and number, which say where in the source it stood.
    """

    def __init__(self, folder: Path, count: int) -> None:
        import pyarrow as pa

        self._folder, self._count, self._held = folder, count, 0
        self._schema = pa.schema(
            {
                "domain": pa.int16(), "doc_id": pa.string(), "unit": pa.int32(), "number": pa.int64(),
                "text": pa.large_string(),
            }
        )  # fmt: skip
        self._rows: dict[int, list[tuple[int, str, int, int, str | None]]] = {}
        self._writers: dict[int, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, domain: int, doc_id: str, unit: int, number: int, text: str | None) -> None:
        """Add a document; without its text where only its id still counts."""
        self._rows.setdefault(range_of(doc_id, self._count), []).append((domain, doc_id, unit, number, text))
        self._held += len(text or doc_id)
        if self._held > HELD:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        for number, rows in sorted(self._rows.items()):
            if number not in self._writers:
                self._writers[number] = _writer(range_file(self._folder, number), self._schema)
            columns = [pa.array(column, field.type) for column, field in zip(zip(*rows), self._schema)]  # noqa: B905
            self._writers[number].write_table(pa.table(columns, self._schema))
        self._rows, self._held = {}, 0

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        for writer in self._writers.values():
            writer.close()


@dataclass(frozen=True)
class Gathered:
    """What `gather` left of a corpus: per range a file with a row group per domain, rows by ascending id.

    Args:
        folders: of all parts, in order.
        domains: names, in the corpus's order.
    """

    folders: Sequence[Path]
    domains: Sequence[str]

    @cached_property
    def _told(self) -> list[tuple[Path, dict[str, Any]]]:
        return [(folder, read_json(folder / "gathered.json")) for folder in self.folders]

    @cached_property
    def bands(self) -> int:
        """Return the number of bands of a signature; 0 where near duplicates stay."""
        return int(self._told[0][1]["bands"])

    def counted(self) -> Iterator[Mapping[str, Mapping[str, int]]]:
        """Yield what every part counted, by domain."""
        for _, told in self._told:
            yield told["counts"]

    def _groups(self, domain: str) -> Iterator[tuple[Path, int, int]]:
        """Yield file, number of the row group and rows of every range that has documents of a domain."""
        for folder, told in self._told:
            for number, rows in sorted((int(n), rows) for n, rows in told["ranges"].items()):
                present = [d for d in self.domains if rows.get(d)]
                if domain in present:
                    yield range_file(folder, number), present.index(domain), rows[domain]

    def rows(self, domain: str) -> int:
        """Return the number of documents of a domain."""
        return sum(rows for _, _, rows in self._groups(domain))

    def column(self, domain: str, name: str) -> np.ndarray:
        """Return a column of numbers of all documents of a domain."""
        found: np.ndarray = self._columns(domain, [name])[:, 0]
        return found

    def band_values(self, domain: str) -> np.ndarray:
        """Return the numbers of all bands of all documents of a domain: uint64, (documents, bands)."""
        return self._columns(domain, [f"band{i}" for i in range(self.bands)])

    def _columns(self, domain: str, names: Sequence[str]) -> np.ndarray:
        import pyarrow.parquet as pq

        found = [np.empty((0, len(names)), np.int64)]
        for path, group, _ in self._groups(domain):
            table = pq.ParquetFile(path).read_row_group(group, names)
            found.append(np.stack([table[name].to_numpy() for name in names], axis=1))
        return np.concatenate(found[1:] or found)

    def documents(self, domain: str, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield rows and an Arrow table (doc_id, text) of the chosen documents (a mask), range by range."""
        import pyarrow.parquet as pq

        start = 0
        for path, group, rows in self._groups(domain):
            wanted = np.flatnonzero(chosen[start : start + rows])
            if len(wanted):
                table = pq.ParquetFile(path).read_row_group(group, ["doc_id", "text"])
                yield start + wanted, table if len(wanted) == rows else table.take(wanted)
            start += rows

    def texts(self, domain: str, chosen: np.ndarray) -> Iterator[tuple[int, str]]:
        """Yield row and text of the chosen documents (a mask); a range is in memory at a time."""
        for rows, table in self.documents(domain, chosen):
            yield from zip(rows.tolist(), table["text"].to_pylist(), strict=True)


class GatheredWriter:
    """Writes one part of a `Gathered`."""

    def __init__(self, folder: Path, domains: Sequence[str], bands: int) -> None:
        import pyarrow as pa

        self._folder, self._domains, self._bands = folder, domains, bands
        self._schema = pa.schema(
            [
                ("doc_id", pa.string()), ("split", pa.int8()), ("bytes", pa.int64()), ("key", pa.uint64()),
                ("text", pa.large_string()), *((f"band{i}", pa.uint64()) for i in range(bands)),
            ]
        )  # fmt: skip
        self._ranges: dict[str, dict[str, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, number: int, by_domain: Mapping[str, Mapping[str, Any]]) -> None:
        """Write a range: for every domain that has any, its columns."""
        import pyarrow as pa

        self._ranges[str(number)] = {}
        with (
            atomic(range_file(self._folder, number)) as temporary,
            _writer(temporary, self._schema) as file,
        ):
            for domain in self._domains:
                if domain in by_domain and len(by_domain[domain]["doc_id"]):
                    table = pa.table(dict(by_domain[domain]), self._schema)
                    file.write_table(table, row_group_size=len(table))
                    self._ranges[str(number)][domain] = len(table)

    def close(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Write what was counted, last."""
        told = {"bands": self._bands, "ranges": self._ranges, "counts": counts}
        write_json(self._folder / "gathered.json", told)
