"""Readers that turn the members of an archive into documents; chosen and parametrised by a set's YAML.

A reader is a function `(members, **parameters) -> Iterator[str]`, `members` being (name, bytes) pairs. The
ones here know nothing about a source; a source that needs cleaning of its own has a module with a function
`read` in `chameleon/data/corpora/sources/`, and the set names that module as its reader.
"""

import csv
import html
import importlib
import io
import itertools
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from chameleon.core.errors import UserError, choices

Members = Iterable[tuple[str, bytes]]
Substitutions = Sequence[tuple[str, str]]

# What an undecodable byte becomes; a member with one in a thousand characters is not text.
REPLACEMENT = "\ufffd"


def decode(data: bytes, encoding: str = "utf-8") -> str:
    """Return `data` as text, undecodable bytes as U+FFFD, without a byte order mark."""
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def substitute(text: str, substitutions: Substitutions) -> str:
    """Apply (regular expression, replacement) pairs in order."""
    for pattern, replacement in substitutions:
        text = re.sub(pattern, replacement, text)
    return text


def text(
    members: Members,
    *,
    encoding: str = "utf-8",
    after: str | None = None,
    before: str | None = None,
    min_characters: int = 0,
    max_characters: int | None = None,
    max_line: int | None = None,
    substitutions: Substitutions = (),
) -> Iterator[str]:
    """Yield each member as one document.

    Args:
        members: (name, bytes) pairs.
        encoding: of every member.
        after, before: regular expressions; only the text after the first match of `after` and before the
            following first match of `before` is kept (Project Gutenberg's START and END lines). A text
            without a match keeps that side.
        min_characters, max_characters: members outside these lengths are skipped (stubs, generated tables).
        max_line: members with a longer line are skipped (minified or generated code).
        substitutions: (regular expression, replacement) pairs.
    """
    for _, data in members:
        body = decode(data, encoding)
        if after and (match := re.search(after, body)):
            body = body[match.end() :]
        if before and (match := re.search(before, body)):
            body = body[: match.start()]
        if len(body) < min_characters or (max_characters and len(body) > max_characters):
            continue
        if max_line and max(map(len, body.split("\n"))) > max_line:
            continue
        if body.count(REPLACEMENT) > len(body) // 1000:
            continue
        yield substitute(body, substitutions)


def _group(documents: Iterable[str], size: int) -> Iterator[str]:
    """Join `size` consecutive documents by newlines into one (a tweet alone is no document)."""
    left = iter(documents)
    while batch := list(itertools.islice(left, size)):
        yield "\n".join(batch)


def _record(
    template: str, record: dict[str, Any], where: str, substitutions: Substitutions, flat: bool
) -> str:
    cleaned = {
        key: re.sub(r"\s+", " ", substitute(html.unescape(value), substitutions)).strip() if flat else value
        for key, value in ((k, v if isinstance(v, str) else json.dumps(v)) for k, v in record.items())
    }
    try:
        return template.format_map(cleaned)
    except KeyError as error:
        raise UserError(
            f"{where}: template {template!r}: {choices(error.args[0], sorted(cleaned))}"
        ) from error


def csv_rows(
    members: Members,
    *,
    template: str,
    encoding: str = "utf-8",
    delimiter: str = ",",
    group: int = 1,
    substitutions: Substitutions = (),
    flat: bool = True,
) -> Iterator[str]:
    """Yield one document per row (or per `group` rows) of csv members with a header line.

    Args:
        members: (name, bytes) pairs.
        template: format string over the column names, such as `"{title}\\n\\n{text}"`.
        encoding, delimiter: of every member.
        group: rows per document.
        substitutions: (regular expression, replacement) pairs, applied to each field.
        flat: unescape HTML entities and collapse whitespace within each field.
    """
    csv.field_size_limit(1 << 30)
    for name, data in members:
        rows = csv.DictReader(io.StringIO(decode(data, encoding), newline=""), delimiter=delimiter)
        documents = (
            _record(template, {k: v or "" for k, v in row.items() if k}, name, substitutions, flat)
            for row in rows
        )
        yield from _group(documents, group)


def jsonl(
    members: Members, *, template: str, substitutions: Substitutions = (), flat: bool = False
) -> Iterator[str]:
    """Yield one document per line of JSON-lines members; `template` is a format string over its keys."""
    for name, data in members:
        for line in decode(data).splitlines():
            if line.strip():
                yield _record(template, json.loads(line), name, substitutions, flat)


def json_records(
    members: Members, *, template: str, substitutions: Substitutions = (), flat: bool = False
) -> Iterator[str]:
    """Yield one document per record of JSON members that hold a list, or an object (in key order)."""
    for name, data in members:
        content = json.loads(decode(data))
        records = [content[key] for key in sorted(content)] if isinstance(content, dict) else content
        for record in records:
            yield _record(template, record, name, substitutions, flat)


GENERIC: dict[str, Callable[..., Iterator[str]]] = {
    "text": text,
    "csv": csv_rows,
    "jsonl": jsonl,
    "json": json_records,
}


def reader_names() -> list[str]:
    """Return the names that a set may use as `reader`: the generic ones, then the modules of `sources`."""
    package = importlib.import_module("chameleon.data.corpora.sources")
    return [*GENERIC, *(module.name for module in pkgutil.iter_modules(package.__path__))]


def find_reader(name: str) -> Callable[..., Iterator[str]]:
    """Return a reader by name.

    Raises:
        UserError: no such reader.
    """
    if name in GENERIC:
        return GENERIC[name]
    if name not in reader_names():
        raise UserError(f"reader: {choices(name, reader_names())}")
    reader: Callable[..., Iterator[str]] = importlib.import_module(
        f"chameleon.data.corpora.sources.{name}"
    ).read
    return reader
