"""Preparing and tokenising in parts: the same bytes as in one job; one pass over a set of the hub."""

import json
import random

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from toy_config import PREPARED

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.corpora import prepare as preparing
from chameleon.data.corpora.base import Unit
from chameleon.data.corpora.clean import document_id, normalise, split_of
from chameleon.data.corpora.dedup import Index, NearDuplicates
from chameleon.data.corpora.kinds import hub
from chameleon.data.corpora.parts import files
from chameleon.data.corpora.parts.cap import Passing, under_cap
from chameleon.data.corpora.parts.read import share_out
from chameleon.data.tokenizer import train_tokenizer
from chameleon.stages import text as stages

DATA = {
    **PREPARED,
    "min_characters": 20,
    "max_characters": 2000,
    "split": {"validation": 0.2, "test": 0.2},
    "dedup": {**PREPARED["dedup"], "near": True},
}
NEAR = NearDuplicates(threshold=0.8, permutations=64, shingle_words=5)


def story(seed, words=80):
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(3000)}" for _ in range(words))


def documents(name, count=60):
    """Stories; every fourth is there again with other capitals, every fifth with another end."""
    for i in range(count):
        yield story(f"{name}{i}")
        if i % 4 == 0:
            yield story(f"{name}{i}").upper()
        if i % 5 == 0:
            yield f"{story(f'{name}{i}')} and an end {i % 3}"
    # A passage of another domain.
    yield from (f"{story(f'{other}3')} told by {name}" for other in "ab" if other != name)
    yield "short"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    root = tmp_path_factory.mktemp("local")
    for name in "ab":
        (root / name).mkdir()
        told = list(documents(name))
        for i in range(0, len(told), 40):
            rows = [json.dumps({"text": text}) for text in [*told[i : i + 40], None]]
            (root / name / f"{i:04d}.jsonl").write_text("\n".join(rows))
    return {"kind": "local", "path": str(root), "text_field": "text"}


@pytest.fixture(scope="module")
def on_the_hub(tmp_path_factory):
    """The same documents as one data set of five files, its rows mixed; some rows have no domain."""
    root = tmp_path_factory.mktemp("hub")
    rows = [(name, text) for name in "ab" for text in documents(name)] + [(None, "of no domain")] * 3
    random.Random(0).shuffle(rows)
    for i in range(5):
        mine = rows[i::5]
        meta = [{"set": name and f"Set{name.upper()}"} for name, _ in mine]
        table = pyarrow.table({"text": [text for _, text in mine], "meta": meta})
        pyarrow.parquet.write_table(table, root / f"train-{i:05d}-of-00005.parquet")
    return {
        "kind": "hf", "path": str(root), "split": "train", "text_field": "text", "domain_field": "meta.set",
        "domains": {"a": "SetA", "b": "SetB"}, "streaming": True,
    }  # fmt: skip


def spec_of(entry, **changes):
    return {"corpus": "mine", "entry": entry, "domains": ["a", "b"], "data": DATA | changes, "version": 1}


def in_jobs(spec, out, parts):
    """Prepare as the workflow does it: a job for every part of every step."""
    for step, reads in (("read", {}), ("gather", {"reads": [out / f"read{i}" for i in range(parts)]})):
        for i in range(parts):
            job = getattr(stages, step)
            job({**spec, "part": i, "parts": parts}, **reads, out=out / f"{step}{i}")
    (out / "sources.json").write_text("{}")
    folders = {f"{step}s": [out / f"{step}{i}" for i in range(parts)] for step in ("read", "gather")}
    stages.prepare(spec, out, 1, **folders)


def results(folder):
    return [(folder / name).read_bytes() for name in ("a.parquet", "b.parquet", "report.json")]


@pytest.mark.parametrize("changes", [{}, {"max_bytes_per_domain": 15_000}], ids=["all", "capped"])
@pytest.mark.parametrize("parts", [3, 40])
def test_any_number_of_parts_makes_the_same_bytes(local, tmp_path, parts, changes):
    spec = spec_of(local, **changes)
    preparing.prepare(spec, tmp_path / "one", 1)
    in_jobs(spec, tmp_path / "parts", parts)
    assert results(tmp_path / "parts") == results(tmp_path / "one")
    counts = read_json(tmp_path / "one" / "report.json")["domains"]["a"]["counts"]
    assert counts["exact_duplicates"] == 15 and counts["without_text"] == 3
    assert (counts["capped"] > 0) == bool(changes)
    assert counts["near_duplicates"] + counts["cross_split_duplicates"] > 0


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_set_of_the_hub_is_routed_in_one_pass(local, on_the_hub, tmp_path, parts, streaming, monkeypatch):
    preparing.prepare(spec_of(local), tmp_path / "local", 1)
    monkeypatch.setattr("chameleon.data.corpora.hub_rows.ROWS", 50)
    passes, read = [], hub.data_set_rows
    monkeypatch.setattr(hub, "data_set_rows", lambda *of: passes.append(of[1:]) or read(*of))
    spec = spec_of(on_the_hub | {"streaming": streaming})
    in_jobs(spec, tmp_path / "hub", parts)
    assert 1 < len(passes) == len(set(passes)) and {domain for domain, _ in passes} == {None}
    for name in "ab":
        mine, theirs = (pd.read_parquet(tmp_path / of / f"{name}.parquet") for of in ("hub", "local"))
        # Of equal documents the first stays, and these rows are in another order.
        assert mine["doc_id"].tolist() == theirs["doc_id"].tolist()
        assert mine["text"].str.lower().tolist() == theirs["text"].str.lower().tolist()
    counts = read_json(tmp_path / "hub" / "report.json")["domains"]["b"]["counts"]
    assert counts["without_domain"] == 3


def test_a_domain_that_no_row_has_is_one_line(on_the_hub, tmp_path):
    entry = on_the_hub | {"domains": {"a": "SetA", "b": "SetC"}}
    with pytest.raises(UserError, match="domain_field 'meta.set': 'SetC' is not one of SetB"):
        in_jobs(spec_of(entry), tmp_path, 2)
    assert not (tmp_path / "report.json").exists()


def test_the_documents_that_stay_are_those_of_one_index_over_all(local, tmp_path):
    """The oracle: no bands sorted beforehand, every document of a domain compared with all kept before it."""
    preparing.prepare(spec_of(local), tmp_path, 1)
    for name in "ab":
        found = {document_id(normalise(text)): text for text in documents(name) if len(text) >= 20}
        index, kept = Index(NEAR), {}
        for doc_id in sorted(found):
            document = NEAR.document(found[doc_id])
            if not index.matches(document):
                index.add(doc_id, document)
                kept[doc_id] = split_of(doc_id, DATA["split"])
        frame = pd.read_parquet(tmp_path / f"{name}.parquet")
        ours = dict(zip(frame["doc_id"], frame["split"], strict=True))
        leaks = read_json(tmp_path / "report.json")["domains"][name]["counts"]["cross_split_duplicates"]
        assert ours.items() <= kept.items() and len(kept) - len(ours) <= leaks
        assert len(kept) < len(found)


def test_what_is_in_memory_is_written_when_it_is_much(local, tmp_path, monkeypatch):
    preparing.prepare(spec_of(local), tmp_path / "one", 1)
    monkeypatch.setattr(files, "HELD", 3000)
    preparing.prepare(spec_of(local), tmp_path / "two", 1)
    assert results(tmp_path / "one") == results(tmp_path / "two")


def test_row_groups_are_bounded(local, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "GROUP", 5000)
    preparing.prepare(spec_of(local), tmp_path, 1)
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups > 5


@pytest.mark.parametrize("seed", range(5))
def test_what_passes_by_and_fits_holds_all_that_fits(seed):
    """The stream drops none of the sample, and most of the rest once it has seen enough."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(5000).astype(np.uint64) << np.uint64(40)
    sizes = rng.integers(1, 200, 5000)
    chosen = under_cap(keys, sizes, 20_000)
    assert sizes[chosen].sum() <= 20_000 < sizes[chosen].sum() + 200
    passing = Passing(20_000)
    twice = [i for i in range(5000) for _ in range(1 + i % 2)]
    fits = {i: passing.fits(int(keys[i]), "x" * int(sizes[i])) for i in twice}
    through = np.array([fits[i] for i in range(5000)])
    assert through[chosen].all() and through.sum() < 1500
    assert under_cap(keys[through], sizes[through], 20_000).sum() == chosen.sum()


def test_units_are_shared_out_in_order_and_about_evenly():
    units = [Unit("a", i, size) for i, size in enumerate([5, 1, 1, 1, 9, 1, 1, 1])]
    shares = share_out(units, 3)
    assert [unit for share in shares for unit in share] == list(enumerate(units))
    assert [sum(unit.size for _, unit in share) for share in shares] == [7, 10, 3]
    assert [len(share) for share in share_out(units[:1], 3)] == [0, 1, 0]


@pytest.mark.parametrize("parts", [2, 7])
def test_tokens_do_not_depend_on_the_parts(local, tmp_path, parts, monkeypatch):
    monkeypatch.setattr(preparing, "GROUP", 5000)
    corpus = tmp_path / "corpus"
    preparing.prepare(spec_of(local), corpus, 1)
    bpe = {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 5000, "seed": 0}
    tokenizer = tmp_path / "tokenizer"
    train_tokenizer(bpe, [("mine", d, corpus / f"{d}.parquet") for d in "ab"], tokenizer)
    spec = {"corpus": "mine", "domains": ["a", "b"], "shard_tokens": 2048, "version": 1}
    stages.tokens(spec, corpus, tokenizer, tmp_path / "one", 1)
    encoded = [tmp_path / f"encode{i}" for i in range(parts)]
    for i, folder in enumerate(encoded):
        stages.encode({**spec, "part": i, "parts": parts}, corpus, tokenizer, folder, 1)
    stages.tokens(spec, corpus, tokenizer, tmp_path / "parts", 1, encoded=encoded)
    one, other = (
        {str(p.relative_to(tmp_path / of)): p.read_bytes() for p in (tmp_path / of).rglob("*.*")}
        for of in ("one", "parts")
    )
    assert one.pop("run.json") and other.pop("run.json")
    assert one == other and len(one) > 10


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAMELEON_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def never(*args, **options):
    raise AssertionError("made again what is in the store")


def test_a_corpus_in_the_store_is_taken_whatever_the_parts(local, tmp_path, shared, monkeypatch, capsys):
    spec = spec_of(local) | {"text": "digest of the files"}
    in_jobs(spec, tmp_path / "first", 1)
    monkeypatch.setattr(preparing, "read_part", never)
    monkeypatch.setattr(preparing, "finish", never)
    in_jobs(spec, tmp_path / "second", 3)
    assert results(tmp_path / "first") == results(tmp_path / "second")
    assert "taken from the store" in capsys.readouterr().err
    record = read_json(tmp_path / "second" / "run.json")
    assert len(record["outputs"]) == 3, "its record is that of any other"
    with pytest.raises(AssertionError, match="made again"):
        in_jobs(spec | {"text": "digest of others"}, tmp_path / "third", 1)


def test_a_damaged_entry_is_made_anew(local, tmp_path, shared, monkeypatch, capsys):
    spec = spec_of(local) | {"text": "digest of the files"}
    in_jobs(spec, tmp_path / "first", 1)
    (stored,) = shared.rglob("a.parquet")
    stored.unlink()
    stored.write_bytes(b"no parquet")
    in_jobs(spec, tmp_path / "second", 2)
    assert results(tmp_path / "first") == results(tmp_path / "second")
    assert "its bytes are not those that were stored; made anew" in capsys.readouterr().err


def test_what_may_change_behind_its_name_is_not_stored(local, on_the_hub, tmp_path, shared):
    for number, entry in enumerate((local, on_the_hub)):
        in_jobs(spec_of(entry), tmp_path / str(number), 1)
    assert not shared.exists()
    in_jobs(spec_of(on_the_hub | {"revision": "main"}), tmp_path / "pinned", 1)
    assert len(list(shared.rglob("report.json"))) == 1


def test_tokens_in_the_store_are_taken_and_measured(local, tmp_path, shared, monkeypatch):
    corpus, tokenizer = tmp_path / "corpus", tmp_path / "tokenizer"
    preparing.prepare(spec_of(local), corpus, 1)
    bpe = {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 5000, "seed": 0}
    train_tokenizer(bpe, [("mine", d, corpus / f"{d}.parquet") for d in "ab"], tokenizer)
    spec = {"corpus": "mine", "domains": ["a", "b"], "shard_tokens": 2048, "version": 1}
    stages.tokens(spec, corpus, tokenizer, tmp_path / "one", 1)
    monkeypatch.setattr("chameleon.data.tokenizing.tokenize", never)
    stages.encode({**spec, "part": 0, "parts": 1}, corpus, tokenizer, tmp_path / "encode0", 1)
    stages.tokens(spec, corpus, tokenizer, tmp_path / "two", 1, encoded=[tmp_path / "encode0"])
    one, two = (read_json(tmp_path / of / "manifest.json") for of in ("one", "two"))
    assert one == two and (tmp_path / "two" / "a" / "train-00000.bin").is_file()
    with pytest.raises(UserError, match="its test split holds"):
        stages.tokens(
            spec, corpus, tokenizer, tmp_path / "three", 1, {"test": [10**9, "evaluation.test_tokens"]}
        )


def test_a_store_that_cannot_be_written_costs_a_line(local, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CHAMELEON_STORE", str(tmp_path / "file"))
    in_jobs(spec_of(local) | {"text": "digest of the files"}, tmp_path / "out", 1)
    assert (tmp_path / "out" / "report.json").is_file()
    assert "not stored" in capsys.readouterr().err
