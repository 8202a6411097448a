"""What the property tests demand of a parser, and the count of what they tried.

A malformed input must end in UserError: one line that names the file or the key. A valid one must be
accepted. One that was changed at random, of which nobody knows what it is, must end in either. Anything else
(another exception, silence, a message of several lines) fails the test, with the input shrunk.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chameleon.core.errors import UserError

#: Whether as many inputs are tried as it takes, and examples a test in `make test` and then.
FULL = os.environ.get("CHAMELEON_FUZZ") == "full"
EXAMPLES = 400 if FULL else 50


@dataclass
class Count:
    """Inputs tried on a parser."""

    malformed: int = 0
    refused: int = 0
    valid: int = 0
    accepted: int = 0
    random: int = 0


COUNTS: dict[str, Count] = {}


def refuses(parser: str, names: Sequence[str], call: Callable[[], Any]) -> None:
    """Assert that a malformed input is refused in one line that holds one of `names`."""
    count = COUNTS.setdefault(parser, Count())
    count.malformed += 1
    try:
        found = call()
    except UserError as error:
        message = str(error)
    else:
        raise AssertionError(f"{parser}: accepted what is malformed: {found!r}")
    _check(parser, names, message)
    count.refused += 1


def accepts(parser: str, call: Callable[[], Any]) -> Any:
    """Assert that a valid input is accepted; return what it is read as."""
    count = COUNTS.setdefault(parser, Count())
    count.valid += 1
    try:
        found = call()
    except UserError as error:
        raise AssertionError(f"{parser}: refused what is valid: {error}") from error
    count.accepted += 1
    return found


def survives(parser: str, names: Sequence[str], call: Callable[[], Any]) -> None:
    """Assert that an input is accepted, or refused as a malformed one must be."""
    COUNTS.setdefault(parser, Count()).random += 1
    try:
        call()
    except UserError as error:
        _check(parser, names, str(error))


def _check(parser: str, names: Sequence[str], message: str) -> None:
    assert len(message.splitlines()) == 1, f"{parser}: not one line: {message!r}"
    assert any(name in message for name in names), f"{parser}: names none of {list(names)}: {message}"


def table() -> list[str]:
    """Return the lines of the table of counts; none if nothing was tried."""
    if not COUNTS:
        return []
    rows = [
        (name, [c.malformed, c.refused, c.valid, c.accepted, c.random]) for name, c in sorted(COUNTS.items())
    ]
    rows.append(("in all", [sum(numbers) for numbers in zip(*(row for _, row in rows), strict=True)]))
    head = f"{'parser':<24}{'malformed':>11}{'refused':>9}{'valid':>8}{'accepted':>10}{'random':>8}"
    return [head, *(f"{name:<24}{a:>11}{b:>9}{c:>8}{d:>10}{e:>8}" for name, (a, b, c, d, e) in rows)]
