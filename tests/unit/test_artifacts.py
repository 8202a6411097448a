"""Files are whole or absent, byte-stable, and say in one line what is wrong with them."""

import json
import math

import pandas as pd
import pytest

from chameleon.core import artifacts
from chameleon.core.errors import UserError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    artifacts.write_text(path, "old\n")
    with pytest.raises(RuntimeError), artifacts.atomic(path) as temporary:
        temporary.write_text("half of the new")
        assert path.read_text() == "old\n", "the target is untouched until the end"
        raise RuntimeError
    assert path.read_text() == "old\n" and [p.name for p in path.parent.iterdir()] == ["a.txt"]
    artifacts.write_text(path, "new é\n")
    assert path.read_bytes() == "new é\n".encode() and path.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/a\.txt: cannot write here: ") as caught:
        artifacts.write_text(tmp_path / "file" / "a.txt", "x")
    assert "\n" not in str(caught.value)


def test_json_is_byte_stable(tmp_path):
    value = {"b": [1, 2.5, None, True], "a": {"z": "é", "y": 0.1}}
    artifacts.write_json(tmp_path / "a.json", value)
    expected = '{\n "a": {\n  "y": 0.1,\n  "z": "é"\n },\n "b": [\n  1,\n  2.5,\n  null,\n  true\n ]\n}\n'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == expected
    assert artifacts.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_json_holds_no_nan(tmp_path, bad):
    with pytest.raises(ValueError):
        artifacts.write_json(tmp_path / "a.json", {"a": bad})
    with pytest.raises(ValueError):
        artifacts.fingerprint([bad])
    assert not list(tmp_path.iterdir())


def test_reading_bad_json_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: no such file$"):
        artifacts.read_json(tmp_path / "a.json")
    for data in (b"{'a': 1}", b'{"a": 1', b"\xff\xfe"):
        (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(UserError, match=r"a\.json: not valid JSON: ") as caught:
            artifacts.read_json(tmp_path / "a.json")
        assert "\n" not in str(caught.value)


METRICS = {
    "scenario": "s", "scale": "c", "method": "m", "seed": 0, "domains": {"a": "x"}, "test_tokens": 16,
    "loss": {"a": 1.0}, "perplexity": {"a": 2.7}, "mean_perplexity": 2.7, "mean_log_perplexity": 1.0,
    "groups": {}, "documents": {"a": {"blocks": [1], "loss": [1.0]}}, "kept": None, "unseen": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra": 1}, r"\(top level\): unknown key 'extra'; valid keys: documents, domains, groups"),
        ({"seed": "0"}, "seed: '0' is not of type 'integer'"),
        ({"perplexity": {"a": 0.5}}, r"perplexity\.a: 0\.5 is less than the minimum of 1"),
    ],
)
def test_schemas_are_checked_on_both_sides(tmp_path, change, words):
    path = tmp_path / "a.json"
    artifacts.write_json(path, METRICS, "metrics")
    assert artifacts.read_json(path, "metrics") == METRICS
    with pytest.raises(UserError, match=rf"b\.json: {words}"):
        artifacts.write_json(tmp_path / "b.json", METRICS | change, "metrics")
    assert not (tmp_path / "b.json").exists()
    path.write_text(json.dumps(METRICS | change))
    with pytest.raises(UserError, match=rf"a\.json: {words}"):
        artifacts.read_json(path, "metrics")


def test_a_wrong_choice_lists_the_valid_ones():
    manifest = {"dtype": "<u8"}
    schema = artifacts.load_schema("tokens")["properties"]["dtype"]
    import jsonschema

    (error,) = jsonschema.Draft202012Validator({"properties": {"dtype": schema}}).iter_errors(manifest)
    assert artifacts.explain(error) == "dtype: '<u8' is not one of <u2, <u4"


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert artifacts.sha256_file(tmp_path / "a") == known
    assert artifacts.fingerprint({"a": 1, "b": [2, 3]}) == artifacts.fingerprint({"b": [2, 3], "a": 1})
    assert artifacts.fingerprint([2, 3]) != artifacts.fingerprint([3, 2])
    # printf '{"a":1}' | sha256sum
    assert (
        artifacts.fingerprint({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )


def test_csv_gives_floats_back(tmp_path):
    frame = pd.DataFrame({"name": ["a,b", "c"], "value": [0.1 + 0.2, 1e-17]})
    artifacts.write_csv(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_bytes() == b'name,value\n"a,b",0.30000000000000004\nc,1e-17\n'
    assert float("0.30000000000000004") == 0.1 + 0.2
