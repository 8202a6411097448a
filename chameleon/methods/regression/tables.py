"""Join a swarm from two CSV files: what each run was trained on, and what loss it ended with.

Used by `python -m chameleon regress`. Understands RegMix's published files (`index`, `train_the_pile_arxiv`,
`metric/the_pile_arxiv_val_loss`) and Olmix's ratios and metrics (`run`, `name`, `index`, plain names) as they
are: rows are joined on a key that both files have, columns are known by their domain. `sheets` reads the
files, `columns` tells weights from settings. What is left out is said, by name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.regression.columns import PREFIXES, SUFFIXES, weights_of
from chameleon.methods.regression.sheets import KEYS, Table, read_table

#: A loss beyond this is none: squares of such numbers leave what float64 holds.
LARGEST = 1e15
#: Names listed in a message; of more, the rest is counted.
LISTED = 10


@dataclass(frozen=True)
class Swarm:
    """Runs with a mixture and a loss each.

    Attributes:
        domains: k names, in the order of the mixtures' file.
        mixtures: n x k, as the file has them (rounded rows may miss the sum of one a little).
        losses: n losses of the target.
        target: full name of the target's column.
        runs: n names.
        left_out: runs of either file that the other has not, or without a number for the target.
        notes: what was left out or read in another way, in words.
        hint: why the runs of the two files may be joined wrongly, if there is a sign of it.
    """

    domains: tuple[str, ...]
    mixtures: np.ndarray
    losses: np.ndarray
    target: str
    runs: tuple[str, ...]
    left_out: int
    notes: tuple[str, ...] = ()
    hint: str = ""

    def without(self, rows: Iterable[int], note: str) -> "Swarm":
        """Return the swarm without some rows, and with a note that says so."""
        kept = np.setdiff1d(np.arange(len(self.losses)), np.array(list(rows), dtype=int))
        return replace(
            self,
            mixtures=self.mixtures[kept],
            losses=self.losses[kept],
            runs=tuple(self.runs[i] for i in kept),
            left_out=self.left_out + len(self.losses) - len(kept),
            notes=(*self.notes, note),
        )


def read_swarm(mixtures: Path, losses: Path, target: str, domains: Sequence[str] | None = None) -> Swarm:
    """Read and join the two files of a swarm.

    Args:
        mixtures: CSV of weights.
        losses: CSV of losses.
        target: full name of a column of `losses`, or a domain that only one of them is of.
        domains: the domains that there must be (those of another swarm), in the order wanted.

    Raises:
        UserError: what `read_table` raises; nothing to join on; no run in both; an unknown or ambiguous
            target, or text in its column; rows that are no mixtures; other domains than `domains`.
    """
    left, right = read_table(mixtures), read_table(losses)
    column = find_target(right, target)
    right.refuse_text(column)
    ours, theirs = _rows(left, right)
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise UserError(f"{mixtures} and {losses}: no run is in both files")
    found, x, notes = weights_of(left, [ours[key] for key in shared], shared)
    if domains is not None:
        x = _in_order(found, x, mixtures, domains)
    y = right.columns[column][[theirs[key] for key in shared]] if column in right.columns else None
    usable = np.zeros(len(shared), dtype=bool) if y is None else np.isfinite(y) & (np.abs(y) <= LARGEST)
    if y is None or not usable.any():
        raise UserError(f"{losses}: no run of {mixtures} has a number in column {column!r}")
    for path, here, there in ((mixtures, ours, theirs), (losses, theirs, ours)):
        if only := [key for key in here if key not in there]:
            notes.append(f"left out: {listed(only)}: only in {Path(path).name}")
    missing = [key for key, loss in zip(shared, y, strict=True) if np.isnan(loss)]
    if missing:
        notes.append(f"left out: {listed(missing)}: no number in column {column!r}, it is missing")
    endless = [key for key, ok in zip(shared, usable, strict=True) if not ok and key not in set(missing)]
    if endless:
        values = dict(zip(shared, y.tolist(), strict=True))
        said = ", ".join(f"{values[key]:g}" for key in endless[:LISTED])
        notes.append(f"left out: {listed(endless)}: a loss of {said}: it seems to have diverged")
    return Swarm(
        tuple(domains or found),
        x[usable],
        y[usable],
        column,
        tuple(key for key, ok in zip(shared, usable, strict=True) if ok),
        len(set(ours) ^ set(theirs)) + int((~usable).sum()),
        tuple(notes),
        _shifted(ours, theirs, left.path, right.path),
    )


def find_target(table: Table, target: str) -> str:
    """Return the full name of the column that `target` names, in full or by its domain.

    Raises:
        UserError: no such column, or a domain that several columns are of.
    """
    columns = [*table.columns, *table.texts, *table.blanks]
    if target in columns:
        return target
    found = [column for column in columns if _bare(column) == target]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"--target: {target!r} is ambiguous in {table.path}; give one of {', '.join(found)}")
    valid = ", ".join(dict.fromkeys(map(_bare, table.columns)))
    raise UserError(f"--target: {target!r} is no column of {table.path}; valid: {valid}")


def _bare(column: str) -> str:
    name = column
    for prefix in PREFIXES:
        name = name.removeprefix(prefix) or name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix) or name
    return name


def _in_order(found: list[str], mixtures: np.ndarray, path: Path, domains: Sequence[str]) -> np.ndarray:
    """Return the mixtures, whose columns are the domains found, with those that are asked for."""
    if set(domains) != set(found):
        odd = sorted(set(domains) ^ set(found))[0]
        raise UserError(
            f"{path}: domain {odd!r} is {'unknown' if odd in found else 'missing'}; "
            f"the swarm has {', '.join(domains)}"
        )
    return mixtures[:, [found.index(domain) for domain in domains]]


def _rows(left: Table, right: Table) -> tuple[dict[str, int], dict[str, int]]:
    """Return key -> row of both tables, for the first key that both have."""
    common = [key for key in KEYS if key in left.keys and key in right.keys]
    if not common:
        raise UserError(
            f"no common column to join on: runs are named by {', '.join(left.keys)} in {left.path}, "
            f"by {', '.join(right.keys)} in {right.path}"
        )
    found = []
    for table in (left, right):
        values = table.keys[common[0]]
        if "" in values:
            line = table.lines[values.index("")]
            raise UserError(f"{table.path}: line {line}: names no run: column {common[0]!r} is empty")
        rows = {value: row for row, value in enumerate(values)}
        if len(rows) < len(values):
            again = next(value for value in values if values.count(value) > 1)
            raise UserError(f"{table.path}: {common[0]} {again!r} names two rows")
        found.append(rows)
    return found[0], found[1]


def _shifted(ours: Iterable[str], theirs: Iterable[str], left: Path, right: Path) -> str:
    """Return a hint if both files number their runs, as many, from another number on."""
    one, other = list(ours), list(theirs)
    if not all(key.isdecimal() for key in (*one, *other)) or len(one) != len(other):
        return ""
    first, second = min(map(int, one)), min(map(int, other))
    if first == second or {int(key) - first for key in one} != {int(key) - second for key in other}:
        return ""
    return f"{left.name} numbers its runs from {first}, {right.name} from {second}: are they the same runs?"


def listed(names: Sequence[str]) -> str:
    """Return runs for a message: LISTED of them by name, and the number of the rest."""
    rest = len(names) - LISTED
    more = f" and {rest} more" if rest > 0 else ""
    return f"run{'s' if len(names) > 1 else ''} {', '.join(names[:LISTED])}{more}"
