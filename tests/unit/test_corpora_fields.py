"""Fields of rows: paths, columns with dots in their names, JSON in text, nulls; what is wrong is one line."""

import math

import pytest

from chameleon.core.errors import UserError
from chameleon.data.corpora.fields import Typed, find, parse_json, text_of


def look(row, field):
    return find(row, field, "x.jsonl:3", "text_field")


def refused(call, *words):
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("x.jsonl:3: text_field") and all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"text": "found"}, "text"),
        ({"content": {"text": "found"}}, "content.text"),
        ({"a": {"b": {"c.d": {"e": "found"}}}}, "a.b.c.d.e"),
        ({"meta.set": "found", "meta": {"set": "other"}}, "meta.set"),
        ({"meta.set": {"name": "found"}, "meta": {"set": {"name": "other"}}}, "meta.set.name"),
        ({"meta": '{"set": "found"}'}, "meta.set"),
        ({"meta": b'{"set": {"name": "found"}}'}, "meta.set.name"),
        ({"meta": {"inner": '{"set": "found"}'}}, "meta.inner.set"),
    ],
)
def test_a_field_is_found_by_path_by_its_whole_name_and_in_json(row, field):
    assert look(row, field) == "found"


@pytest.mark.parametrize(
    "row",
    [
        {"meta": {"set": None}},
        {"meta": None},
        {"meta": {"set": math.nan}},
        {"meta": math.nan},
        {"meta": "null"},
        {"meta": " "},
        {"meta": '{"set": null}'},
        {"meta.set": None},
    ],
)
def test_null_anywhere_on_the_way_is_null(row):
    assert look(row, "meta.set") is None


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        (
            {"content": {"text": "x", "id": 1}, "n": 1},
            "text",
            ["'text' is not one of content.id, content.text, n"],
        ),
        ({"content": {"body": "x"}}, "content.text", ["'content.text' is not one of content.body"]),
        ({}, "text", ["'text' is not one of (nothing)"]),
        ({"meta": "web"}, "meta.set", ["'meta.set'", "column 'meta' holds text that is no JSON", "column 1"]),
        ({"meta": '"web"'}, "meta.set.x", ["column 'meta' holds"]),
        ({"meta": ["web"]}, "meta.set", ["column 'meta' holds a list"]),
        ({"meta": 5}, "meta.set", ["column 'meta' holds a whole number (5)"]),
        ({"meta": "[" * 100_000}, "meta.set", ["nested too deeply"]),
        ({"meta": '{"set": 1, "set": 2}'}, "meta.set", ["the key 'set' is given twice"]),
        ({"meta": b"\xff"}, "meta.set", ["no JSON", "not UTF-8 at byte 0"]),
        ("a text", "text", ["a row must be an object", "found text ('a text')"]),
        ([1], "text", ["found a list"]),
        (True, "text", ["found true or false (True)"]),
        ({f"c{i:04}": 1 for i in range(500)}, "text", ["c0000, c0001", "... (480 more)"]),
    ],
)
def test_a_field_that_is_not_there_is_one_line(row, field, words):
    refused(lambda: look(row, field), *words)


def test_text_is_text_or_utf8_bytes():
    def text(value):
        return text_of(value, "x.jsonl:3", "text_field", "body")

    assert [text(value) for value in ("caf\u00e9", b"caf\xc3\xa9", "", None)] == [
        "caf\u00e9",
        "caf\u00e9",
        "",
        None,
    ]
    refused(lambda: text(b"caf\xe9"), "'body': not UTF-8 at byte 3 (0xe9)")
    refused(lambda: text(["one", "two"]), "'body' holds a list, not text")
    refused(
        lambda: text({"text": "x", "id": 1}),
        "holds a struct, not text; name a field inside it: body.id, body.text",
    )
    refused(lambda: text(5), "holds a whole number (5)")
    refused(lambda: text(parse_json("1e999")), "holds a number (inf)")
    refused(lambda: text(Typed("list<item: string>")), "holds values of type list<item: string>, not text")


def test_json_is_strict_where_it_matters_only():
    assert parse_json('{"id": 1, "id": 2, "text": "x", "n": 1e999}', "text") == {
        "id": 2,
        "text": "x",
        "n": math.inf,
    }
    for broken in ('{"text": 1, "text": 2}', '{"a": 1', "[" * 100_000, '{"n": ' + "9" * 5000 + "}", '"\x00"'):
        with pytest.raises(ValueError) as caught:
            parse_json(broken, "text")
        assert "\n" not in str(caught.value)
