"""Read one CSV file of numbers as people have them: other separators, decimal commas, per cent, missing
values.

Used by `chameleon.methods.regression.tables`. Spreadsheets and experiment trackers write `0,25` between
semicolons, `12.50%`, `-` for what is missing, UTF-16 and byte order marks; all of that is read. What cannot
be a number is not guessed at: it is kept with its line, so that whoever needs the column can name it.
"""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chameleon.core.errors import UserError, shown

#: Separators of columns, the likeliest first.
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
#: Columns that name a run, in order of preference, and other names for them. Letter case plays no part. A
#: run's own name says more than a row number, so it comes first where a file has both.
KEYS = ("run", "index", "name")
SAME = {"run_id": "run", "run_name": "name", "idx": "index"}
#: How a missing number is written.
MISSING = {"", "-", "--", "–", "—", ".", "?", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing"}
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
#: Text that can only be meant as a number.
_NEARLY = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*%?")


class Text(NamedTuple):
    """What stands in a column that is no column of numbers.

    Attributes:
        line: of the file, of the first cell that is no number.
        value: of that cell.
        meant: whether numbers were meant: most cells hold some, or that cell nearly does.
    """

    line: int
    value: str
    meant: bool


@dataclass(frozen=True)
class Table:
    """A CSV file's numbers.

    Attributes:
        path: of the file.
        keys: values of its key columns, by key.
        columns: its numeric columns in their order; a missing number is NaN.
        texts: columns that hold something else.
        blanks: columns without any value.
        lines: line of the file that each row ends on.
    """

    path: Path
    keys: dict[str, list[str]]
    columns: dict[str, np.ndarray]
    texts: dict[str, Text]
    blanks: tuple[str, ...]
    lines: list[int]

    def refuse_text(self, column: str) -> None:
        """Raise UserError if a column holds text where a number must be."""
        if column in self.texts:
            line, value, _ = self.texts[column]
            where = f"{self.path}: line {line}: column {column!r}"
            raise UserError(f"{where}: {shown(value)} is no number{_hint(value)}")


def read_table(path: Path) -> Table:
    """Read a CSV file with a header.

    Raises:
        UserError: no such file, not a text of UTF-8 or UTF-16, no rows, rows of other lengths than the
            header, a column twice, no key column, or no numeric column.
    """
    rows, lines, separator = _split(_text(path), path)
    header, body = [name.strip() for name in rows[0]], rows[1:]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: column {twice[0]!r} stands there twice")
    keys: dict[str, list[str]] = {}
    columns: dict[str, np.ndarray] = {}
    texts: dict[str, Text] = {}
    blanks = []
    for position, name in enumerate(header):
        values = [row[position].strip() for row in body]
        if key := key_of(name):
            keys.setdefault(key, [_plain(value) for value in values])
        elif name and not name.startswith("Unnamed:"):  # pandas' row numbers
            numbers = [number_of(value, separator != ",") for value in values]
            odd = next((i for i, number in enumerate(numbers) if number is None), None)
            if odd is not None:
                given = [number for number in numbers if number is None or not math.isnan(number)]
                meant = 2 * given.count(None) < len(given) or _NEARLY.fullmatch(values[odd]) is not None
                texts[name] = Text(lines[odd + 1], values[odd], meant)
            elif all(math.isnan(number) for number in numbers if number is not None):
                blanks.append(name)
            else:
                columns[name] = np.array(numbers, dtype=float)
    if not keys:
        raise UserError(
            f"{path}: no column names the runs; one of {', '.join([*KEYS, *SAME])} must; "
            f"its columns are {', '.join(map(repr, header[:12]))}{', ...' if len(header) > 12 else ''}"
        )
    table = Table(Path(path), keys, columns, texts, tuple(blanks), lines[1:])
    if not columns:
        for name, text in texts.items():
            if text.meant:
                table.refuse_text(name)
        raise UserError(f"{path}: no column holds numbers")
    return table


def key_of(column: str) -> str | None:
    """Return which of `KEYS` a column is, if any: `Name`, `RUN` and `run id` are keys too."""
    plain = re.sub(r"[\s_-]+", "_", column.strip().casefold())
    plain = SAME.get(plain, plain)
    return plain if plain in KEYS else None


def number_of(text: str, decimal_comma: bool) -> float | None:
    """Return a cell's number, NaN if it is missing, None if it is neither; `12.5%` is 0.125."""
    if text.casefold() in MISSING:
        return math.nan
    share = text.endswith("%")
    plain = text[:-1].strip() if share else text
    if decimal_comma and _WITH_COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    if _NUMBER.fullmatch(plain) or _INFINITE.fullmatch(plain):
        return float(plain) / 100 if share else float(plain)
    return None


def _text(path: Path) -> str:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as CSV: not UTF-8; save it as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path}: cannot be read as CSV: it holds null bytes")
    return text


def _split(text: str, path: Path) -> tuple[list[list[str]], list[int], str]:
    """Return the rows that are not empty, their lines, and the separator that makes them of one length."""
    found, problem = None, ""
    for separator in SEPARATORS:
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            numbered = [(row, reader.line_num) for row in reader if any(cell.strip() for cell in row)]
        except csv.Error as error:
            problem = problem or f"{path}: cannot be read as CSV: {error}"
            continue
        rows, lines = [row for row, _ in numbered], [line for _, line in numbered]
        if len(rows) > 1 and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            return rows, lines, separator
        if found is None or (rows and len(rows[0]) > len(found[0][0])):
            found = rows, lines, separator
    if found is None:
        raise UserError(problem)
    rows, lines, separator = found
    if len(rows) < 2:
        raise UserError(f"{path}: holds no rows below a header")
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(rows[0]):
            raise UserError(
                f"{path}: row {line} has {len(row)} fields, the header has {len(rows[0])} "
                f"(separated by a {SEPARATORS[separator]})"
            )
    raise UserError(
        problem
        or f"{path}: has one column; expected several, separated by a {', '.join(SEPARATORS.values())}"
    )


def _plain(value: str) -> str:
    """Return a key as text: row numbers that went through floats (`3.0`) are whole again."""
    if re.fullmatch(r"\d+\.0*", value, re.ASCII):
        value = value.partition(".")[0]
    return str(int(value)) if re.fullmatch(r"\d{1,18}", value, re.ASCII) else value


def _hint(value: str) -> str:
    if "," in value and _NEARLY.fullmatch(value):
        return "; write a decimal point and no separators of thousands, or separate the columns by semicolons"
    return ""
