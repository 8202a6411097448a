"""The World Factbook as JSON, one file per country or territory: sections of `Field: text` lines."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chameleon.data.corpora.readers import Members, decode

# `++` separates the values of several years; some texts end in a bare label of a chart.
_SEPARATOR = re.compile(r"\s*\+\+\s*")


def _flat(text: str) -> str:
    return " ".join(_SEPARATOR.sub("; ", text).split())


def _lines(name: str, value: Any) -> Iterator[str]:
    """Yield the `Name: text` lines of a field and of the fields inside it; a field without text, its name."""
    if not isinstance(value, Mapping):
        if isinstance(value, str) and (text := _flat(value)):
            yield f"{name}: {text}"
        return
    own = value.get("text")
    text = _flat(own) if isinstance(own, str) else ""
    inner = [line for key, part in value.items() if key != "text" for line in _lines(key, part)]
    if text:
        yield f"{name}: {text}"
    elif inner:
        yield f"{name}:"
    yield from inner


def read(members: Members) -> Iterator[str]:
    """Yield one document per file: each section's name and fields, sections parted by an empty line."""
    for _, data in members:
        sections = []
        for name, fields in json.loads(decode(data)).items():
            lines = [line for key, value in fields.items() for line in _lines(key, value)]
            if lines:
                sections.append("\n".join([name, *lines]))
        yield "\n\n".join(sections)
