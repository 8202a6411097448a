"""Rows and texts of one file: JSON lines, an array of JSON, Parquet, separated values, plain text.

What is wrong names file and row. Rows are looked into as those of a data set of the hub are, by
`chameleon.data.corpora.fields`.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.fields import TEXT_FIELD, WITHOUT_TEXT, Typed, find, heads, parse_json, text_of
from chameleon.data.corpora.files import streams

# Rows of Parquet held as Python objects at a time: a row may be a book.
_BATCH = 256
# Bytes in which a .json file shows whether its lines are rows.
_HEAD = 1024
# Characters of a separated value: it may be a book.
_MOST = 1 << 30
_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "null")

# (where it stands, row), and the fields that will be looked up: the config's key to the field.
Rows = Iterator[tuple[str, Any]]
Fields = Mapping[str, str]


def texts(path: Path, field: str, skipped: Counter[str]) -> Iterator[str]:
    """Yield the documents of a file in order; rows without text are counted in `skipped`.

    Raises:
        UserError: the file or a row cannot be read, or holds no text in `field`.
    """
    if form_of(path.name) == ".txt":
        yield streams.whole(path)
        return
    for where, row in rows(path, {TEXT_FIELD: field}):
        text = text_of(find(row, field, where, TEXT_FIELD), where, TEXT_FIELD, field)
        if text is None:
            skipped[WITHOUT_TEXT] += 1
        else:
            yield text


def rows(path: Path, fields: Fields) -> Rows:
    """Yield the rows of a file that has rows; of Parquet, the columns in which `fields` lie alone."""
    return _ROWS[form_of(path.name) or ""](path, fields)


def form_of(name: str) -> str | None:
    """Return the form of a file that is read (`.jsonl`, ...) by its name in any case, or None."""
    lower = name.lower()
    plain = next((lower.removesuffix(c) for c in streams.COMPRESSIONS if lower.endswith(c)), lower)
    found = next((form for form in FORMS if plain.endswith(form)), None)
    # Parquet is compressed inside.
    return None if found == ".parquet" and plain != lower else found


def _json_lines(path: Path, fields: Fields) -> Rows:
    for number, line in streams.lines(path):
        where = f"{path}:{number}"
        yield where, _parsed(line, fields, where)


def _json(path: Path, fields: Fields) -> Rows:
    """A file named .json: lines, one array of rows, or one row over several lines."""
    with streams.opened(path) as handle:
        head = handle.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"[") and head.split(b"\n")[0].strip() != b"{":
        yield from _json_lines(path, fields)
        return
    value = _parsed(streams.whole(path), fields, str(path))
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        yield f"{path}: row {number}", row


def _parsed(text: str, fields: Fields, where: str) -> Any:
    try:
        return parse_json(text, *fields.values())
    except ValueError as error:
        raise UserError(f"{where}: not valid JSON: {error}") from error


def _parquet(path: Path, fields: Fields) -> Rows:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with streams.opened(path) as handle, pyarrow.parquet.ParquetFile(handle) as file:
            names = list(dict.fromkeys(_column(file.schema_arrow, f, path, key) for key, f in fields.items()))
            for batch in file.iter_batches(_BATCH, columns=names):
                for values in zip(*(_values(batch.column(name)) for name in names), strict=True):
                    number += 1
                    yield f"{path}: row {number}", dict(zip(names, values, strict=True))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable parquet file (after row {number}): {reason}") from error


def _values(column: Any) -> list[Any]:
    """Return a column's values; of text that is not UTF-8, which Parquet lets pass, the bytes."""
    import pyarrow

    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        if str(column.type) not in _TEXT_TYPES:
            raise
        return list(column.cast(pyarrow.large_binary()).to_pylist())


def _column(schema: Any, field: str, path: Path, key: str) -> str:
    """Return the column of a Parquet schema that `field` lies in.

    Raises:
        UserError: there is none, it is there twice, or its type is known and is no text where text is asked.
    """
    # The types of columns are looked into like a row: what can hold text stands there as null.
    found = find({column.name: _kind(column.type) for column in schema}, field, str(path), key)
    if key == TEXT_FIELD:
        text_of(found, str(path), key, field)
    name = next(head for head in heads(field) if head in schema.names)
    if schema.names.count(name) > 1:
        raise UserError(f"{path}: {key} {field!r}: the column {name!r} is there twice")
    return name


def _kind(kind: Any) -> Any:
    """Return None for a type that holds text, {name: kind} for a struct, and else the type's name."""
    from pyarrow import types

    if types.is_struct(kind):
        return {field.name: _kind(field.type) for field in kind}
    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if (storage := getattr(kind, "storage_type", None)) is not None:
        return _kind(storage)
    return None if str(kind) in _TEXT_TYPES else Typed(str(kind))


def _separated(path: Path, delimiter: str) -> Rows:
    """Comma- or tab-separated values with a header line; an empty field is null.

    Raises:
        UserError: not such values, a column named twice, or a row of more fields than the header has.
    """
    csv.field_size_limit(_MOST)
    reader = csv.reader(streams.text_lines(path), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if twice := [name for name in header if header.count(name) > 1]:
            raise UserError(f"{path}:1: the column {twice[0]!r} is there twice")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if len(row) > len(header):
                raise UserError(f"{where}: {len(row)} fields, and the header has {len(header)}")
            if row:
                yield where, {name: value or None for name, value in zip(header, row, strict=False)}
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not separated values: {error}") from error


FORMS = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".txt")
_ROWS: dict[str, Callable[[Path, Fields], Rows]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": lambda path, fields: _separated(path, ","),
    ".tsv": lambda path, fields: _separated(path, "\t"),
}
