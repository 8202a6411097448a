"""Rows of data sets: domains of any type, nulls, JSON, dots; files that `datasets` makes no one table of."""

import json
import os
import subprocess
import sys
from collections import Counter

import pyarrow
import pyarrow.parquet
import pytest
from raw_documents import iter_documents

from chameleon.core.errors import UserError
from chameleon.data.corpora import hub_rows

TEXT = ["w0", "c0", "w1", "c1", "w2", "c2"]


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Not inside the folder that is loaded: its own files would be taken for data.
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    datasets.disable_progress_bars()


def entry(tmp_path, **changes):
    named = {"domain_field": "meta.set", "domains": {"web": "web", "code": "code"}}
    given = {"kind": "hf", "path": str(tmp_path), "split": "train", "text_field": "text"}
    return given | ({} if "data_dirs" in changes else named) | changes


def table(tmp_path, **columns):
    columns = {"text": TEXT} | columns
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "train-00000-of-00001.parquet")


def lines(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(given, domain="web"):
    skipped = Counter()
    return list(iter_documents(given, domain, skipped)), dict(skipped)


def refused(given, *words, domain="web"):
    with pytest.raises(UserError) as caught:
        read(given, domain)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("values", "domains"),
    [
        ([0, 1], {"web": 0, "code": 1}),
        ([0, 1], {"web": "0", "code": "1"}),
        ([0.0, 1.0], {"web": 0, "code": "1"}),
        ([False, True], {"web": "false", "code": "True"}),
        ([b"web", b"code"], {"web": "web", "code": "code"}),
        (["0", "1"], {"web": 0, "code": 1}),
    ],
)
def test_a_domain_is_the_same_however_it_is_written(tmp_path, values, domains):
    table(tmp_path, label=values * 3)
    given = entry(tmp_path, domain_field="label", domains=domains)
    assert read(given, "web") == (["w0", "w1", "w2"], {})
    assert read(given, "code") == (["c0", "c1", "c2"], {})


def test_a_number_that_no_row_has_lists_the_numbers(tmp_path):
    table(tmp_path, label=[0, 1] * 3)
    refused(
        entry(tmp_path, domain_field="label", domains={"web": "01"}),
        "domain_field 'label': '01' is not one of 0, 1",
    )


def test_a_column_of_ten_thousand_values_is_not_listed(tmp_path):
    rows = 10_000
    table(tmp_path, text=["x"] * rows, url=[f"http://{i}" for i in range(rows)])
    with pytest.raises(UserError) as caught:
        read(entry(tmp_path, domain_field="url", domains={"web": "web"}))
    assert "'web' is not one of http://" in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_whose_domain_is_null_are_passed_over_and_counted(tmp_path, streaming):
    meta = [{"set": "web"}, {"set": "code"}] * 3
    meta[0], meta[3] = None, {"set": None}
    table(tmp_path, meta=pyarrow.array(meta, pyarrow.struct([("set", pyarrow.string())])))
    given = entry(tmp_path, streaming=streaming)
    assert read(given, "web") == (["w1", "w2"], {"without_domain": 2})
    assert read(given, "code") == (["c0", "c2"], {"without_domain": 2})


def test_rows_without_text_are_counted_and_are_none_of_the_first_so_many(tmp_path):
    table(tmp_path, text=["w0", None, "", "w1", "w2", None], meta=[{"set": "web"}] * 6)
    assert read(entry(tmp_path)) == (["w0", "w1", "w2"], {"without_text": 3})
    assert read(entry(tmp_path, max_documents=2)) == (["w0", "w1"], {"without_text": 2})


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "columns",
    [
        {"meta": [json.dumps({"set": name}) for name in ("web", "code")] * 3},
        {"meta.set": ["web", "code"] * 3},
        {"meta": [{"set": "web"}, {"set": "code"}] * 3, "meta.other": ["x"] * 6},
    ],
)
def test_json_in_a_column_and_dots_in_its_name(tmp_path, columns, streaming):
    table(tmp_path, **columns)
    assert read(entry(tmp_path, streaming=streaming)) == (["w0", "w1", "w2"], {})


@pytest.mark.parametrize(
    ("columns", "change", "words"),
    [
        (
            {"meta": ["web"] * 6},
            {},
            ["row 1: domain_field 'meta.set': column 'meta' holds text that is no JSON"],
        ),
        (
            {"meta": [["web"]] * 6},
            {"domain_field": "meta"},
            ["row 1: domain_field 'meta' holds a list, not a name"],
        ),
        (
            {"meta": [{"set": "web"}] * 6},
            {"domain_field": "meta"},
            ["row 1: domain_field 'meta' holds a struct"],
        ),
        (
            {"meta": [{"set": "web"}] * 6},
            {"text_field": "meta"},
            ["'meta' holds a struct, not text", "meta.set"],
        ),
        (
            {"meta": [{"set": "web"}] * 6, "n": range(6)},
            {"text_field": "n"},
            ["row 1: text_field 'n'", "number (0)"],
        ),
        (
            {"meta": [{"set": "web"}] * 6, "text": [[t] for t in TEXT]},
            {},
            ["text_field 'text' holds a list, not text"],
        ),
        (
            {"meta": [{"set": "web"}] * 6, "text": [b"a", b"\xff"] * 3},
            {},
            ["row 2: text_field 'text': not UTF-8"],
        ),
    ],
)
def test_columns_of_other_types_are_one_line(tmp_path, columns, change, words):
    table(tmp_path, **columns)
    refused(entry(tmp_path, **change), *words)


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_disagree_about_a_column_nobody_asks_for_are_read(tmp_path, streaming, capsys):
    for part, (key, score) in enumerate([("x-5", None), (5, "high")]):
        rows = [{"text": f"{part} {i}", "meta": {"score": score, "set": "web"}, "id": key} for i in range(3)]
        lines(tmp_path / "web" / f"part{part}.jsonl", rows)
    expected = [f"{part} {i}" for part in (0, 1) for i in range(3)]
    assert read(entry(tmp_path, data_dirs={"web": "web"}, streaming=streaming)) == (expected, {})
    assert read(entry(tmp_path / "web", streaming=streaming)) == (expected, {})
    assert read(entry(tmp_path / "web", streaming=streaming, max_documents=4))[0] == expected[:4]
    assert "datasets cannot load it" in (said := capsys.readouterr().err) and "reading its 2 files" in said


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": "a\x00"}\n', ["a.jsonl:2: not valid JSON: Invalid control"]),
        ("a.jsonl", b'{"text": "x"}\n{"text": "a\xff"}\n', ["a.jsonl:2: not UTF-8 at byte"]),
        ("a.jsonl", '\ufeff{"text": "x"}\n'.encode("utf-16-le"), ["a.jsonl: is UTF-16"]),
        (
            "a.jsonl",
            b'{"text": "x", "n": ' + b"[" * 9999 + b"\n",
            ["a.jsonl:1: not valid JSON: nested too deeply"],
        ),
        (
            "a.jsonl",
            b'{"text": "x", "text": "y"}\n',
            ["a.jsonl:1: not valid JSON: the key 'text' is given twice"],
        ),
        ("a.parquet", b"PAR1 and no more", ["a.parquet: not a readable parquet file"]),
        ("a.jsonl.zst", b"garbage", ["a.jsonl.zst: cannot be decompressed"]),
    ],
)
def test_broken_files_of_a_folder_name_file_and_row(tmp_path, name, data, words, streaming):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / name).write_bytes(data)
    refused(entry(tmp_path, data_dirs={"web": "web"}, streaming=streaming), *words)


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_taken_many_at_a_time_are_the_rows(tmp_path, streaming, monkeypatch):
    """In tables of seven rows and less; without columns that nobody asks for."""
    monkeypatch.setattr(hub_rows, "BATCH", 7)
    monkeypatch.setattr(hub_rows, "HELD", 60)
    rows = [
        {
            "text": f"text {i}" if i % 5 else None,
            "meta": {"set": ["web", None][i % 7 == 0], "n": i},
            "more": [i],
        }
        for i in range(50)
    ]
    for number in range(3):
        path = tmp_path / f"train-0000{number}-of-00003.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[number::3]), path)
    given = entry(tmp_path, streaming=streaming)
    count = hub_rows.parts_of(given, None)
    assert count == (3 if streaming else 1)
    found = [row for part in range(count) for _, row in hub_rows.data_set_rows(given, None, (part, count))]
    wanted = [{k: row[k] for k in ("text", "meta")} for n in range(3) for row in rows[n::3]]
    assert found == wanted
    where = [where for where, _ in hub_rows.data_set_rows(given, None)]
    assert where[0].endswith(": row 1") and where[-1].endswith(": row 50")


def test_reading_a_set_needs_no_torch(tmp_path):
    table(tmp_path, meta=[{"set": name} for name in ["web", "code"] * 3])
    # Left by _exit: a thread that a streamed set has begun has been seen to end the interpreter by a signal.
    code = f"""if True:
        import os
        import sys
        from raw_documents import iter_documents
        assert list(iter_documents({entry(tmp_path, streaming=True)!r}, "web")) == ["w0", "w1", "w2"]
        import datasets
        assert "torch" not in sys.modules and datasets.config.TORCH_AVAILABLE
        os._exit(0)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.jsonl").touch()
    assert read(entry(tmp_path, data_dirs={"web": "web"})) == ([], {})


def test_what_is_not_on_this_machine_keeps_the_loaders_reason(tmp_path):
    refused(entry(tmp_path, path="no/such/set"), "corpus no/such/set: datasets cannot load it: ")
    table(tmp_path, meta=[{"set": "web"}] * 6)
    refused(entry(tmp_path, split="tset"), "datasets cannot load it: ", "tset")
