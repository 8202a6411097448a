"""Few-shot items of your own: the forms that are read, and hostile ones, refused by item and key."""

import json

import pytest

from chameleon.core.errors import UserError
from chameleon.evaluation.own_items import check_own_file, read_own

ROWS = [{"question": f"Question {n}?", "choices": ["one", f"more {n}"], "gold": n % 2} for n in range(20)]


def as_lines(rows=ROWS, end="\n"):
    return "".join(json.dumps(row) + end for row in rows).encode()


EXPECTED = read_own(as_lines(), "here", 60)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + as_lines(),
        as_lines(end="\r\n"),
        as_lines(end="\n\n"),
        as_lines()[:-1],
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, indent=2).encode(),
        b"\xef\xbb\xbf\n " + json.dumps(ROWS, indent=2).replace("\n", "\r\n").encode(),
        as_lines([{**row, "id": 0, "passage": None, "subject": ["x"]} for row in ROWS]),
    ],
)
def test_the_same_items_in_other_forms(data):
    assert len(EXPECTED[0]) == 20 and not EXPECTED[1]
    assert read_own(data, "here", 60) == EXPECTED


def test_answers_may_be_numbers_and_an_equal_item_is_dropped():
    rows = [{"question": "2 + 2?", "choices": [3, 4, 4.5], "gold": 1}] * 2
    (item,), dropped = read_own(as_lines(rows), "here", 60)
    assert item.choices == ("3", "4", "4.5") and item.gold == 1 and dropped == {"duplicate": 1}


GOOD = ROWS[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("end of file", '"end of file" is no object'),
        (3, "3 is no object"),
        (None, "null is no object"),
        ([GOOD], "is no object"),
        ({**GOOD, "choices": ["a", None]}, "`choices`: null, number 1, is no text"),
        ({**GOOD, "choices": ["a", True]}, "`choices`: true, number 1, is no text"),
        ({**GOOD, "choices": [["a"], "b"]}, '`choices`: ["a"], number 0, is no text'),
        ({**GOOD, "choices": {"a": 1}}, 'needs a list `choices`, not {"a": 1}'),
        ({**GOOD, "choices": []}, "needs a list `choices` and the index `gold` in it, which is empty, not 0"),
        ({**GOOD, "gold": 2}, "the index `gold` in it, 0 to 1, not 2"),
        ({**GOOD, "gold": -1}, "not -1"),
        ({**GOOD, "gold": "0"}, 'not "0"'),
        ({**GOOD, "gold": 0.0}, "not 0.0"),
        ({**GOOD, "gold": True}, "not true"),
        ({**GOOD, "gold": None}, "not null"),
        ({"choices": ["a", "b"], "gold": 0}, "`question`: null is no text"),
        ({**GOOD, "question": 5}, "`question`: 5 is no text"),
        ({**GOOD, "passage": ["x" * 100]}, '`passage`: ["' + "x" * 55 + "... is no text"),
    ],
)
def test_what_is_no_item_is_named(row, words):
    for data in (as_lines([GOOD, row]), json.dumps([GOOD, row]).encode()):
        with pytest.raises(UserError) as caught:
            read_own(data, "quiz.jsonl", 60)
        assert str(caught.value).startswith("quiz.jsonl: item 2: ") and words in str(caught.value)
        assert "\n" not in str(caught.value)


LINE = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no items"),
        (b"\n \r\n", "holds no items"),
        (b"[]", "holds no items"),
        (b"\xef\xbb\xbf", "holds no items"),
        (LINE + b"\n" + LINE[:-1], "not JSON lines: line 2: "),
        (LINE + b"\n\nquestion,choices\n", "not JSON lines: line 3: "),
        (LINE[:-1] + b', "gold": 1}', "not JSON lines: line 1: the key 'gold' is given twice"),
        (LINE.replace(b'"gold": 0', b'"gold": NaN'), "not JSON lines: line 1: NaN is no number"),
        (b'{"question": "\\ud800"}', "not JSON lines: line 1: holds half of a surrogate pair"),
        (json.dumps(GOOD, indent=1).encode(), "not JSON lines: line 1: "),
        (b"[" + LINE, "not a JSON list: "),
        (b"[" * 100_000, "not a JSON list: nested too deeply"),
        (b"\x1f\x8b\x08\x00", "not UTF-8: byte 1; save it as UTF-8"),
        (as_lines().decode().encode("utf-16"), "not UTF-8: byte 0"),
    ],
)
def test_what_is_no_file_of_items(data, words):
    with pytest.raises(UserError) as caught:
        read_own(data, "quiz.jsonl", 60)
    assert str(caught.value).startswith(f"quiz.jsonl: {words}") and "\n" not in str(caught.value)


def test_the_look_while_planning_sees_what_the_job_sees(tmp_path):
    file = tmp_path / "quiz.jsonl"
    file.write_bytes(as_lines())
    assert check_own_file(file, 60, 64, 0) == 10
    file.write_bytes(as_lines([{**GOOD, "question": f"{n}?"} for n in range(600)]))
    assert check_own_file(file, 60, 64, 0) == 64
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        check_own_file(tmp_path, 60, 64, 0)
    with pytest.raises(UserError, match=r"gone\.jsonl: cannot be read: no such file"):
        check_own_file(tmp_path / "gone.jsonl", 60, 64, 0)
