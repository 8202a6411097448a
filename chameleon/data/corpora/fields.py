"""Fields of rows: where a row holds its text or its domain, the same for every kind of corpus that has rows.

A field is named by a dotted path. A column whose own name has dots in it goes before a path, and a column
that holds JSON as text is looked into like a struct. Null, be it the field or anything on the way to it, is
no error: such a row has no text, or belongs to no domain; it is passed over and counted.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from chameleon.core.errors import UserError, choices, shown

# Keys of the config that name fields.
TEXT_FIELD = "text_field"
DOMAIN_FIELD = "domain_field"
# Counts of rows that are passed over, in the report of a prepared corpus.
WITHOUT_TEXT = "without_text"
WITHOUT_DOMAIN = "without_domain"
# The usual one first: asking an abstract class takes longer.
_MAPPING = (dict, Mapping)
# Names listed in a message.
_MOST_NAMES = 20


@dataclass(frozen=True)
class Typed:
    """A type in place of a value, where a format names the types of its columns."""

    name: str


def find(row: Any, field: str, where: str, key: str) -> Any:
    """Return the value of a field of a row; None where it, or something on the way to it, is null.

    Args:
        row: a mapping, as a row should be.
        field: name of a column, or dotted path into nested ones.
        where: the row, for a message.
        key: the config's key that names the field, for a message.

    Raises:
        UserError: there is no such field; the message lists what there is, or says what stands in the way.
    """
    if isinstance(row, _MAPPING) and field in row:
        value = row[field]
        return None if _is_nan(value) else value
    value, path, rest = row, "", field
    while True:
        if path and isinstance(value, str | bytes):
            value = _in_json(value, rest, f"{where}: {key} {field!r}: column {path!r}")
        if value is None or _is_nan(value):
            return None
        if not isinstance(value, _MAPPING):
            holder = f"column {path!r} holds" if path else "a row must be an object with named fields, found"
            raise UserError(f"{where}: {key} {field!r}: {holder} {kind_of(value)}")
        name = next((name for name in heads(rest) if name in value), None)
        if name is None:
            raise UserError(f"{where}: {key}: {choices(field, _names(value, path))}")
        value, path, rest = value[name], f"{path}.{name}" if path else name, rest[len(name) + 1 :]
        if not rest:
            return None if _is_nan(value) else value


def text_of(value: Any, where: str, key: str, field: str) -> str | None:
    """Return a field's value as text, bytes as UTF-8; None if it is null.

    Raises:
        UserError: it is something else; the message names its type, or the byte that is not UTF-8.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} (0x{data[error.start]:02x})"
            raise UserError(f"{where}: {key} {field!r}: not UTF-8 at {byte}") from error
    inside = _names(value, field)
    hint = f"; name a field inside it: {', '.join(inside)}" if inside else ""
    raise UserError(f"{where}: {key} {field!r} holds {kind_of(value)}, not text{hint}")


def kind_of(value: Any) -> str:
    """Return the type of a value in words: `a list`, `a whole number (5)`, `values of type int64`."""
    if isinstance(value, Typed):
        return f"values of type {value.name}"
    if isinstance(value, Mapping):
        return "a struct"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str | bytes):
        return f"text ({shown(value, 30)})"
    names = {bool: "true or false", int: "a whole number", float: "a number"}
    return f"{names.get(type(value), f'a {type(value).__name__}')} ({shown(value, 30)})"


def parse_json(text: str | bytes, *fields: str) -> Any:
    """Return the value of a JSON text; a key on the way to one of `fields` that is given twice is refused.

    Raises:
        ValueError: not JSON, with the reason in one line.
    """
    try:
        return _decoder(fields).decode(text if isinstance(text, str) else text.decode("utf-8"))
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise ValueError(f"{error.msg.removesuffix(' at')} at {at}column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@cache
def _decoder(fields: tuple[str, ...]) -> json.JSONDecoder:
    wanted = {head for field in fields for head in (field, *field.split("."))}

    def row(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            for name in wanted:
                if names.count(name) > 1:
                    raise ValueError(f"the key {name!r} is given twice")
        return found

    return json.JSONDecoder(object_pairs_hook=row)


def _in_json(value: str | bytes, field: str, where: str) -> Any:
    """Return what a column of JSON in text holds; an empty one is null."""
    if not value.strip():
        return None
    try:
        return parse_json(value, field)
    except ValueError as error:
        raise UserError(f"{where} holds text that is no JSON, so it has no fields: {error}") from error


@cache
def heads(path: str) -> tuple[str, ...]:
    """Return the beginnings of a dotted path, the longest first: `a.b` may be one column's name."""
    parts = path.split(".")
    return tuple(".".join(parts[:stop]) for stop in range(len(parts), 0, -1))


def _names(value: Any, path: str) -> list[str]:
    """Return the dotted names of the fields of a struct, those of structs inside it too, not too many."""
    if not isinstance(value, Mapping):
        return []
    names = []
    for name in sorted(map(str, value)):
        full = f"{path}.{name}" if path else name
        inner = value.get(name)
        inside = sorted(map(str, inner)) if isinstance(inner, Mapping) else []
        names += [f"{full}.{sub}" for sub in inside] or [full]
    more = len(names) - _MOST_NAMES
    return names if more <= 0 else [*names[:_MOST_NAMES], f"... ({more} more)"]


def _is_nan(value: Any) -> bool:
    """Tell whether a value is what pandas writes for a missing one."""
    return isinstance(value, float) and math.isnan(value)
