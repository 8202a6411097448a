"""The same text in whatever files, in a data set or as token shards gives the same windows."""

import bz2
import csv
import gzip
import json
import struct

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from unit import weigh_models

from chameleon.core.errors import UserError
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.models import load
from chameleon.weighing.text import shards, sources
from chameleon.weighing.text.sample import Sampler

TEXTS = weigh_models.documents("food", 30)


def windows(path, name="food"):
    domains = {name: path}
    found = sources.draw_folders(domains, "text", lambda d: Sampler("food", 40, 50, 0))
    return found.samplers[name].drawn(), found.samplers[name].documents, found.notes


def jsonl(texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def write(folder, form):
    folder.mkdir()
    if form == "jsonl":
        (folder / "a.jsonl").write_text(jsonl(TEXTS))
    elif form == "jsonl.gz":
        (folder / "a.jsonl.gz").write_bytes(gzip.compress(jsonl(TEXTS).encode()))
    elif form == "jsonl.zst":
        with pyarrow.CompressedOutputStream(folder / "a.jsonl.zst", "zstd") as handle:
            handle.write(jsonl(TEXTS).encode())
    elif form == "csv.bz2":
        lines = ["text,n", *(f'"{text}",1' for text in TEXTS)]
        (folder / "a.csv.bz2").write_bytes(bz2.compress("\r\n".join(lines).encode()))
    elif form == "tsv":
        with open(folder / "a.tsv", "w", newline="") as handle:
            csv.writer(handle, delimiter="\t").writerows(
                [["n", "text"], *([i, t] for i, t in enumerate(TEXTS))]
            )
    elif form == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), folder / "a.parquet")
    elif form == "txt":
        for i, text in enumerate(TEXTS):
            (folder / f"{i:03d}.txt").write_text(text)
    elif form == "two files":
        (folder / "a.jsonl").write_text(jsonl(TEXTS[:7]))
        pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS[7:]}), folder / "b.parquet")
    return folder


FORMS = ["jsonl", "jsonl.gz", "jsonl.zst", "csv.bz2", "tsv", "parquet", "txt", "two files"]


@pytest.mark.parametrize("form", FORMS)
def test_files_of_every_form(tmp_path, form):
    expected = windows(write(tmp_path / "expected", "jsonl"))
    assert windows(write(tmp_path / "food", form)) == expected


def test_a_large_txt_is_read_in_blocks(tmp_path):
    text = "süß und länger 日本 " * 200_000
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    sampler = sources.draw_folders(
        {"a": tmp_path / "a.txt"}, "text", lambda d: Sampler(d, 5, 50, 0)
    ).samplers["a"]
    assert (sampler.documents, sampler.characters_seen) == (1, len(text))


def test_quoted_fields_over_lines_and_a_null(tmp_path):
    (tmp_path / "a.csv").write_text('id,text\n1,"one\ntwo, ""three"""\n2,\n')
    found = sources.draw_folders({"a": tmp_path / "a.csv"}, "text", lambda d: Sampler(d, 1, 50, 0))
    assert found.samplers["a"].drawn()[0].pieces == ('one\ntwo, "three"',)
    assert found.notes == ["a: 1 rows without text passed over"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,text,text\n1,b,c\n", "a.csv:1: the column 'text' is there twice"),
        ("a,text\n1,b,c\n", "a.csv:2: 3 fields, and the header has 2"),
        ("a,b\n1,2\n", "'text' is not one of a, b"),
        ('a,text\n1,"b', "not separated values"),
    ],
)
def test_bad_tables(tmp_path, content, words):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match=words):
        windows(tmp_path / "a.csv")


def test_domains_by_folder_and_by_path(tmp_path):
    root = weigh_models.folders(tmp_path / "all")
    assert list(sources.named([root])) == ["code", "food", "law"]
    assert list(sources.named([root / "law", root / "food" / "a.jsonl"])) == ["law", "a"]
    with pytest.raises(UserError, match="no folder in it; a domain is a folder .*a.jsonl.*name the files"):
        sources.named([root / "law"])
    with pytest.raises(UserError, match="two domains are called 'a'"):
        sources.named([root / "law" / "a.jsonl", root / "food" / "a.jsonl"])
    with pytest.raises(UserError, match="no such folder or file: '/none'"):
        sources.named(["/none"])
    (root / "empty").mkdir()
    with pytest.raises(UserError, match="no files for domain 'empty'"):
        sources.draw_folders(sources.named([root]), "text", lambda d: Sampler(d, 1, 9, 0))


def test_a_data_set_is_read_once_for_all_domains(tmp_path):
    rows = [
        {"text": t, "meta": {"set": d}} for d in weigh_models.WORDS for t in weigh_models.documents(d, 20)
    ]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    rows += [{"text": None, "meta": {"set": "law"}}, {"text": "x", "meta": {"set": None}}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = lambda d: Sampler(d, 30, 50, 0)  # noqa: E731
    found = sources.draw_dataset(str(tmp_path), {"split": "train"}, "text", "meta.set", made)
    assert list(found.samplers) == ["code", "food", "law"]
    assert found.notes == ["1 rows without text passed over", "1 rows without domain passed over"]
    for domain, sampler in found.samplers.items():
        alone = made(domain)
        for row in rows:
            if row["meta"]["set"] == domain and row["text"]:
                alone.add(row["text"])
        assert sampler.drawn() == alone.drawn()


def test_a_data_set_that_is_none(tmp_path):
    with pytest.raises(UserError, match="datasets cannot load it"):
        sources.draw_dataset(str(tmp_path / "none"), {"split": "train"}, "text", "set", lambda d: None)
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(UserError, match="row 1: domain_field: 'set' is not one of text"):
        sources.draw_dataset(str(tmp_path), {"split": "train"}, "text", "set", lambda d: None)


def megatron(prefix, documents):
    """Write documents as Megatron does: ids in .bin; lengths, places and documents in .idx."""
    np.concatenate(documents).astype("<u2").tofile(prefix.with_suffix(".bin"))
    lengths = np.array([len(d) for d in documents], "<i4")
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, len(documents), len(documents) + 1)
    places = np.concatenate([[0], np.cumsum(lengths[:-1].astype("<i8") * 2)]).astype("<i8")
    body = lengths.tobytes() + places.tobytes() + np.arange(len(documents) + 1, dtype="<i8").tobytes()
    prefix.with_suffix(".idx").write_bytes(head + body)


@pytest.fixture
def embedder(tmp_path):
    return Embedder(load(str(weigh_models.make(tmp_path / "model"))), None, 16)


def test_token_shards(tmp_path, embedder):
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 250, int(n)) for n in rng.integers(20, 60, 12)]
    root = tmp_path / "shards"
    root.mkdir()
    megatron(root / "a", documents)
    np.save(root / "b.npy", np.concatenate(documents).astype(np.int32))
    domains = shards.found([root])
    assert {d: [p.name for p in paths] for d, paths in domains.items()} == {"a": ["a.idx"], "b": ["b.npy"]}
    found = shards.texts(domains, embedder, 200, 0, None)
    ends, stream = np.cumsum([len(d) for d in documents]), np.concatenate(documents)
    ids, begins = found["a"].first(200)
    joined = "," + ",".join(map(str, stream)) + ","
    for row, document in zip(ids, begins, strict=True):
        place = joined.index("," + ",".join(map(str, row)) + ",")
        token = joined[:place].count(",")
        assert document == np.searchsorted(ends, token, side="right") + 1
    about = found["a"].known
    assert (about.documents, about.tokens) == (12, len(stream))
    assert found["b"].known.documents is None and len(found["b"].first(200)[0]) == 200
    assert shards.found([root / "a"]) == {"a": [root / "a.idx"]}


def test_shards_of_another_tokenizer(tmp_path, embedder):
    root = tmp_path / "shards"
    root.mkdir()
    np.save(root / "a.npy", np.arange(1000) % 400)
    with pytest.raises(
        UserError, match="a.npy: holds the id 3.., and the embedder's tokenizer has 259 tokens"
    ):
        shards.texts(shards.found([root]), embedder, 200, 0, None)["a"].first(200)
    np.save(root / "a.npy", np.arange(1000) % 200)
    own = weigh_models.make(tmp_path / "other")
    again = shards.texts(shards.found([root]), embedder, 20, 0, str(own))["a"].first(20)[0]
    assert all(0 < len(row) <= 16 for row in again)


@pytest.mark.parametrize("damage", ["magic", "short", "bin"])
def test_broken_shards(tmp_path, damage):
    megatron(tmp_path / "a", [np.arange(50), np.arange(60)])
    idx = tmp_path / "a.idx"
    if damage == "magic":
        idx.write_bytes(b"x" + idx.read_bytes()[1:])
    elif damage == "short":
        idx.write_bytes(idx.read_bytes()[:60])
    else:
        (tmp_path / "a.bin").write_bytes((tmp_path / "a.bin").read_bytes()[:-2])
    with pytest.raises(UserError, match="a.(idx|bin)"):
        shards.read(idx)


def test_shards_and_text_together(tmp_path):
    root = weigh_models.folders(tmp_path / "all")
    (root / "shards").mkdir()
    np.save(root / "shards" / "a.npy", np.arange(9))
    with pytest.raises(UserError, match="side by side"):
        shards.found([root])
