"""Few-shot items of your own: `read_own` on whole, spoilt and odd files.

Malformed: not UTF-8, no JSON lines and no JSON list, no items at all; an item that is no object, without a
    text as question, without a list of at least one text or number as choices, whose gold is no index into
    them, or whose passage is neither text nor null. Anything else is read: what cannot be used (an empty
    question, equal or too long answers, a second copy) is dropped and counted.
"""

import json
from typing import Any

import spoil
import tally
from hypothesis import given
from hypothesis import strategies as st

from chameleon.evaluation.own_items import read_own

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PARSER = "few-shot items"


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """Return a well-formed item, not always a usable one."""
    choices = draw(st.lists(WORDS | st.integers(-99, 99) | st.floats(-9, 9), min_size=1, max_size=5))
    item: dict[str, Any] = {"question": draw(WORDS), "choices": choices}
    item["gold"] = draw(st.integers(0, len(choices) - 1))
    if draw(st.booleans()):
        item["passage"] = draw(st.none() | WORDS)
    if draw(st.booleans()):
        item["id"] = draw(st.integers(0, 1) | spoil.ODD)
    return item


FILES = st.lists(items(), min_size=1, max_size=4)


def form(draw: st.DrawFn, rows: list[Any]) -> bytes:
    """Return a file of the rows: one a line or in one list, with or without a byte order mark."""
    ascii_only, mark = draw(st.booleans()), draw(st.sampled_from(["", "\ufeff"]))
    if draw(st.booleans()):
        text = json.dumps(rows, ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 1])))
    else:
        end = draw(st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]))
        text = end.join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    return (mark + text).encode()


@given(st.data())
def test_well_formed_files_are_read(data: st.DataObject) -> None:
    rows = data.draw(FILES)
    content = form(data.draw, rows)
    kept, dropped = tally.accepts(PARSER, lambda: read_own(content, "quiz.jsonl", 60))
    assert len(kept) + sum(dropped.values()) == len(rows)
    assert all(0 <= item.gold < len(item.choices) for item in kept)
    assert not any("\n" in choice for item in kept for choice in item.choices)


@given(st.data())
def test_malformed_items_are_refused(data: st.DataObject) -> None:
    rows: list[Any] = data.draw(FILES)
    place = data.draw(st.integers(0, len(rows) - 1))
    item, odd = dict(rows[place]), data.draw(spoil.ODD)
    kind = data.draw(st.sampled_from(["row", "question", "choices", "choice", "gold", "passage", "missing"]))
    if kind == "row":
        rows[place] = odd if odd != {} else [odd]
    elif kind == "missing":
        del item[data.draw(st.sampled_from(["question", "choices", "gold"]))]
    elif kind == "question":
        item["question"] = data.draw(st.sampled_from([None, 3, 0.5, True, [], ["x"], {"x": 1}]))
    elif kind == "choices":
        item["choices"] = odd if odd != [0.5] else []
    elif kind == "choice":
        item["choices"] = [*item["choices"], data.draw(st.sampled_from([None, True, False, [], {}, ["x"]]))]
    elif kind == "gold":
        size = len(item["choices"])
        item["gold"] = data.draw(spoil.ODD | st.integers(size, 99) | st.integers(-99, -1) | st.just(0.0))
    else:
        item["passage"] = data.draw(st.sampled_from([3, False, [], ["x"], {"x": 1}]))
    if kind != "row":
        rows[place] = item
    content = form(data.draw, rows)
    tally.refuses(PARSER, ["quiz.jsonl: "], lambda: read_own(content, "quiz.jsonl", 60))


@given(st.data())
def test_spoilt_files_are_refused(data: st.DataObject) -> None:
    """The last object is spoilt as a text; in a list or on the last line."""
    rows = data.draw(FILES)
    last = data.draw(spoil.text(rows[-1]))
    if data.draw(st.booleans()):
        content = b"[" + b"".join(json.dumps(row).encode() + b"," for row in rows[:-1]) + last + b"]"
    else:
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows[:-1]) + last
        # A line that was cut to nothing leaves a whole file.
        content = content if last.strip() else b"\xff"
    tally.refuses(PARSER, ["quiz.jsonl: "], lambda: read_own(content, "quiz.jsonl", 60))


@given(st.data())
def test_random_edits_end_in_one_line_or_in_items(data: st.DataObject) -> None:
    content = data.draw(spoil.edits(form(data.draw, data.draw(FILES))))
    tally.survives(PARSER, ["quiz.jsonl: "], lambda: read_own(content, "quiz.jsonl", 60))
