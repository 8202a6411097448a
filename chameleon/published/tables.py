"""Load the published tables and mixtures. Reads the JSON files beside this module and nothing else.

Imports nothing heavy: the `fixed` method uses this while the workflow builds its DAG.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from chameleon.core.errors import UserError, choices

#: How a number was seen. None of it was recomputed here.
CONFIDENCE = {
    "repository": "read in a file of the official repository",
    "second-hand": "read in a text that quotes the paper, not in the paper itself",
    "picture": "read from a figure",
}
TABLE_FILES = ("chameleon", "doremi", "doge", "regmix", "aioli", "others")


@dataclass(frozen=True)
class PublishedTable:
    """A table as printed: `rows` hold one cell per column (numbers in `unit`; None where a cell is empty)."""

    id: str
    caption: str
    unit: str
    printed_in: str
    confidence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: str = ""

    def column(self, name: str) -> dict[Any, Any]:
        """Return {first cell of the row: cell in column `name`}, in the order of the rows."""
        at = self.columns.index(name)
        return {row[0]: row[at] for row in self.rows}


@dataclass(frozen=True)
class Mixture:
    """Published domain weights (dimensionless; printed digits, so their sum is one up to rounding)."""

    id: str
    title: str
    printed_in: str
    confidence: str
    weights: dict[str, float]
    notes: str = ""


@cache
def tables() -> dict[str, PublishedTable]:
    """Return every published table by id."""
    found = [t for name in TABLE_FILES for t in _read(name)["tables"]]
    return {
        t["id"]: PublishedTable(
            **{**t, "columns": tuple(t["columns"]), "rows": tuple(tuple(row) for row in t["rows"])}
        )
        for t in found
    }


@cache
def mixtures() -> dict[str, Mixture]:
    """Return every published mixture by id."""
    return {m["id"]: Mixture(**m) for m in _read("mixtures")["mixtures"]}


def table(name: str) -> PublishedTable:
    """Return one published table.

    Raises:
        UserError: no such table; the message lists those there are.
    """
    if name not in tables():
        raise UserError(f"published table {choices(name, tables())}")
    return tables()[name]


def mixture(name: str) -> Mixture:
    """Return one published mixture.

    Raises:
        UserError: no such mixture; the message lists those there are.
    """
    if not isinstance(name, str) or name not in mixtures():
        raise UserError(f"published mixture {choices(name, mixtures())}")
    return mixtures()[name]


def _read(name: str) -> dict[str, Any]:
    return json.loads((files("chameleon") / "published" / f"{name}.json").read_text(encoding="utf-8"))
