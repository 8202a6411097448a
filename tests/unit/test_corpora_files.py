"""Files of a folder of one's own: every form and compression, and whatever a broken or hostile one holds."""

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from raw_documents import iter_documents

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import domain_names, domain_sources
from chameleon.data.corpora.files import folder, streams

ROWS = [{"text": f"text {i}", "n": i} for i in range(20)]
TEXTS = [row["text"] for row in ROWS]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def zstd(data):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstd, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.fixture
def law(tmp_path):
    (tmp_path / "mine" / "law").mkdir(parents=True)
    return tmp_path / "mine" / "law"


def entry(law, **changes):
    return {"kind": "local", "path": str(law.parent)} | changes


def read(law, **changes):
    """Return the documents and the rows passed over."""
    skipped = Counter()
    return list(iter_documents(entry(law, **changes), "law", skipped)), dict(skipped)


def refused(law, *words, **changes):
    with pytest.raises(UserError) as caught:
        read(law, **changes)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


# ---- forms


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("form", [".jsonl", ".json", ".ndjson", ".JSONL", ".Json"])
def test_lines_are_read_in_every_compression_and_case(law, form, compression):
    for ending in (compression, compression.upper()):
        (law / f"a{form}{ending}").write_bytes(PACK[compression](LINES))
        assert read(law) == (TEXTS, {})
        (law / f"a{form}{ending}").unlink()


@pytest.mark.parametrize("compression", PACK)
def test_a_text_is_one_document_in_every_compression(law, compression):
    (law / f"a.TXT{compression}").write_bytes(PACK[compression]("caf\u00e9\r\n\x00end".encode()))
    assert read(law) == (["caf\u00e9\r\n\x00end"], {})


@pytest.mark.parametrize("layout", [{}, {"indent": 1}])
def test_an_array_of_rows_in_a_json_file(law, layout):
    (law / "a.json").write_bytes(b"\xef\xbb\xbf \n" + json.dumps(ROWS, **layout).encode())
    assert read(law) == (TEXTS, {})
    (law / "a.json").write_text('[{"text": "one"}, {"text": 2}]')
    refused(law, "a.json: row 2: text_field 'text' holds a whole number (2), not text")


def test_a_json_file_may_be_one_row_over_several_lines(law):
    (law / "a.json").write_text(json.dumps({"text": "one", "meta": {"n": 1}}, indent=2))
    assert read(law) == (["one"], {})
    (law / "dataset_info.json").write_text(json.dumps({"splits": {"train": 5}}, indent=2))
    refused(law, "dataset_info.json: row 1: text_field: 'text' is not one of splits.train")


def test_concatenated_gzip_members_and_zstd_frames_are_one_file(law):
    (law / "a.jsonl.gz").write_bytes(gzip.compress(LINES) * 2)
    (law / "b.jsonl.zst").write_bytes(zstd(LINES) * 2)
    assert read(law) == (TEXTS * 4, {})


# ---- rows


def test_null_texts_are_counted_and_empty_ones_are_documents(law):
    rows = [{"text": None}, {"text": ""}, {"text": float("nan")}, {"text": "x"}]
    (law / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pyarrow.parquet.write_table(pyarrow.table({"text": [None, "", "y"]}), law / "b.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.nulls(3)}), law / "c.parquet")
    assert read(law) == (["", "x", "", "y"], {"without_text": 6})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b'"a text"', ["a.jsonl:3: text_field 'text': a row must be an object", "found text"]),
        (b"[1]", ["a.jsonl:3:", "found a list"]),
        (b'{"text": 5}', ["a.jsonl:3: text_field 'text' holds a whole number (5), not text"]),
        (b'{"text": ["a", "b"]}', ["a.jsonl:3: text_field 'text' holds a list, not text"]),
        (b'{"text": {"en": "a"}}', ["a.jsonl:3:", "holds a struct, not text", "text.en"]),
        (b'{"text": 1e999}', ["a.jsonl:3:", "holds a number (inf)"]),
        (b'{"body": "x"}', ["a.jsonl:3: text_field: 'text' is not one of body"]),
        (b'{"text": "a", "text": "b"}', ["a.jsonl:3: not valid JSON: the key 'text' is given twice"]),
        (b'{"text": "a', ["a.jsonl:3: not valid JSON: Unterminated string starting at column 10"]),
        (b'{"text": "a\x00"}', ["a.jsonl:3: not valid JSON: Invalid control character at column 12"]),
        (b'{"text": "a\xff"}', ["a.jsonl:3: not UTF-8 at byte", "(0xff)"]),
        (b'{"text": ' + b"[" * 100_000, ["a.jsonl:3: not valid JSON: nested too deeply"]),
        (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", ["a.jsonl:3: not valid JSON: Exceeds the limit"]),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_broken_row_names_file_and_line(law, row, words, end):
    (law / "a.jsonl").write_bytes(b'{"text": "one"}' + end + end + row + end)
    refused(law, *words)


def test_what_no_column_asked_for_holds_is_nobodys_business(law):
    rows = [
        b'{"text": "a", "n": 1e999, "m": NaN}',
        b'{"text": "b", "n": "x", "n": [1]}',
        b'{"text": "c\\u0000"}',
    ]
    (law / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows))
    assert read(law) == (["a", "b", "c\x00"], {})


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_utf16_is_refused_with_a_way_out(law, name, encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (law / name).write_bytes((mark + LINES.decode()).encode(encoding))
    refused(law, f"{name}: is UTF-16 or UTF-32, not UTF-8; `iconv")


def test_a_text_that_is_not_utf8_names_its_line(law):
    (law / "a.txt").write_bytes(b"one\ntwo\ncaf\xe9")
    refused(law, "a.txt:3: not UTF-8 at byte 11 (0xe9)")


# ---- parquet


def parquet(law, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), law / "a.parquet")


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pyarrow.array([["a"], ["b"]]), "list<"),
        (pyarrow.array([1, 2]), "int64"),
        (pyarrow.array([True, None]), "bool"),
        (pyarrow.array([1.5, 2]), "double"),
        (pyarrow.array([1, 2], pyarrow.timestamp("s")), "timestamp[ms]"),
    ],
)
def test_a_column_of_another_type_is_refused_by_its_type(law, array, kind):
    parquet(law, text=array)
    refused(law, "a.parquet: text_field 'text' holds values of type ", kind, "not text")


def test_a_struct_column_names_what_is_inside(law):
    parquet(law, content=[{"text": "a", "lang": {"code": "en"}}])
    refused(
        law,
        "a.parquet: text_field 'content' holds a struct",
        "content.lang",
        "content.text",
        text_field="content",
    )
    refused(law, "'content.body' is not one of content.lang", text_field="content.body")
    refused(law, "column 'content.lang.code'", "no JSON", text_field="content.lang.code.x")
    assert read(law, text_field="content.text") == (["a"], {})
    assert read(law, text_field="content.lang.code") == (["en"], {})


@pytest.mark.parametrize(
    "kind", [pyarrow.binary(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())]
)
def test_other_types_of_text_are_text(law, kind):
    values = pyarrow.array(["caf\u00e9", None, "b"]).cast(kind)
    pyarrow.parquet.write_table(pyarrow.table({"text": values}), law / "a.parquet", store_schema=False)
    assert read(law) == (["caf\u00e9", "b"], {"without_text": 1})


def test_bytes_that_are_no_text_name_their_row(law):
    for kind in (pyarrow.binary(), pyarrow.string()):
        raw = pyarrow.array([b"one", b"caf\xe9"], pyarrow.binary())
        parquet(law, text=raw if kind == pyarrow.binary() else raw.view(kind))
        refused(law, "a.parquet: row 2: text_field 'text': not UTF-8 at byte 3 (0xe9)")


def test_columns_with_dots_with_json_and_twice(law):
    parquet(law, **{"meta.text": ["a"], "meta": [{"text": "b"}], "packed": ['{"text": "c"}']})
    assert read(law, text_field="meta.text") == (["a"], {})
    assert read(law, text_field="packed.text") == (["c"], {})
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, ["text", "text"])
    pyarrow.parquet.write_table(twice, law / "a.parquet")
    refused(law, "a.parquet: text_field 'text': the column 'text' is there twice")


# ---- damage


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("compression", [c for c in PACK if c])
def test_a_truncated_file_is_one_line(law, compression, keep):
    data = PACK[compression](os.urandom(3000).hex().encode())
    (law / f"a.txt{compression}").write_bytes(data[: int(len(data) * keep)])
    refused(law, f"a.txt{compression}: cannot be decompressed (truncated?): ")


@pytest.mark.parametrize("compression", [c for c in PACK if c])
def test_a_file_that_is_not_compressed_says_so(law, compression):
    (law / f"a.jsonl{compression}").write_bytes(LINES)
    refused(law, f"a.jsonl{compression}: cannot be decompressed")


@pytest.mark.parametrize("keep", [0, 0.05, 0.5, 0.98])
def test_a_truncated_parquet_file_is_one_line(law, keep):
    parquet(law, text=[os.urandom(30).hex() for _ in range(500)])
    data = (law / "a.parquet").read_bytes()
    (law / "a.parquet").write_bytes(data[: int(len(data) * keep)])
    refused(law, "a.parquet: not a readable parquet file")


def test_parquet_with_a_broken_page_names_the_file(law):
    parquet(law, text=[os.urandom(30).hex() for _ in range(500)])
    data = bytearray((law / "a.parquet").read_bytes())
    data[500:3000] = bytes(2500)
    (law / "a.parquet").write_bytes(data)
    refused(law, "a.parquet")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(law, monkeypatch):
    """A file of 100 MB without a line end, one that decompresses to as much, and a text as large."""
    monkeypatch.setattr(streams, "MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(streams, "MAX_WHOLE_BYTES", 1 << 20)
    for name, pack in (("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.txt.zst", zstd)):
        (law / name).write_bytes(pack(b" " * 100_000_000))
        tracemalloc.start()
        refused(law, f"{name}", f"er than {1 << 20} bytes")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20_000_000
        (law / name).unlink()


def test_the_bound_of_a_line_is_exact(law, monkeypatch):
    line = b'{"text": "x"}\n'
    monkeypatch.setattr(streams, "MAX_LINE_BYTES", len(line))
    (law / "a.jsonl").write_bytes(line * 3)
    assert read(law) == (["x"] * 3, {})
    (law / "a.jsonl").write_bytes(line * 2 + b" " + line)
    refused(law, f"a.jsonl:3: longer than {len(line)} bytes; rows must be one line each")


# ---- folders


def test_what_is_not_read_is_named_in_one_line(law, capsys):
    (law / "a.jsonl").write_bytes(LINES)
    (law / "empty.jsonl").touch()
    (law / "part").mkdir()
    (law / "part" / "b.JSONL.ZST").write_bytes(zstd(LINES))
    for name in ("b.xml", "c.parquet.gz", "part/notes.md", "._a.jsonl", ".hidden.txt", "d.zip"):
        (law / name).write_bytes(b"\xb0")
    (law / ".ipynb_checkpoints").mkdir()
    (law / ".ipynb_checkpoints" / "a.jsonl").write_text("stale")
    os.mkfifo(law / "pipe.jsonl")
    assert read(law) == (TEXTS * 2, {})
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(law) in said
    assert "not read: b.xml, c.parquet.gz, d.zip, part/notes.md, pipe.jsonl (not a file)" in said
    assert (
        "hidden, passed over: ._a.jsonl, .hidden.txt, .ipynb_checkpoints" in said
        and "empty: empty.jsonl" in said
    )
    listed = [source["file"] for source in domain_sources(entry(law), "law")]
    assert listed == ["law/a.jsonl", "law/empty.jsonl", "law/part/b.JSONL.ZST"]
    assert capsys.readouterr().err == ""


def test_a_thousand_files_that_are_not_read_are_still_one_line(law, capsys):
    (law / "a.txt").write_text("text")
    for number in range(1000):
        (law / f"{number:04}.html").touch()
    read(law)
    assert (
        "0000.html, 0001.html" in (said := capsys.readouterr().err)
        and "and 980 more" in said
        and len(said) < 600
    )


def test_links_are_followed_once_and_loops_end(law, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "b.txt").write_text("linked")
    (law / "a.txt").write_text("here")
    (law / "x_first").symlink_to(elsewhere)
    (law / "y_again").symlink_to(elsewhere)
    (law / "up").symlink_to(law)
    (elsewhere / "deep" / "back").symlink_to(law.parent)
    (law / "file.txt").symlink_to(law / "a.txt")
    texts, _ = read(law)
    assert sorted(texts) == ["here", "here", "linked"]
    said = capsys.readouterr().err
    assert said.count("read already") >= 2 and "up (a link to a folder that is read already)" in said


def test_folders_that_all_link_to_each_other_are_no_maze(law):
    (law / "a.txt").write_text("here")
    for one in range(12):
        (law / f"d{one}").mkdir()
        for other in range(12):
            (law / f"d{one}" / f"l{other}").symlink_to(law / f"d{other}")
    assert read(law) == (["here"], {})


@pytest.mark.parametrize("target", ["gone.jsonl", "a.jsonl"])
def test_a_link_to_nothing_or_to_itself_is_refused_by_name(law, target):
    (law / "a.jsonl").symlink_to(law / target)
    refused(law, "a.jsonl: cannot be read: ")


def test_a_folder_or_file_without_permission_is_refused_by_name(law, monkeypatch):
    """Root may read anything, so the system's answer is put in its place."""
    (law / "a.jsonl").write_bytes(LINES)
    (law / "secret").mkdir()

    def forbid(method, name):
        true = getattr(Path, method)

        def refuse(self, *args, **kwargs):
            if self.name == name:
                raise PermissionError(13, "Permission denied", str(self))
            return true(self, *args, **kwargs)

        monkeypatch.setattr(Path, method, refuse)

    with monkeypatch.context():
        forbid("iterdir", "secret")
        refused(law, "secret: cannot be read: Permission denied")
    monkeypatch.undo()
    monkeypatch.setattr(
        "builtins.open", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    refused(law, "a.jsonl: cannot be read: Permission denied")
    with pytest.raises(UserError, match=r"a\.jsonl: cannot be read: Permission denied"):
        domain_sources(entry(law), "law")


def test_a_name_that_is_not_utf8_is_refused(law):
    (law / os.fsdecode(b"caf\xe9.jsonl")).write_bytes(LINES)
    refused(law, "'caf\\udce9.jsonl' is not UTF-8; rename")


def test_nothing_to_read_says_what_is_there(law):
    (law / ".a.jsonl").touch()
    (law / "a.xml").touch()
    refused(law, "no files for domain 'law'; read are .jsonl", "not read: a.xml", "passed over: .a.jsonl")


# ---- names of domains


def test_folders_get_other_names_in_the_config(law):
    (law / "a.txt").write_text("text")
    law.rename(law.parent / "2023-law.en")
    named = entry(law, domains={"law": "2023-law.en"})
    assert domain_names("mine", named) == ["law"]
    assert list(iter_documents(named, "law")) == ["text"]
    assert domain_sources(named, "law")[0]["file"] == "2023-law.en/a.txt"
    with pytest.raises(UserError, match=r"corpora\.mine\.domains: folder 'law' is not one of 2023-law\.en"):
        domain_names("mine", entry(law, domains={"law": "law"}))


@pytest.mark.parametrize(
    ("name", "why", "other"),
    [
        ("2023_news", "starts with a digit", 'd2023_news: "2023_news"'),
        ("CC-MAIN-2023-50", "has '-' in its name", 'CC_MAIN_2023_50: "CC-MAIN-2023-50"'),
        ("arXiv_cs.CL", "has '.' in its name", 'arXiv_cs_CL: "arXiv_cs.CL"'),
        ("a b#c", "has ' #' in its name", 'a_b_c: "a b#c"'),
    ],
)
def test_a_folder_whose_name_is_no_domains_says_why_and_what_to_write(law, name, why, other):
    (law.parent / name).mkdir()
    with pytest.raises(UserError) as caught:
        domain_names("mine", entry(law))
    message = str(caught.value)
    assert f"the folder {name!r} {why}" in message and "must be letters, digits and _" in message
    assert other in message and 'law: "law"' in message
    pasted = yaml.safe_load(message.partition("domains: ")[2])
    assert set(domain_names("mine", entry(law, domains=pasted))) == set(pasted)


def test_text_beside_folders_is_no_domain(law, capsys):
    (law / "a.txt").write_text("text")
    (law.parent / "verse").mkdir()
    (law.parent / "verse" / "a.txt").write_text("text")
    (law.parent / "b.jsonl").write_bytes(LINES)
    for domain in ("law", "verse"):
        assert list(iter_documents(entry(law), domain)) == ["text"]
    assert capsys.readouterr().err == f"local: {law.parent}: beside the domains' folders, not read: b.jsonl\n"


def test_text_without_folders_is_no_corpus(law):
    law.rmdir()
    (law.parent / "a.jsonl").write_bytes(LINES)
    with pytest.raises(UserError, match=r"no folder in it; a domain is a folder; .*not read: a\.jsonl"):
        domain_names("mine", entry(law))


def test_a_folder_that_cannot_be_listed_ends_the_plan_in_one_line(law, monkeypatch):
    monkeypatch.setattr(
        folder, "_inside", lambda path: (_ for _ in ()).throw(UserError(f"{path}: cannot be read"))
    )
    with pytest.raises(UserError, match="mine: cannot be read"):
        domain_names("mine", entry(law))
