"""The tidy files gathered again in memory: which rows there should be, and which files each comes from.

The collect job's own code reads the files; what it opens before a row is what the row comes from.
"""

import csv
import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chameleon.core.errors import UserError
from chameleon.integrity.reads import KINDS, kind
from chameleon.reporting.records import collect
from chameleon.reporting.records.reading import listening
from chameleon.reporting.records.tidy import COLUMNS, NUMBERS

#: What damaged files make the collect job stumble over, beside what it refuses.
STUMBLES = (UserError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError,
            csv.Error)  # fmt: skip
#: Cells that are measured; the others say what the number is of.
MEASURED = (*NUMBERS, "device")


class Row(NamedTuple):
    """A row as it should be: kind of number, cells as text, files that it comes from in order of reading."""

    scenario: str
    kind: str
    cells: tuple[str, ...]
    sources: tuple[Path, ...]


class Gap(NamedTuple):
    """Rows that cannot be gathered: why, the files read up to there, the culprit last, and which kinds."""

    tidy: str
    key: tuple[str, str | None, int | None]
    why: str
    sources: tuple[Path, ...]
    kinds: frozenset[str] = frozenset()

    def covers(self, tidy: str, cells: Mapping[str, str]) -> bool:
        """Return whether a row of a tidy file belongs here."""
        scenario, method, seed = self.key
        if tidy != self.tidy or cells["scenario"] != scenario:
            return False
        return method is None or (cells["method"], cells["seed"]) == (method, str(seed))


class Difference(NamedTuple):
    """A row of a tidy file that is other than it should be; `line` None: it is not there."""

    line: int | None
    text: str
    scenario: str
    kind: str
    sources: tuple[Path, ...]


def gather(spec: Mapping[str, Any], results: Path) -> tuple[dict[str, list[Row]], list[Gap]]:
    """Return the rows of all tidy files, and what could not be gathered.

    Args:
        spec: as `specs.collect` made it, from the record.
        results: the results folder.
    """
    found: dict[str, list[tuple[collect.Row, tuple[Path, ...]]]] = {name: [] for name in COLUMNS}
    gaps = []
    for part in collect.parts(spec, results):
        read: dict[Path, None] = {}
        got = []
        try:
            with listening(lambda path, read=read: read.setdefault(path)):  # type: ignore[misc]
                for row in part.rows:
                    got.append((row, tuple(read)))
        except STUMBLES as error:
            why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            gaps.append(Gap(part.tidy, part.key, why, tuple(read)))
        else:
            found[part.tidy] += got
    gaps = [gap._replace(kinds=_kinds(gap, results / f"{gap.tidy}.csv")) for gap in gaps]
    return {name: list(_rows(name, rows)) for name, rows in found.items()}, gaps


def _kinds(gap: Gap, path: Path) -> frozenset[str]:
    """Return the kinds of the rows that a tidy file has where a gap is; all that it may have, if in doubt."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line for line in csv.DictReader(file) if gap.covers(gap.tidy, line)]
        found = {kind(gap.tidy, list(line.values())) for line in lines}
    except STUMBLES:
        found = set()
    # Few-shot scores of all models of a scenario come from one file, everything else from files of a run.
    known = found or set(KINDS[gap.tidy])
    if gap.key[1] is None:
        return frozenset(known & {"fewshot", "tests"})
    return frozenset(known - {"fewshot"})


def _rows(name: str, rows: list[tuple[collect.Row, tuple[Path, ...]]]) -> Iterator[Row]:
    # As the collect job writes them.
    text = str(collect.frame(name, [row for row, _ in rows]).to_csv(index=False, lineterminator="\n"))
    for cells, (row, sources) in zip(table(text)[1:], rows, strict=True):
        yield Row(str(row[0]), kind(name, row), tuple(cells), sources)


def table(content: str) -> list[list[str]]:
    """Return the cells of a CSV text; nothing if it is none."""
    try:
        return list(csv.reader(io.StringIO(content)))
    except csv.Error:
        return []


def compare(
    name: str,
    content: str,
    rows: list[Row],
    gaps: list[Gap],
    same: Callable[[str, str], bool],
    untrusted: Collection[Path] = (),
) -> Iterator[Difference]:
    """Yield how a tidy file differs from the rows that it should have.

    Args:
        name: of the tidy file.
        content: its text.
        rows: as it should have them.
        gaps: what is not known.
        same: whether two cells are the same number or text.
        untrusted: files that are known to be changed: rows that come from them say nothing.
    """
    columns = COLUMNS[name]
    lines = table(content)
    if not lines or tuple(lines[0]) != columns:
        yield Difference(1, f"columns {','.join(lines[0]) if lines else '(none)'}", "", "", ())
        return
    names = [i for i, column in enumerate(columns) if column not in MEASURED]
    there: dict[tuple[str, ...], tuple[int, list[str]]] = {}
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) != len(columns):
            yield Difference(number, f"{len(cells)} cells instead of {len(columns)}", "", "", ())
        else:
            there[tuple(cells[i] for i in names)] = (number, cells)
    order: list[int] = []
    for row in rows:
        at = there.pop(tuple(row.cells[i] for i in names), None)
        order += [] if at is None else [at[0]]
        if not set(row.sources).isdisjoint(untrusted):
            continue
        if at is None:
            said = " ".join(row.cells[i] for i in names)
            yield Difference(None, f"no row {said}", row.scenario, row.kind, row.sources)
            continue
        for column, has, wants in zip(columns, at[1], row.cells, strict=True):
            if not same(has, wants):
                said = f"{column} {has}, but {row.sources[-1]} gives {wants}"
                yield Difference(at[0], said, row.scenario, row.kind, row.sources)
                break
    if order != sorted(order):
        yield Difference(None, "rows stand in another order", "", "", ())
    for number, cells in there.values():
        named = dict(zip(columns, cells, strict=True))
        if not any(gap.covers(name, named) for gap in gaps):
            yield Difference(number, "no file gives such a row", cells[0], kind(name, cells), ())


def close(one: str, other: str) -> bool:
    """Return whether two cells agree but for the last digits, which depend on the processor."""
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-12)
    except ValueError:
        return False
