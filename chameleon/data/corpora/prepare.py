"""Clean, cut, cap, split and deduplicate a corpus: raw documents in, one parquet file per domain out.

First stage of the flow. Reads documents by the kinds of `chameleon.data.corpora.base`; writes
`<out>/{domain}.parquet` (doc_id, split, text; sorted by split and doc_id) and `<out>/report.json`, last.

The order of steps, which the report counts: clean; cut long documents; drop short ones; drop exact
duplicates; cap; drop near duplicates within the domain; drop documents that are near duplicates of held-out
documents of any domain. A long document's pieces are documents of their own from then on: each goes to the
split of its own hash, so test and train may share a volume (never a passage). Splitting by whole volumes is
no option for a domain that is a dozen books: one book more or less in test would be another domain.

The work is done in parts, here or in jobs of their own (`data.parts` of the config): `parts.read` reads the
source once, `parts.gather` brings together what belongs together, and `finish` chooses and writes. What is in
memory at once is a range of the ids, not the corpus, and what comes out does not depend on the parts.
"""

import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import atomic, fingerprint, write_json
from chameleon.core.errors import UserError
from chameleon.data.corpora.base import domain_sources, find_kind, refuse_missing
from chameleon.data.corpora.fields import WITHOUT_DOMAIN, WITHOUT_TEXT
from chameleon.data.corpora.parts.choose import across, within
from chameleon.data.corpora.parts.files import Gathered, ranges_of, share
from chameleon.data.corpora.parts.gather import PRIORITY, gather
from chameleon.data.corpora.parts.read import read, share_out, told

STEPS = (
    "raw",
    "cut_pieces",
    "too_short",
    "exact_duplicates",
    "capped",
    "near_duplicates",
    "cross_split_duplicates",
)
# Rows of the source that never were documents; in the report where there are any, and not in `raw`.
SKIPPED = (WITHOUT_TEXT, WITHOUT_DOMAIN)
PIECES = (
    "Documents longer than max_characters are cut at paragraph or line boundaries; each piece is split by "
    "its own hash, so train and test may hold different passages of one long document."
)
#: Bytes of text of a row group.
GROUP = 64_000_000

Map = Callable[..., Iterable[Any]]


def prepare(spec: Mapping[str, Any], out_dir: str | Path, threads: int) -> None:
    """Prepare every domain of a corpus, all in this job.

    Args:
        spec: `{corpus, entry, domains, data, version}`; `data` has min_characters, max_characters,
            max_bytes_per_domain (null: no cap), seed, split {validation, test} and
            dedup {near, threshold, permutations, shingle_words}.
        out_dir: gets `{domain}.parquet` and `report.json`.
        threads: worker processes; the output does not depend on it.

    Raises:
        UserError: a domain, or one split of it, ends up empty; or a source cannot be read.
    """
    out = Path(out_dir)
    folder = out / ".parts"
    shutil.rmtree(folder, ignore_errors=True)
    # More parts than workers: who is done with a small one takes another. One worker needs one.
    parts = 1 if threads == 1 else 4 * threads
    numbers = range(parts)
    reads, gathers = ([folder / f"{step}{i}" for i in numbers] for step in ("read", "gather"))
    units = find_kind(spec["entry"]).units(spec["entry"], list(spec["domains"]))
    try:
        with workers(threads) as each:
            list(each(read, [spec] * parts, share_out(units, parts), [ranges_of(parts)] * parts, reads))
            list(each(gather_part, [spec] * parts, numbers, [parts] * parts, [reads] * parts, gathers))
            finish(spec, reads, gathers, out, each)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_part(spec: Mapping[str, Any], part: int, parts: int, folder: Path) -> None:
    """Write what is read of the `part`-th of `parts` shares of a corpus; `spec` as of `prepare`."""
    units = find_kind(spec["entry"]).units(spec["entry"], list(spec["domains"]))
    read(spec, share_out(units, parts)[part], ranges_of(parts), folder)


def gather_part(spec: Mapping[str, Any], part: int, parts: int, reads: Sequence[Path], folder: Path) -> None:
    """Write what is gathered of the `part`-th of `parts` shares of the ids; `reads`: what all parts read."""
    gather(spec, share(part, parts), ranges_of(parts), reads, folder)


@contextmanager
def workers(threads: int) -> Iterator[Map]:
    """Give a `map` that calls in so many processes."""
    if threads == 1:
        yield map
        return
    # Spawned, not forked: the parent may have threads of pyarrow or tokenizers running.
    with ProcessPoolExecutor(threads, mp_context=get_context("spawn")) as pool:
        yield pool.map


def finish(
    spec: Mapping[str, Any], reads: Sequence[Path], gathers: Sequence[Path], out: Path, each: Map
) -> None:
    """Choose among the documents that all parts have gathered, and write them with the report.

    Args:
        spec: as of `prepare`.
        reads: folders that `parts.read` wrote, of all parts.
        gathers: those that `parts.gather` wrote.
        out: gets `{domain}.parquet` and `report.json`.
        each: as `workers` gives it.

    Raises:
        UserError: a domain, or one split of it, ends up empty.
    """
    names, data = list(spec["domains"]), spec["data"]
    counts, tally = told(reads)
    refuse_missing(spec["entry"], names, tally)
    gathered = Gathered(gathers, names)
    for part in gathered.counted():
        for domain, counted in part.items():
            counts[domain].update(counted)
    found = list(each(within, [gathered] * len(names), [data] * len(names), names))
    kept = {name: mask for name, (mask, _) in zip(names, found, strict=True)}
    for name, dropped in across(gathered, data, kept).items():
        counts[name]["cross_split_duplicates"] += dropped
    for name, (_, chosen) in zip(names, found, strict=True):
        counts[name].update(chosen)
        counts[name]["capped"] = counts[name]["documents"] - counts[name]["kept"]
        _refuse_empty(spec["corpus"], name, gathered, kept[name], counts[name])
    written = each(_write, [out] * len(names), names, [gathered] * len(names), kept.values())
    reports = {
        name: _report(spec, name, counts[name], done) for name, done in zip(names, written, strict=True)
    }
    write_json(
        out / "report.json",
        {
            "corpus": spec["corpus"],
            "data": data,
            "order": names,
            "domains": reports,
            "notes": [PIECES],
            "sha256": fingerprint({name: report["sha256"] for name, report in reports.items()}),
        },
    )


def _skipped(counts: Counter[str]) -> dict[str, int]:
    """Return the rows of the source that are no documents, by reason."""
    return {reason: counts[reason] for reason in SKIPPED if counts[reason]}


def _refuse_empty(corpus: str, name: str, gathered: Gathered, kept: np.ndarray, counts: Counter[str]) -> None:
    total = int(kept.sum())
    counted = {step: counts[step] for step in STEPS} | _skipped(counts)
    dropped = ", ".join(f"{step} {count}" for step, count in counted.items())
    if total == 0:
        raise UserError(f"corpora.{corpus}: domain {name!r} has no documents left ({dropped})")
    left = set(gathered.column(name, "split")[kept].tolist())
    for number, split in enumerate(PRIORITY):
        if number not in left:
            raise UserError(
                f"corpora.{corpus}: domain {name!r}: split {split!r} is empty: {total} documents "
                f"are too few for data.split ({dropped})"
            )


def _write(out: Path, name: str, gathered: Gathered, kept: np.ndarray) -> tuple[dict[str, Any], str]:
    """Write one domain's parquet file; return documents and bytes of its splits, and its ids' digest."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet

    splits = gathered.column(name, "split")
    sizes: dict[str, dict[str, int]] = {split: {"documents": 0, "bytes": 0} for split in PRIORITY}
    digest = hashlib.sha256()
    with atomic(out / f"{name}.parquet") as temporary:
        schema = pa.schema([(column, pa.string()) for column in ("doc_id", "split", "text")])
        with pa.parquet.ParquetWriter(temporary, schema, compression="zstd") as file:
            waiting: list[Any] = []
            held = 0

            def flush() -> None:
                file.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting.clear()

            for split in sorted(PRIORITY):
                for _, table in gathered.documents(name, kept & (splits == PRIORITY.index(split))):
                    digest.update("".join(f"{split} {i}\n" for i in table["doc_id"].to_pylist()).encode())
                    lengths = pc.binary_length(table["text"]).to_numpy().astype(np.int64)
                    sizes[split]["documents"] += len(table)
                    sizes[split]["bytes"] += int(lengths.sum())
                    table = table.add_column(1, "split", pa.array([split] * len(table))).cast(schema)
                    while len(table):
                        # With the document that makes it too much.
                        full = int(np.searchsorted(held + np.cumsum(lengths), GROUP, "right")) + 1
                        waiting.append(table.slice(0, full))
                        held += int(lengths[:full].sum())
                        if held > GROUP:
                            flush()
                            held = 0
                        table, lengths = table.slice(full), lengths[full:]
            if waiting:
                flush()
    return sizes, digest.hexdigest()


def _report(
    spec: Mapping[str, Any], name: str, counts: Counter[str], written: tuple[dict[str, Any], str]
) -> dict[str, Any]:
    """Return one domain's part of the report; say how many documents there are."""
    sizes, digest = written
    documents = sum(size["documents"] for size in sizes.values())
    skipped = "".join(f", {n} rows {reason.replace('_', ' ')}" for reason, n in _skipped(counts).items())
    print(
        f"prepare: {spec['corpus']}/{name}: {documents} documents of {counts['raw']}{skipped}",
        file=sys.stderr,
        flush=True,
    )
    return {
        **find_kind(spec["entry"]).about(spec["entry"], name),
        "counts": {step: counts[step] for step in STEPS} | _skipped(counts),
        "splits": sizes,
        "sources": domain_sources(spec["entry"], name),
        "sha256": digest,
    }
