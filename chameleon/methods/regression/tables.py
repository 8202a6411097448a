"""Read a swarm from two CSV files: what each run was trained on, and what loss it ended with.

Used by `python -m chameleon regress`. Understands RegMix's published files (`index`, `train_the_pile_arxiv`,
`metric/the_pile_arxiv_val_loss`) and Olmix's ratios and metrics (`run`, `name`, `index`, plain names) as they
are: rows are joined on a key that both files have, columns are known by their domain.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chameleon.core.errors import UserError

#: Columns that name a run, in order of preference; `run_id` is Olmix's other name for `run`. A run's own name
#: says more than a row number, so it comes first where a file has both.
KEYS = ("run", "index", "name")
SAME = {"run_id": "run"}
#: What RegMix wraps around a domain's name, taken off from the outside in.
PREFIXES = ("metric/", "train_", "the_pile_")
SUFFIXES = ("_val_loss",)
#: Published weights are rounded to three decimals; rows whose sum is further from one are no mixtures.
ROUNDING = 0.02


@dataclass(frozen=True)
class Table:
    """A CSV file's numbers.

    Attributes:
        path: of the file.
        keys: values of its key columns, by key.
        columns: its numeric columns in their order; a missing number is NaN.
    """

    path: Path
    keys: dict[str, list[str]]
    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class Swarm:
    """Runs with a mixture and a loss each.

    Attributes:
        domains: k names, in the order of the mixtures' file.
        mixtures: n x k, as the file has them (rounded rows may miss the sum of one a little).
        losses: n losses of the target.
        target: full name of the target's column.
        left_out: runs of either file that the other has not, or without a number for the target.
    """

    domains: tuple[str, ...]
    mixtures: np.ndarray
    losses: np.ndarray
    target: str
    left_out: int


def read_table(path: Path) -> Table:
    """Read a CSV file with a header.

    Raises:
        UserError: no such file, no rows, no key column, a key twice, or no numeric column.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            rows = [row for row in csv.reader(handle) if row]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV: {error}") from error
    if len(rows) < 2:
        raise UserError(f"{path}: holds no rows below a header")
    header, body = [name.strip() for name in rows[0]], rows[1:]
    for number, row in enumerate(body, 2):
        if len(row) != len(header):
            raise UserError(f"{path}: row {number} has {len(row)} fields, the header has {len(header)}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: column {twice[0]!r} stands there twice")
    keys: dict[str, list[str]] = {}
    columns: dict[str, np.ndarray] = {}
    for position, name in enumerate(header):
        values = [row[position].strip() for row in body]
        key = SAME.get(name, name)
        if key in KEYS:
            keys.setdefault(key, [_plain(value) for value in values])
        elif name and not name.startswith("Unnamed:"):  # pandas' row numbers
            numbers = _numbers(values)
            if numbers is not None:
                columns[name] = numbers
    if not keys:
        raise UserError(f"{path}: no column names the runs; one of {', '.join([*KEYS, *SAME])} must")
    if not columns:
        raise UserError(f"{path}: no column holds numbers")
    return Table(Path(path), keys, columns)


def read_swarm(mixtures: Path, losses: Path, target: str, domains: Sequence[str] | None = None) -> Swarm:
    """Read and join the two files of a swarm.

    Args:
        mixtures: CSV of weights.
        losses: CSV of losses.
        target: full name of a column of `losses`, or a domain that only one of them is of.
        domains: the domains that there must be (those of another swarm), in the order wanted.

    Raises:
        UserError: what `read_table` raises; nothing to join on; no run in both; an unknown or ambiguous
            target; rows that are no mixtures; other domains than `domains`.
    """
    left, right = read_table(mixtures), read_table(losses)
    column = find_target(right, target)
    names = domain_names(list(left.columns))
    by_name = dict(zip(names, left.columns.values(), strict=True))
    if domains is not None and set(domains) != set(names):
        odd = sorted(set(domains) ^ set(names))[0]
        raise UserError(
            f"{mixtures}: domain {odd!r} is {'unknown' if odd in names else 'missing'}; "
            f"the swarm has {', '.join(domains)}"
        )
    wanted = tuple(domains or names)
    ours, theirs = _rows(left, right)
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise UserError(f"{mixtures} and {losses}: no run is in both files")
    y = right.columns[column][[theirs[key] for key in shared]]
    usable = np.isfinite(y)
    if not usable.any():
        raise UserError(f"{losses}: no run of {mixtures} has a number in column {column!r}")
    x = np.stack([by_name[name] for name in wanted], axis=1)[[ours[key] for key in shared]]
    for key, row in zip(shared, x, strict=True):
        if not (np.isfinite(row).all() and (row >= 0).all() and abs(row.sum() - 1) <= ROUNDING):
            raise UserError(f"{mixtures}: run {key}: the weights are no mixture: they sum to {row.sum():.4g}")
    left_out = len(set(ours) ^ set(theirs)) + int((~usable).sum())
    return Swarm(wanted, x[usable], y[usable], column, left_out)


def find_target(table: Table, target: str) -> str:
    """Return the full name of the column that `target` names, in full or by its domain.

    Raises:
        UserError: no such column, or a domain that several columns are of.
    """
    if target in table.columns:
        return target
    found = [column for column in table.columns if _bare(column) == target]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"--target: {target!r} is ambiguous in {table.path}; give one of {', '.join(found)}")
    valid = ", ".join(dict.fromkeys(map(_bare, table.columns)))
    raise UserError(f"--target: {target!r} is no column of {table.path}; valid: {valid}")


def domain_names(columns: list[str]) -> list[str]:
    """Return the domains that mixture columns are of.

    A prefix or suffix goes only if every column has it: `train_logs` beside `web` is a domain's own name.
    """
    names = list(columns)
    for affix in PREFIXES:
        if len(names) > 1 and all(name.startswith(affix) and name != affix for name in names):
            names = [name.removeprefix(affix) for name in names]
    for affix in SUFFIXES:
        if len(names) > 1 and all(name.endswith(affix) and name != affix for name in names):
            names = [name.removesuffix(affix) for name in names]
    return names


def _bare(column: str) -> str:
    name = column
    for prefix in PREFIXES:
        name = name.removeprefix(prefix) or name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix) or name
    return name


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
        rows = {value: row for row, value in enumerate(values)}
        if len(rows) < len(values):
            again = next(value for value in values if values.count(value) > 1)
            raise UserError(f"{table.path}: {common[0]} {again!r} names two rows")
        found.append(rows)
    return found[0], found[1]


def _plain(value: str) -> str:
    """Return a key as text: row numbers that went through floats (`3.0`) are whole again."""
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if math.isfinite(number) and number == int(number) else value


def _numbers(values: list[str]) -> np.ndarray | None:
    """Return a column's numbers, missing ones as NaN; None if it holds text, or nothing."""
    try:
        numbers = np.array([float(value) if value else math.nan for value in values])
    except ValueError:
        return None
    return None if np.isnan(numbers).all() else numbers
