"""Corpora of kind `local`: `iter_documents` and `prepare` on whole, spoilt and odd files.

Malformed: not UTF-8; a line of .jsonl (or an element of the array in .json) that is no JSON object, lacks the
    text field, has it twice, or holds something else than text or null there; Parquet that cannot be read,
    without the column or with one that holds no text; compressed data that is cut off; no file at all. Null
    and NaN are no mistake: such rows have no text and are counted; files of other names are said and passed
    over.
"""

import bz2
import gzip
import io
import json
import lzma
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spoil
import tally
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_documents import iter_documents
from toy_config import PREPARED

from chameleon.data.corpora.fields import WITHOUT_TEXT
from chameleon.data.corpora.prepare import prepare

PARSER, STAGE = "corpora (documents)", "corpora (prepare)"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
DATA = {**PREPARED, "min_characters": 1, "max_characters": 1000, "split": {"validation": 0.2, "test": 0.2}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpora")


def place(root: Path, name: str, content: bytes) -> dict[str, Any]:
    """Make the file the only one of the only domain; return the corpus's entry."""
    shutil.rmtree(root / "text", ignore_errors=True)
    (root / "text" / "law").mkdir(parents=True)
    (root / "text" / "law" / name).write_bytes(content)
    return {"kind": "local", "path": str(root / "text"), "text_field": "text"}


def documents(entry: dict[str, Any], skipped: Counter[str] | None = None) -> list[str]:
    return list(iter_documents(entry, "law", skipped))


def rows_file(draw: st.DrawFn, rows: list[Any]) -> tuple[str, bytes]:
    """Return the name and the bytes of a file of rows in JSON."""
    ending, compression = (
        draw(st.sampled_from([".jsonl", ".ndjson", ".json", "array"])),
        draw(st.sampled_from(sorted(COMPRESS))),
    )
    if ending == "array":
        text, ending = (
            json.dumps(rows, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))),
            ".json",
        )
    else:
        end = draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
        text = end.join(json.dumps(row, ensure_ascii=draw(st.booleans())) for row in rows)
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return f"a{ending}{compression}", COMPRESS[compression](mark + text.encode())


def parquet(table: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer)
    return buffer.getvalue()


@given(st.data())
def test_whole_files_are_read(root: Path, data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXTS | st.none(), min_size=1, max_size=5))
    kind = data.draw(st.sampled_from(["rows", "parquet", "txt"]))
    if kind == "rows":
        name, content = rows_file(data.draw, [{"id": i, "text": text} for i, text in enumerate(texts)])
    elif kind == "parquet":
        name, content = "a.parquet", parquet({"id": range(len(texts)), "text": pa.array(texts, pa.string())})
    else:
        texts = [texts[0] or ""]
        name, content = "a.txt", (texts[0] or "").encode()
        if (texts[0] or "").startswith("\ufeff"):
            texts = [(texts[0] or "").removeprefix("\ufeff")]
    skipped: Counter[str] = Counter()
    entry = place(root, name, content)
    assert tally.accepts(PARSER, lambda: documents(entry, skipped)) == [t for t in texts if t is not None]
    assert skipped[WITHOUT_TEXT] == texts.count(None)


ODD = st.sampled_from([3, 0.5, True, [], ["x"], {}, {"x": "y"}])


@given(st.data())
def test_rows_without_a_text_are_refused(root: Path, data: st.DataObject) -> None:
    rows: list[Any] = [{"text": text} for text in data.draw(st.lists(TEXTS, min_size=1, max_size=4))]
    at = data.draw(st.integers(0, len(rows) - 1))
    rows[at] = data.draw(
        st.sampled_from([3, "x", None, True, ["x"], {}, {"Text": "x"}, {"body": "x"}])
        | ODD.map(lambda odd: {"text": odd})
    )
    if rows[at] is None:
        rows[at] = "null"
    entry = place(root, *rows_file(data.draw, rows))
    tally.refuses(PARSER, ["law/a."], lambda: documents(entry))


@given(st.data())
def test_spoilt_lines_and_texts_are_refused(root: Path, data: st.DataObject) -> None:
    good = [
        json.dumps({"text": text}).encode() for text in data.draw(st.lists(TEXTS, min_size=1, max_size=4))
    ]
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.integers(0, 5))
    if kind == 0:
        good[at] = good[at][: data.draw(st.integers(1, len(good[at]) - 1))]
    elif kind == 1:
        cut = data.draw(st.integers(0, len(good[at])))
        good[at] = good[at][:cut] + b"\xff" + good[at][cut:]
    elif kind == 2:
        good[at] = good[at][:-1] + b', "text": "again"}'
    elif kind == 3:
        good[at] += data.draw(st.sampled_from([b"x", b"}", b"{}", b" 3", b"\x00"]))
    elif kind == 4:
        good[at] = b"[" * 50_000
    else:
        good[at] = data.draw(st.binary(min_size=1, max_size=30)).replace(b"{", b"(").strip() or b"\xfe"
        good[at] = b"x" + good[at].replace(b"\n", b" ").replace(b"\r", b" ")
    compression = data.draw(st.sampled_from(sorted(COMPRESS)))
    entry = place(root, f"a.jsonl{compression}", COMPRESS[compression](b"\n".join(good)))
    tally.refuses(PARSER, ["law/a."], lambda: documents(entry))


@given(st.data())
def test_spoilt_files_are_refused(root: Path, data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=4))
    lines = b"\n".join(json.dumps({"text": text}).encode() for text in texts)
    kind = data.draw(st.integers(0, 6))
    if kind == 0:
        ending = data.draw(st.sampled_from([".gz", ".bz2", ".xz"]))
        whole = COMPRESS[ending](lines)
        name, content = f"a.jsonl{ending}", whole[: data.draw(st.integers(1, len(whole) - 1))]
    elif kind == 1:
        name, content = f"a.jsonl{data.draw(st.sampled_from(['.gz', '.bz2', '.xz', '.zst']))}", lines
    elif kind == 2:
        whole = parquet({"text": texts})
        name, content = "a.parquet", whole[: data.draw(st.integers(1, len(whole) - 1))]
    elif kind == 3:
        name, content = "a.parquet", data.draw(st.binary(min_size=1, max_size=60))
    elif kind == 4:
        column = data.draw(st.sampled_from([[1], [0.5], [True], [["x"]], [{"a": "x"}], [b"\xff"]]))
        name, content = "a.parquet", parquet({data.draw(st.sampled_from(["text", "body"])): column})
    elif kind == 5:
        encoding = data.draw(st.sampled_from(["utf-16", "utf-32"]))
        name, content = data.draw(st.sampled_from(["a.txt", "a.jsonl"])), lines.decode().encode(encoding)
    else:
        name, content = data.draw(st.sampled_from(["a.csv", ".hidden.txt", "a.md", "a.pdf", "README"])), lines
    entry = place(root, name, content)
    tally.refuses(PARSER, ["/law"], lambda: documents(entry))


def spec(entry: dict[str, Any]) -> dict[str, Any]:
    return {"corpus": "mine", "entry": entry, "domains": ["law"], "data": DATA, "version": 1}


@given(st.data())
@settings(max_examples=8)
def test_prepare_takes_what_is_read(root: Path, data: st.DataObject) -> None:
    texts = [
        f"Document {i} {text}"
        for i, text in enumerate(data.draw(st.lists(TEXTS, min_size=3, max_size=3)) * 20)
    ]
    entry = place(root, *rows_file(data.draw, [{"text": text} for text in texts]))
    shutil.rmtree(root / "out", ignore_errors=True)
    tally.accepts(STAGE, lambda: prepare(spec(entry), root / "out", 1))
    report = json.loads((root / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["domains"]["law"]["counts"]["raw"] == len(texts)


@given(st.data())
def test_prepare_refuses_and_leaves_no_report(root: Path, data: st.DataObject) -> None:
    texts = [f"Document {i}" for i in range(data.draw(st.integers(1, 4)))]
    rows: list[Any] = [{"text": text} for text in texts]
    kind = data.draw(st.integers(0, 3))
    if kind == 0:
        rows.append({"text": data.draw(ODD)})
    elif kind == 1:
        rows = [{"text": data.draw(st.sampled_from([None, "", " \n "]))}]
    elif kind == 2:
        rows.append(data.draw(st.sampled_from([3, "x", []])))
    name, content = rows_file(data.draw, rows)
    if kind == 3:
        name, content = "a.jsonl.gz", gzip.compress(content)[:-1]
    entry = place(root, name, content)
    shutil.rmtree(root / "never", ignore_errors=True)
    tally.refuses(STAGE, ["law"], lambda: prepare(spec(entry), root / "never", 1))
    assert not (root / "never" / "report.json").exists()


@given(st.data())
def test_random_edits_end_in_one_line_or_in_documents(root: Path, data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=4))
    if data.draw(st.booleans()):
        name, content = rows_file(data.draw, [{"id": i, "text": text} for i, text in enumerate(texts)])
    else:
        name, content = "a.parquet", parquet({"text": texts})
    entry = place(root, name, data.draw(spoil.edits(content)))
    tally.survives(PARSER, ["law/a."], lambda: documents(entry))
