"""Rows of a data set of the Hugging Face hub, or of a local folder laid out like one, whole or in parts."""

import itertools
import lzma
import sys
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import Entry
from chameleon.data.corpora.fields import DOMAIN_FIELD, TEXT_FIELD, heads
from chameleon.data.corpora.files.rows import form_of, rows

#: Rows of a part of a set that is not streamed.
ROWS = 1 << 16
#: Rows that are taken from a set at once, and bytes of them that are objects at once.
BATCH, HELD = 1000, 8_000_000
_UNREADABLE = (ValueError, TypeError, OSError, EOFError, RecursionError, zlib.error, lzma.LZMAError)


def parts_of(entry: Entry, domain: str | None) -> int:
    """Return in how many parts the rows of the data set that holds a domain (None: all) can be read.

    A part is a file of a set that is streamed, and ROWS rows of one that is not. Where the first documents of
    a domain are asked for there is one part: only who reads them all can count them.

    Raises:
        UserError: as `data_set_rows`.
    """
    if entry.get("max_documents"):
        return 1
    try:
        with _without_torch():
            found = _load(entry, domain)
        return int(found.num_shards) if entry.get("streaming") else max(1, -(-len(found) // ROWS))
    except _failures() as error:
        return len(_files_instead(entry, domain, error, 0))


def data_set_rows(
    entry: Entry, domain: str | None, part: tuple[int, int] = (0, 1)
) -> Iterator[tuple[str, Any]]:
    """Yield (where it stands, row) of the data set that holds a domain, or all of them (None).

    `datasets` makes one table of all files and columns, and stops where two files disagree about a column,
    even one that nobody asks for. Of a folder on this machine we then read the files ourselves: the fields
    that are asked for, or a message that names file and row.

    Args:
        part: its number, and how many there are (see `parts_of`).

    Raises:
        UserError: there is no such data set, configuration or split; or a file cannot be read, by us either.
    """
    number, count = part
    where, done = _where(entry, domain), 0
    of = f"part {number + 1} of {count}, " if count > 1 else ""
    fields = {key: entry[key] for key in (TEXT_FIELD, DOMAIN_FIELD) if entry.get(key)}
    try:
        with _without_torch():
            found = _load(entry, domain).shard(num_shards=count, index=number, contiguous=True)
            columns = _columns(found, fields.values())
            found = found.with_format("arrow") if columns else found
        for row in _rows(found, columns):
            done += 1
            yield f"{where}: {of}row {done}", row
        return
    except _failures() as error:
        found = _files_instead(entry, domain, error, done)
        if count not in (1, len(found)):
            raise UserError(f"{where}: datasets cannot load it: {_reasons(error)}") from error
        found = found if count == 1 else [found[number]]
    yield from itertools.islice(itertools.chain.from_iterable(rows(f, fields) for f in found), done, None)


def _rows(found: Any, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of a data set; of these columns, many at a time, if there are any.

    That takes a tenth of the time of turning Arrow's tables into rows one by one.
    """
    if not columns:
        yield from found
        return
    for table in found.iter(BATCH):
        step = max(1, len(table) * HELD // max(table.nbytes, HELD))
        for start in range(0, len(table), step):
            yield from table.slice(start, step).select(columns).to_pylist()


def _columns(found: Any, fields: Collection[str]) -> list[str]:
    """Return the columns that fields are in, or all if one is in none, as the message about it lists them.

    None at all where Arrow's values are not yet what a row has, or types are not known before reading.
    """
    from datasets.features.features import require_decoding

    known = found.features or {}
    of = [[head for head in heads(field) if head in known] for field in fields]
    columns = [name for name in known if not all(of) or any(name in inside for inside in of)]
    return [] if any(require_decoding(known[name]) for name in columns) else columns


@contextmanager
def _without_torch() -> Iterator[None]:
    """Keep `datasets` from importing torch, two seconds, for sets that no loader of torch's will see."""
    import datasets

    before, datasets.config.TORCH_AVAILABLE = datasets.config.TORCH_AVAILABLE, False
    try:
        yield
    finally:
        datasets.config.TORCH_AVAILABLE = before


def _where(entry: Entry, domain: str | None) -> str:
    return f"corpus {entry['path']}" + (f" (domain {domain!r})" if domain is not None else "")


def _load(entry: Entry, domain: str | None) -> Any:
    """Return the split of the data set that holds a domain."""
    return _open(entry, domain, "load_dataset", split=entry["split"], streaming=bool(entry.get("streaming")))


def _files_instead(entry: Entry, domain: str | None, error: Exception, done: int) -> list[Path]:
    """Return the files to read ourselves where `datasets` cannot, and say so.

    Raises:
        UserError: they are not on this machine, or of a form that is not read.
    """
    where, reason, found = _where(entry, domain), _reasons(error), _own_files(entry, domain)
    if not found:
        after = f" (after row {done})" if done else ""
        raise UserError(f"{where}: datasets cannot load it{after}: {reason}") from error
    said = f"datasets cannot load it ({reason}); reading its {len(found)} files one by one"
    print(f"hf: {where}: {said}", file=sys.stderr, flush=True)
    return found


def _own_files(entry: Entry, domain: str | None) -> list[Path]:
    """Return the files of a data set's split if they are on this machine and we can read them too."""
    try:
        listed = _open(entry, domain, "load_dataset_builder").config.data_files or {}
    except _failures():
        return []
    found = [Path(f) for split, files in listed.items() if str(split) == entry["split"] for f in files]
    return found if all(path.is_file() and form_of(path.name) not in (None, ".txt") for path in found) else []


def _reasons(error: BaseException | None) -> str:
    """Return what an exception and its causes say, in one line."""
    said: list[str] = []
    while error is not None and len(said) < 3:
        text = " ".join(str(error).split()) or type(error).__name__
        if text not in said:
            said.append(text if len(text) <= 500 else f"{text[:500]}...")
        error = error.__cause__
    return ": ".join(said)


def _open(entry: Entry, domain: str | None, load: str, **options: Any) -> Any:
    """Call `datasets.<load>` for the data set that holds a domain."""
    import datasets

    arguments = {
        "name": (entry.get("configs") or {}).get(domain or "", entry.get("name")),
        "data_dir": (entry.get("data_dirs") or {}).get(domain or ""),
        "revision": entry.get("revision"),
    }
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return getattr(datasets, load)(entry["path"], **given, **options)
    except StopIteration:  # it asked for a first row
        raise ValueError("its files are empty") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` raises at unknown names and at data that it cannot read: no type of its own."""
    import pyarrow
    from datasets.exceptions import DatasetsError

    return (*_UNREADABLE, pyarrow.ArrowException, DatasetsError)
