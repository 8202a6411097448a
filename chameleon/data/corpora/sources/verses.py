"""Scripture kept verse by verse, in JSON lines or in an SQLite table: one document per chapter.

An SQLite file cannot be read from a stream, and SQLite's own in-memory copy would double its size, so it is
written to a temporary file, opened read-only and removed.
"""

import itertools
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.readers import Members, Substitutions, decode, substitute

# Book, chapter and text of one verse.
Verse = tuple[Any, Any, str]
_SQLITE = b"SQLite format 3\x00"


def _lines(data: bytes) -> Iterator[Verse]:
    """Yield the verses of a JSON-lines file in its own order."""
    for line in decode(data).splitlines():
        if line.strip():
            record = json.loads(line)
            yield record["book"], record["chapter"], record["text"]


def _table(data: bytes, query: str, where: str) -> Iterator[Verse]:
    """Yield the rows (book, chapter, text) of a query over a database given as bytes.

    Raises:
        UserError: the database is damaged, or has no such table or column.
    """
    with tempfile.TemporaryDirectory(prefix="chameleon-") as folder:
        path = Path(folder) / "verses.db"
        path.write_bytes(data)
        del data
        # Immutable: no journal beside the file is looked for, no lock is taken.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            # Views and triggers of a swapped file must not call functions with side effects.
            database.execute("PRAGMA trusted_schema = OFF")
            try:
                yield from database.execute(query)
            except sqlite3.Error as error:
                raise UserError(f"{where}: {error}") from error


def _chapters(verses: Iterable[Verse]) -> Iterator[str]:
    for _, chapter in itertools.groupby(verses, key=lambda verse: verse[:2]):
        yield " ".join(text for _, _, verse in chapter if (text := verse.strip()))


def read(members: Members, *, query: str = "", substitutions: Substitutions = ()) -> Iterator[str]:
    """Yield one document per chapter: its verses on one line, without their numbers.

    Args:
        members: (name, bytes) pairs: SQLite databases, or JSON lines with `book`, `chapter` and `text`.
        query: for a database, the SELECT that gives (book, chapter, text) in order.
        substitutions: (regular expression, replacement) pairs, applied to a whole chapter.
    """
    for name, data in members:
        verses = _table(data, query, name) if data.startswith(_SQLITE) else _lines(data)
        for chapter in _chapters(verses):
            yield substitute(chapter, substitutions).strip()
