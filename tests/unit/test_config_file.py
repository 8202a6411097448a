"""A config file is read strictly: what YAML lets pass in silence is one line that says where it stands."""

from pathlib import Path

import pytest

from chameleon.cli import main
from chameleon.core.errors import UserError
from chameleon.experiment.config_file import MOST_BYTES, read
from chameleon.experiment.load import load_files

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
MERGED = "m0: &m0 {a: 1, b: 2}\n" + "".join(
    f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}, *m{i - 1}], c{i}: 1}}\n" for i in range(1, 25)
)

BAD = {
    "empty": (b"", "is empty"),
    "remarks only": (b"# nothing\n", "is empty"),
    "a list": (b"- a\n", "expected a mapping, found list"),
    "a word": (b"word", "expected a mapping, found str"),
    "two documents": (b"a: 1\n---\nb: 2\n", "single document .* line 2"),
    "UTF-16": ("a: 1\n".encode("utf-16"), r"not UTF-8 \(0xff at byte 0\)"),
    "Latin-1": ("caf\u00e9: 1\n".encode("latin-1"), r"not UTF-8 \(0xe9 at byte 3\)"),
    "a zero byte": (b"a: \x00\n", "not valid YAML"),
    "a tab": (b"a:\n\t- b\n", "not valid YAML: .*line 2"),
    "a key twice": (b"seeds: [0]\nrun: [x]\nseeds: [1]\n", "line 3: seeds: the key is given twice"),
    "a key twice inside": (b'a: {b: 1, "b": 2}\n', r"line 1: a\.b: the key is given twice"),
    "a key twice in a list": (b"a:\n- {b: 1, b: 2}\n", r"line 2: a\.0\.b: the key is given twice"),
    "a key twice in JSON": (b'{"a": 1, "a": 2}', "'a' is given twice"),
    "two merges": (b"x: &x {a: 1}\ny: &y {b: 1}\nz:\n  <<: *x\n  <<: *y\n", r"line 5: z\.<<: .*<<: \[\*one"),
    "a tag": (b"a: !env HOME\n", "line 1: a: the tag !env is not allowed"),
    "an object": (b"a: !!python/object/apply:os.system [ls]\n", "the tag !!python/object/apply:os.system"),
    "a set": (b"a: !!set {x, y}\n", "the tag !!set"),
    "bytes": (b"a: !!binary aGVsbG8=\n", "the tag !!binary"),
    "a tag that lies": (b"a: !!bool maybe\n", "'maybe' is not what its tag says"),
    "a date": (
        b"a: {b: 2024-01-01}\n",
        r'a\.b: 2024-01-01 is no text to YAML; write it in quotes: "2024-01-01"',
    ),
    "no such date": (b"a: 2024-13-45\n", 'write it in quotes: "2024-13-45"'),
    "a year for a key": (b"domains: {2019: x}\n", 'domains: the key 2019 is no text .*quotes: "2019"'),
    "no for a key": (b"configs: {no: x}\n", 'configs: the key no is true or false .*quotes: "no"'),
    "nothing for a key": (b"~: 1\n", "the key ~ is nothing to YAML"),
    "a list for a key": (b"? [a]\n: 1\n", "a key must be a text, not a sequence"),
    "base 8": (b"seeds: [010]\n", r"seeds\.0: 010 is in base 8 or 60"),
    "base 60": (b"a: 12:30\n", "a: 12:30 is in base 8 or 60"),
    "thousands of digits": (b"a: " + b"9" * 6000, "not valid YAML"),
    "too deep": (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
    "too deep in JSON": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "too long": (b"#" * (MOST_BYTES + 1), "this is no config"),
    "an anchor in itself": (b"a: &a [*a]\n", r"a\.0: the anchor holds itself"),
    "a billion laughs": (LAUGHS.encode(), "its anchors expand to more than 200000 values"),
    "a billion merges": (MERGED.encode(), "its anchors expand to more than 200000 values"),
    "no such anchor": (b"a: *b\n", "undefined alias"),
    "code": (b"__use_yte__: true\na: 1\n", "__use_yte__: refused: nothing in a config is run"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str) -> None:
    data, words = BAD[name]
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)
    for reader in (read, lambda p: load_files([p])):
        with pytest.raises(UserError, match=rf"mine\.yaml: .*{words}") as caught:
            reader(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


GOOD = {
    "plain": (b"a: {b: [1, 2.5, true, null, x]}\n", {"a": {"b": [1, 2.5, True, None, "x"]}}),
    "a byte order mark": (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    "JSON with tabs": (b'{\n\t"a": 1e3}', {"a": 1000.0}),
    "quoted": (b'a: {"no": "2024-01-01", "2019": "010"}\n', {"a": {"no": "2024-01-01", "2019": "010"}}),
    "a merge": (b"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n", {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}),
    "an anchor twice": (b"x: &x [1]\ny: *x\nz: *x\n", {"x": [1], "y": [1], "z": [1]}),
    "zero": (b"a: [0, 0x1f, -1, 1_000]\n", {"a": [0, 31, -1, 1000]}),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_is_read_as_ever(tmp_path: Path, name: str) -> None:
    data, value = GOOD[name]
    (tmp_path / "mine.yaml").write_bytes(data)
    assert read(tmp_path / "mine.yaml") == value


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "cannot be read"), (tmp_path / "none.yaml", "no such file")):
        with pytest.raises(UserError, match=words):
            read(path)


@pytest.mark.parametrize("command", ["check", "plan"])
def test_commands_end_in_one_line(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: [0]\nseeds: [1]\n")
    assert main([command, "--configfile", str(path)]) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {path}: line 2: seeds: the key is given twice; keep one of them\n"
