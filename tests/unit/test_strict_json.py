"""JSON is read as the standard has it: each thing that Python lets pass is refused in one line."""

import pytest

from chameleon.core import strict_json
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError, shown


def test_what_is_json_is_read():
    text = '{"a": [1, -2.5e3, true, null, "\\ud83d\\ude00 é"], "b": {}}'
    expected = {"a": [1, -2500.0, True, None, "\U0001f600 é"], "b": {}}
    assert strict_json.loads(text) == strict_json.loads(text.encode()) == expected
    assert strict_json.loads("\ufeff" + text) == strict_json.loads(("\ufeff" + text).encode()) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' is given twice"),
        (b'{"x": {"a": 1, "a": 1}}', "the key 'a' is given twice"),
        (b"[NaN]", "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"[1e999]", "1e999 is too large"),
        (b"[" + b"9" * 5000 + b"]", "too large: 5000 digits"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe[\x001\x00]\x00", "not UTF-8 (0xff at byte 0)"),
        (b"{'a': 1}", "Expecting property name"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_none_is_refused(tmp_path, data, words):
    with pytest.raises(ValueError) as caught:
        strict_json.loads(data)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.json: not valid JSON: "):
        read_json(tmp_path / "a.json")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


def test_a_message_is_one_line_whatever_is_in_it():
    assert str(UserError("domain 'a\nb': no\u2028weight")) == "domain 'a b': no weight"
    assert shown("x" * 100) == "'" + "x" * 56 + "..." and shown([1]) == "[1]"
