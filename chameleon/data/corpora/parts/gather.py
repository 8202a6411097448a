"""Second step: bring ranges of ids together from all that was read; drop equal documents, sign the others."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.corpora.clean import split_of
from chameleon.data.corpora.dedup import NearDuplicates
from chameleon.data.corpora.parts.cap import key_of, under_cap
from chameleon.data.corpora.parts.files import GatheredWriter, range_file

#: Held-out documents come first, so that of two duplicates the training copy is the one to go.
PRIORITY = ("test", "validation", "train")


def near_duplicates(data: Mapping[str, Any]) -> NearDuplicates | None:
    """Return what counts as a near duplicate; None where they stay."""
    settings = data["dedup"]
    if not settings["near"]:
        return None
    return _near(settings["threshold"], settings["permutations"], settings["shingle_words"])


@cache
def _near(*settings: Any) -> NearDuplicates:
    """Return the same search for the same settings: what its bands are takes a while to find."""
    return NearDuplicates(*settings)


def gather(
    spec: Mapping[str, Any], ranges: Iterable[int], count: int, folders: Sequence[Path], out: Path
) -> None:
    """Write some of a corpus's `count` ranges as a part of a `Gathered`.

    Of equal documents of a domain the one that stands first in the source stays. Where there is a cap, what
    would be over it in these ranges alone is left out here.

    Args:
        spec: as of `chameleon.data.corpora.prepare.prepare`.
        ranges: their numbers.
        folders: all that was read.
        out: folder to be written.

    Raises:
        UserError: what was read has other ranges, as an earlier version made them.
    """
    data, domains = spec["data"], list(spec["domains"])
    for folder in folders:
        if read_json(folder / "read.json").get("ranges") != count:
            raise UserError(f"{folder}: written by another version; remove it, and it is read again")
    near = near_duplicates(data)
    writer = GatheredWriter(out, domains, len(near.bands) if near else 0)
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in domains}
    for number in ranges:
        table = _together(number, folders)
        if table is None:
            continue
        owners, first = table["domain"].to_numpy(), _first(table)
        by_domain = {}
        for place in np.unique(owners).tolist():
            mine = owners == place
            kept = np.flatnonzero(mine & first)
            counts[domains[place]]["documents"] += len(kept)
            counts[domains[place]]["exact_duplicates"] += int(mine.sum()) - len(kept)
            # Without its text it is over the cap.
            kept = kept[table["text"].is_valid().to_numpy()[kept]]
            by_domain[domains[place]] = _columns(table.select(["doc_id", "text"]).take(kept), data, near)
        writer.write(number, by_domain)
    writer.close(counts)


def _together(number: int, folders: Sequence[Path]) -> Any:
    """Return the rows of a range sorted by domain, id and place in the source; None if there are none."""
    import pyarrow as pa
    import pyarrow.parquet

    found = [path for folder in folders if (path := range_file(folder, number)).is_file()]
    if not found:
        return None
    table = pa.concat_tables([pa.parquet.read_table(path) for path in found]).combine_chunks()
    return table.sort_by([(name, "ascending") for name in ("domain", "doc_id", "unit", "number")])


def _first(table: Any) -> np.ndarray:
    """Return a mask of the rows of a sorted table before which there is no equal document of their domain."""
    import pyarrow.compute as pc

    domains, ids = (pc.not_equal(table[name][1:], table[name][:-1]) for name in ("domain", "doc_id"))
    return np.append(True, domains.to_numpy() | ids.to_numpy())


def _columns(table: Any, data: Mapping[str, Any], near: NearDuplicates | None) -> dict[str, Any]:
    """Return the columns of a domain's documents of a range, those over the cap left out."""
    import pyarrow.compute as pc

    sizes = pc.binary_length(table["text"]).to_numpy().astype(np.int64)
    keys = np.array([key_of(data["seed"], doc_id) for doc_id in table["doc_id"].to_pylist()], np.uint64)
    kept = np.flatnonzero(under_cap(keys, sizes, data["max_bytes_per_domain"]))
    table = table.take(kept)
    splits = [PRIORITY.index(split_of(doc_id, data["split"])) for doc_id in table["doc_id"].to_pylist()]
    columns: dict[str, Any] = {
        "doc_id": table["doc_id"], "split": splits, "bytes": sizes[kept], "key": keys[kept],
        "text": table["text"],
    }  # fmt: skip
    if near is not None:
        values = near.band_values(table["text"].to_pylist())
        columns |= {f"band{i}": values[:, i] for i in range(values.shape[1])}
    return columns
