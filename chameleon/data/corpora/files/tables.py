"""Rows of a file of comma- or tab-separated values with a header line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.files import streams

#: A field may be a book.
_MOST = 1 << 30


def separated(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where it stands, {column: text}) of every row; an empty field is null.

    Raises:
        UserError: no header, a column named twice, or a row of more fields than the header has.
    """
    csv.field_size_limit(_MOST)
    plain = path.name.lower()
    for suffix in streams.COMPRESSIONS:
        plain = plain.removesuffix(suffix)
    delimiter = "\t" if plain.endswith(".tsv") else ","
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
