"""The corpus kinds: registry of kinds, local folders, hub data sets through `datasets`, synthetic text."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from raw_documents import iter_documents

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import domain_names, domain_sources
from chameleon.data.corpora.kinds.synthetic import MIXTURES, vocabulary


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; from chameleon.data.corpora.base import domain_names as d;"
        "d('a', {'kind': 'synthetic'});"
        "d('b', {'kind': 'registry', 'set': 'slim7'});"
        "print([m for m in ('torch', 'transformers', 'datasets', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_slim7_has_seven_domains_in_a_fixed_order():
    entry = {"kind": "registry", "set": "slim7"}
    assert domain_names("slim7", entry) == ["papers", "books", "news", "messy_web", "code", "qa", "wiki"]
    assert domain_names("slim7", entry | {"domains": ["wiki", "books"]}) == ["wiki", "books"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "web"}, "corpora.x.kind: 'web' is not one of hf, local, registry, synthetic"),
        ({}, "corpora.x.kind: None is not one of"),
        (
            {"kind": "registry", "set": "slim8"},
            "corpora.x.set: 'slim8' is not one of code7, languages, pile_new, slim7",
        ),
        (
            {"kind": "registry", "set": "slim7", "domains": ["bocks"]},
            "domains: 'bocks' is not one of papers, books",
        ),
        ({"kind": "registry", "set": "slim7", "sett": 1}, "unknown key 'sett'; valid keys: domains, set"),
        ({"kind": "local", "path": "no/such"}, "corpora.x.path: no such folder: 'no/such'"),
        ({"kind": "local"}, "corpora.x.path: no such folder"),
        ({"kind": "hf", "split": "train", "text_field": "text"}, "kind hf needs the key 'path'"),
        ({"kind": "hf", "path": "p", "split": "train", "text_field": "t"}, "kind hf needs one of"),
        (
            {"kind": "hf", "path": "p", "split": "s", "text_field": "t", "domains": {"a": "b"}},
            "kind hf needs one of",
        ),
        (
            {"kind": "hf", "path": "p", "split": "s", "text_field": "t", "configs": {"a b": "c"}},
            "must be letters",
        ),
    ],
)
def test_bad_entries_are_one_line(entry, message):
    with pytest.raises(UserError) as caught:
        domain_names("x", entry)
    assert message in str(caught.value) and "\n" not in str(caught.value)


# ---- local


@pytest.fixture
def folder(tmp_path):
    for name in ("law", "verse"):
        (tmp_path / name).mkdir()
    (tmp_path / "law" / "a.jsonl").write_text('{"body": "one"}\n\n{"body": "two\\u00e9"}\n')
    with gzip.open(tmp_path / "law" / "b.jsonl.gz", "wt") as handle:
        handle.write('{"body": "three"}\n')
    table = pyarrow.table({"body": ["four", None, "five"]})
    pyarrow.parquet.write_table(table, tmp_path / "law" / "c.parquet")
    (tmp_path / "verse" / "b.txt").write_bytes("\ufeffsecond".encode())
    (tmp_path / "verse" / "a.txt").write_text("first\n")
    (tmp_path / "verse" / "notes.md").write_text("not read")
    return tmp_path


def local(folder, **changes):
    return {"kind": "local", "path": str(folder), "text_field": "body"} | changes


def test_local_reads_every_format_in_file_order(folder):
    entry = local(folder)
    assert domain_names("mine", entry) == ["law", "verse"]
    assert list(iter_documents(entry, "law")) == ["one", "two\u00e9", "three", "four", "five"]
    assert list(iter_documents(entry, "verse")) == ["first\n", "second"]
    sources = domain_sources(entry, "verse")
    assert [s["file"] for s in sources] == ["verse/a.txt", "verse/b.txt"] and sources[0]["bytes"] == 6


def test_local_non_utf8_names_file_and_offset(folder):
    (folder / "verse" / "a.txt").write_bytes(b"caf\xe9 au lait")
    with pytest.raises(UserError, match=r"verse/a\.txt:1: not UTF-8 at byte 3 \(0xe9\)"):
        list(iter_documents(local(folder), "verse"))
    (folder / "law" / "a.jsonl").write_bytes(b'{"body": "one"}\n{"body": "\xff"}\n')
    with pytest.raises(UserError, match=r"law/a\.jsonl:2: not UTF-8 at byte 26 \(0xff\)"):
        list(iter_documents(local(folder), "law"))


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("a.jsonl", b'{"body": "x"}\nnot json\n', r"a\.jsonl:2: not valid JSON"),
        ("a.jsonl", b'{"text": "x", "n": 1}\n', r"a\.jsonl:1: text_field: 'body' is not one of n, text"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl:1: text_field 'body': a row must be an object.*a list"),
        (
            "b.jsonl.gz",
            gzip.compress(b'{"body": "x"}\n' * 99, mtime=0)[:-12],
            r"b\.jsonl\.gz: cannot be decompressed",
        ),
        ("b.jsonl.gz", b"plain", r"b\.jsonl\.gz: cannot be decompressed"),
        ("c.parquet", b"PAR1 no", r"c\.parquet: not a readable parquet file"),
    ],
)
def test_local_broken_files_are_one_line(folder, file, data, message):
    (folder / "law" / file).write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        list(iter_documents(local(folder), "law"))
    assert "\n" not in str(caught.value)


def test_local_parquet_without_the_column_lists_the_columns(folder):
    (folder / "law" / "a.jsonl").unlink()
    (folder / "law" / "b.jsonl.gz").unlink()
    with pytest.raises(UserError, match=r"c\.parquet: text_field: 'text' is not one of body"):
        list(iter_documents(local(folder, text_field="text"), "law"))


def test_local_domain_without_files(folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "a.xml").write_text("text\n")
    with pytest.raises(
        UserError, match=r"no files for domain 'empty'; read are .jsonl, .*; there: .* a\.xml"
    ):
        list(iter_documents(local(folder), "empty"))


# ---- hf, through `datasets` on local folders laid out like the hub's


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf-cache"))
    datasets.disable_progress_bars()


@pytest.fixture
def slimpajama(tmp_path, hub_cache):
    """The layout of the paper's set: one parquet file per split, the domain in a nested struct."""
    data = tmp_path / "SlimPajama-mini" / "data"
    data.mkdir(parents=True)
    rows = [
        ("a1", "RedPajamaArXiv"),
        ("w1", "RedPajamaWikipedia"),
        ("a2", "RedPajamaArXiv"),
        ("", "RedPajamaArXiv"),
    ]
    rows.append(("a3", "RedPajamaArXiv"))
    table = pyarrow.table(
        {
            "text": [text for text, _ in rows],
            "meta": [{"redpajama_set_name": name} for _, name in rows],
        }
    )
    for split in ("train", "test"):
        pyarrow.parquet.write_table(table, data / f"{split}-00000-of-00001.parquet")
    return {
        "kind": "hf",
        "path": str(data.parent),
        "split": "train",
        "text_field": "text",
        "domain_field": "meta.redpajama_set_name",
        "domains": {"arxiv": "RedPajamaArXiv", "wikipedia": "RedPajamaWikipedia"},
    }


@pytest.mark.parametrize("streaming", [False, True])
def test_hf_domain_field(slimpajama, streaming):
    entry = slimpajama | {"streaming": streaming}
    assert domain_names("slim", entry) == ["arxiv", "wikipedia"]
    assert list(iter_documents(entry, "arxiv")) == ["a1", "a2", "a3"]
    assert list(iter_documents(entry, "wikipedia")) == ["w1"]
    assert list(iter_documents(entry | {"max_documents": 2}, "arxiv")) == ["a1", "a2"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domains": {"arxiv": "ArXiv"}}, "'ArXiv' is not one of RedPajamaArXiv, RedPajamaWikipedia"),
        (
            {"domain_field": "meta.set"},
            "row 1: domain_field: 'meta.set' is not one of meta.redpajama_set_name",
        ),
        ({"domain_field": "text.set"}, "domain_field 'text.set': column 'text' holds text that is no JSON"),
        ({"text_field": "content"}, "text_field: 'content' is not one of meta.redpajama_set_name, text"),
        ({"split": "trian"}, "trian"),
        (
            {"path": "no/such/folder/here"},
            "corpus no/such/folder/here: datasets cannot load it",
        ),
    ],
)
def test_hf_bad_entries_are_one_line(slimpajama, change, message, streaming, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError) as caught:
        list(iter_documents(slimpajama | {"streaming": streaming} | change, "arxiv"))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_hf_one_config_per_domain(tmp_path, hub_cache):
    root = tmp_path / "wiki"
    configs = []
    for language in ("de", "fr"):
        (root / language).mkdir(parents=True)
        (root / language / "train.jsonl").write_text(json.dumps({"content": f"{language} text"}) + "\n")
        configs.append(f"- config_name: 20231101.{language}\n  data_files: {language}/train.jsonl\n")
    (root / "README.md").write_text("---\nconfigs:\n" + "".join(configs) + "---\n")
    entry = {"kind": "hf", "path": str(root), "split": "train", "text_field": "content"}
    by_config = entry | {"configs": {"german": "20231101.de", "french": "20231101.fr"}}
    assert domain_names("wiki", by_config) == ["german", "french"]
    assert list(iter_documents(by_config, "french")) == ["fr text"]
    with pytest.raises(UserError, match="20231101.de"):
        list(iter_documents(entry | {"configs": {"french": "fr"}}, "french"))


def test_hf_one_folder_per_domain(tmp_path, hub_cache):
    for language in ("c", "rust"):
        folder = tmp_path / "stack" / "data" / language
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(
            pyarrow.table({"content": [f"{language} code"]}), folder / "train-0.parquet"
        )
    entry = {"kind": "hf", "path": str(tmp_path / "stack"), "split": "train", "text_field": "content"}
    entry["data_dirs"] = {"c": "data/c", "rust": "data/rust"}
    assert list(iter_documents(entry, "rust")) == ["rust code"]
    assert domain_sources(entry, "rust")[0]["version"] == "not pinned"


# ---- synthetic


def unigrams(entry, domain):
    index = {word: i for i, word in enumerate(vocabulary())}
    words = [w for d in iter_documents(entry, domain) for w in d.lower().replace(".", " ").split()]
    return np.bincount([index[w] for w in words], minlength=len(index)) / len(words)


def test_synthetic_is_seeded_ascii_words():
    entry = {"kind": "synthetic", "documents": 5, "words": 48}
    documents = list(iter_documents(entry, "blend"))
    assert (
        documents
        == list(iter_documents(entry, "blend"))
        != list(iter_documents(entry | {"seed": 1}, "blend"))
    )
    assert len(set(documents)) == 5 and all(len(d.split()) == 48 and d.isascii() for d in documents)
    assert len(set(vocabulary())) == 200


def test_synthetic_blend_is_the_mean_of_the_others():
    others = np.mean([MIXTURES[d] for d in MIXTURES if d != "blend"], axis=0)
    np.testing.assert_allclose(MIXTURES["blend"], others, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_synthetic_leverage_scores_have_the_promised_order(seed):
    """With word frequencies in place of hidden states, and an independent formula for the scores."""
    entry = {"kind": "synthetic", "documents": 150, "seed": seed}
    rows = 100 * np.array([unigrams(entry, domain) for domain in MIXTURES])
    u, s, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    scores = dict(zip(MIXTURES, (u**2) @ (s**2 / (s**2 + 50)), strict=True))
    twins = scores["twin_one"], scores["twin_two"]
    assert scores["blend"] < min(twins) / 4
    assert max(twins) < scores["cousin"] < scores["unique"]


def test_synthetic_unique_shares_no_word_with_the_twins():
    entry = {"kind": "synthetic", "documents": 50}
    assert unigrams(entry, "unique") @ unigrams(entry, "twin_one") == 0
    assert unigrams(entry, "unique") @ unigrams(entry, "blend") > 0
