"""Reads JSON and tells who listens which file it was: how a number is known to come from a file.

The collect job hears of every file before it is read (its inputs); `chameleon.integrity` notes which rows
came after which files.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from chameleon.core import artifacts

_listener: ContextVar[Callable[[Path], None] | None] = ContextVar("listener", default=None)


@contextmanager
def listening(hear: Callable[[Path], None]) -> Iterator[None]:
    """Call `hear` with the path of every file that `read_json` is about to read."""
    token = _listener.set(hear)
    try:
        yield
    finally:
        _listener.reset(token)


def read_json(path: Path, schema: str | None = None) -> Any:
    """Read a JSON file as `chameleon.core.artifacts.read_json` does, after saying so."""
    if (hear := _listener.get()) is not None:
        hear(path)
    return artifacts.read_json(path, schema)
