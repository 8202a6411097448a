"""AWS service models (botocore's `service-2.json`): one page per operation, and per other data type."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chameleon.data.corpora.readers import Members, decode
from chameleon.data.corpora.sources.mail import html_to_text

_SERVICE = re.compile(r"/data/([^/]+)/[^/]+/service-2")
# Inline markup (links, code) leaves a space before the punctuation that follows it.
_GAP = re.compile(r" (?=[.,;:)](?:\s|$))", re.M)
Model = Mapping[str, Any]


def _text(record: Model) -> str:
    """Return the documentation of a record, one line per block; empty if it has none."""
    markup = record.get("documentation") or ""
    if "<" not in markup and "&" not in markup:
        return " ".join(markup.split())
    return _GAP.sub("", "\n".join(line for line in html_to_text(markup).split("\n") if line))


def _fields(shape: Model) -> list[str]:
    texts = ((name, _text(field)) for name, field in shape.get("members", {}).items())
    return [f"{name}: {text}" for name, text in texts if text]


def _page(title: str, *parts: str) -> Iterator[str]:
    """Yield title and parts as one document, unless there is nothing but the title."""
    if any(parts):
        yield "\n\n".join([title, *filter(None, parts)])


def _pages(model: Model) -> Iterator[str]:
    shapes = model["shapes"]
    yield from _page(model["metadata"]["serviceFullName"], _text(model))
    used = set()
    for name, operation in model["operations"].items():
        parts = [_text(operation)]
        for heading, key in (("Request", "input"), ("Response", "output")):
            shape = operation.get(key, {}).get("shape")
            if shape and (fields := _fields(shapes[shape])):
                parts += [heading, *fields]
            used.add(shape)
        yield from _page(name, *parts)
    for name, shape in shapes.items():
        if name not in used:
            yield from _page(name, _text(shape), *_fields(shape))


def read(members: Members) -> Iterator[str]:
    """Yield the pages of each service's newest model: the service, its operations, its other data types.

    Members come in name order, so the last version of a service (its date names a folder) is the newest.
    """
    newest: dict[str, bytes] = {}
    for name, data in members:
        if match := _SERVICE.search(name):
            newest[match[1]] = data
    for data in newest.values():
        yield from _pages(json.loads(decode(data)))
