"""Few-shot items of your own: `<task>.jsonl` files, read strictly and refused in one line.

Read by the `items` job, and before that while the config is read, so that a mistake costs no training. Pure
functions of a file's bytes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core import strict_json
from chameleon.core.errors import UserError
from chameleon.evaluation.items import Item, make_item, one_line, split_items, usable

#: Of more items than this, some will be usable: cleaning them all to find out takes longer than planning may.
SMALL = 500


def read_own(data: bytes, where: str, longest: int) -> tuple[list[Item], dict[str, int]]:
    """Return items of your own, and how many were dropped for which reason, as `read_items` does.

    Each is an object of `question`, `choices` (a list of texts or numbers), `gold` (the index of the right
    one) and, if any, `passage`; other keys are not read. They stand one a line, or in one list.

    Raises:
        UserError: names the file, the item and the key that does not fit.
    """

    def items() -> Iterator[Item | str]:
        for row in _checked_rows(data, where):
            lines = [one_line(choice) for choice in row["choices"]]
            yield make_item(row, lines, lines[row["gold"]], len(lines))

    return usable(items(), longest)


def read_own_file(path: Path, longest: int) -> tuple[list[Item], dict[str, int]]:
    """Return what `read_own` finds in a file.

    Raises:
        UserError: it cannot be read, or what `read_own` raises.
    """
    return read_own(_data(path), str(path), longest)


def check_own_file(path: Path, longest: int, examples: int, seed: int) -> int:
    """Return how many examples `split_enough` will find in a file, at least; fast enough for planning.

    Args:
        path, longest: as in `read_own_file`.
        examples, seed: as in `split_enough`.

    Raises:
        UserError: whatever the job would raise; too few usable items are looked for in small files only.
    """
    data = _data(path)
    rows = _checked_rows(data, str(path))
    if len(rows) > SMALL:
        return examples
    items, dropped = read_own(data, str(path), longest)
    return len(split_enough(items, dropped, examples, seed, f"{path}: {path.stem}")[1])


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: cannot be read: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def split_enough(
    items: Sequence[Item], dropped: Mapping[str, int], examples: int, seed: int, where: str
) -> tuple[list[Item], list[Item]]:
    """Return (test, examples) as `split_items` does.

    Raises:
        UserError: one of them is empty.
    """
    test, chosen = split_items(items, examples, seed)
    if not test or not chosen:
        lost = f" (dropped: {', '.join(f'{n} {why}' for why, n in dropped.items())})" if dropped else ""
        groups = len({item.group for item in items})
        of = f" of {groups} passage{'s' if groups > 1 else ''}" if groups < len(items) else ""
        raise UserError(f"{where}: {len(items)} usable items{of} are too few for a test and examples{lost}")
    return test, chosen


def _checked_rows(data: bytes, where: str) -> list[dict[str, Any]]:
    rows = _own_rows(data, where)
    for number, row in enumerate(rows, 1):
        if problem := _malformed(row):
            raise UserError(f"{where}: item {number}: {problem}")
    return rows


def _own_rows(data: bytes, where: str) -> list[Any]:
    """Return the values of a file of JSON lines, or of one JSON list; a byte order mark is skipped."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8: byte {error.start}; save it as UTF-8") from error
    rows = []
    if text.lstrip().startswith("["):
        try:
            rows = list(strict_json.loads(text))
        except ValueError as error:
            raise UserError(f"{where}: not a JSON list: {error}") from error
    else:
        # Not splitlines(): JSON strings may hold other line ends than \n.
        for number, line in enumerate(text.split("\n"), 1):
            try:
                rows += [strict_json.loads(line)] if line.strip() else []
            except ValueError as error:
                raise UserError(f"{where}: not JSON lines: line {number}: {error}") from error
    if not rows:
        raise UserError(f"{where}: holds no items")
    return rows


def _malformed(row: Any) -> str | None:
    """Return what is wrong with an item of your own, if anything is."""
    if not isinstance(row, dict):
        return f"{_said(row)} is no object"
    question, passage = row.get("question"), row.get("passage")
    choices, gold = row.get("choices"), row.get("gold")
    if not isinstance(question, str):
        return f"`question`: {_said(question)} is no text"
    if passage is not None and not isinstance(passage, str):
        return f"`passage`: {_said(passage)} is no text"
    if not isinstance(choices, list):
        return f"needs a list `choices`, not {_said(choices)}"
    for place, choice in enumerate(choices):
        if isinstance(choice, bool) or not isinstance(choice, str | int | float):
            return f"`choices`: {_said(choice)}, number {place}, is no text"
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
        inside = f"0 to {len(choices) - 1}" if choices else "which is empty"
        return f"needs a list `choices` and the index `gold` in it, {inside}, not {_said(gold)}"
    return None


def _said(value: Any) -> str:
    """Return a value for a message, as JSON has it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
