"""tiktoken in the tokenizer's place: the same ids for any text, and not for a tokenizer of another kind."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chameleon.data import bpe, tokenizing
from chameleon.data.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer
from chameleon.data.tokens import TokenCorpus

TEXT = (Path(__file__).parents[1] / "data" / "text").rglob("*.txt")
ODD = (
    f"don't 'S  tabs\t\t\n\n  ends  {END_OF_TEXT}x\u00b2 \u4e09\u0660 "
    "e\u0301\u00e9 \U0001f600\u200b it'll\r\n  "
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("bpe")
    whale = "".join(path.read_text(encoding="utf-8") for path in TEXT)
    texts = [*(whale[i : i + 500] for i in range(0, 200_000, 500)), ODD]
    frame = pd.DataFrame({"doc_id": "0", "split": "train", "text": texts})
    held = [frame.head(3).assign(split=split) for split in ("validation", "test")]
    pd.concat([frame, *held]).to_parquet(root / "whale.parquet")
    spec = {"kind": "bpe", "vocab_size": 1500, "bytes_per_domain": 300_000, "seed": 0}
    train_tokenizer(spec, [("toy", "whale", root / "whale.parquet")], root / "tokenizer")
    return root


@pytest.fixture(scope="module")
def both(folder):
    tokenizer = load_tokenizer(folder / "tokenizer")
    return tuple(
        lambda texts, encode=encode: encode(pyarrow.array(texts, pyarrow.string())).to_pylist()
        for encode in (bpe.own(tokenizer), bpe.fast(tokenizer))
    )


def test_ids_are_the_tokenizers_own(both, folder):
    texts = [
        *pd.read_parquet(folder / "whale.parquet")["text"],
        ODD,
        "",
        " ",
        "\n \n",
        "a" * 5000,
        "ab" * 999,
    ]
    own, fast = both
    assert fast(texts) == own(texts)
    assert sum(map(len, fast(texts))) < sum(map(len, texts)) / 2, "merges are used"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_ids_are_the_tokenizers_own_for_any_text(both, text):
    own, fast = both
    assert fast([text]) == own([text])


# Blanks of every kind among words, and what Python alone takes for a blank.
BLANK = st.sampled_from(
    [*" \n\t\x0b\x0c\r\x85\xa0\u1680\u2003\u2028\u202f\u3000\x1c\x1f\u200b\ufeff", "  ", "\n\n", ""]
)
WORD = st.sampled_from(["a", "the", "'s", "!", "x1", "\u00e9", "\u4e09", "\x1c", ""])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(BLANK, WORD), max_size=12).map(lambda t: "".join(map("".join, t))), max_size=6
    )
)
def test_ids_are_the_tokenizers_own_among_blanks(both, texts):
    own, fast = both
    assert fast(texts) == own(texts)
    assert fast(texts) == own(texts), "and once the stretches are known"


@pytest.mark.parametrize(("stretches", "each"), [(50, 8), (10**6, 1e-4)])
def test_what_is_forgotten_is_encoded_again(both, folder, monkeypatch, stretches, each):
    monkeypatch.setattr(bpe, "REMEMBERED", stretches)
    monkeypatch.setattr(bpe, "EACH", each)
    own, fast = both
    texts = pd.read_parquet(folder / "whale.parquet")["text"].tolist()
    assert [ids for i in range(0, 60, 7) for ids in fast(texts[i : i + 7])] == own(texts[:63])


def telling(told):
    """Return a tokenizer that says this of itself."""
    return SimpleNamespace(backend_tokenizer=SimpleNamespace(to_str=lambda: json.dumps(told)))


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"dropout": 0.1}},
        {"model": {"byte_fallback": True}},
        {"pre_tokenizer": {"add_prefix_space": True}},
        {"pre_tokenizer": {"use_regex": False}},
        {"normalizer": {"type": "NFC"}},
        {"added_tokens": [{"id": 9, "content": "the", "special": False}]},
    ],
)
def test_another_kind_of_tokenizer_encodes_by_itself(folder, change):
    told = json.loads((folder / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    for key, value in change.items():
        told[key] = value if not isinstance(told[key], dict) else told[key] | value
    assert bpe.fast(telling(told)) is None


def test_ids_out_of_the_order_of_the_merges_are_refused(folder):
    told = json.loads((folder / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    assert bpe.fast(telling(told)) is not None
    told["model"]["merges"].reverse()
    assert bpe.fast(telling(told)) is None


def test_where_the_two_differ_the_tokenizer_is_right(folder, tmp_path, monkeypatch):
    spec = {"corpus": "toy", "domains": ["whale"], "shard_tokens": 10**6, "version": 1}
    tokenizing.tokenize(spec, folder, folder / "tokenizer", tmp_path / "fast")
    monkeypatch.setattr(
        bpe,
        "fast",
        lambda tokenizer: lambda texts: pyarrow.array([[7]] * len(texts), pyarrow.list_(pyarrow.uint32())),
    )
    tokenizing.tokenize(spec, folder, folder / "tokenizer", tmp_path / "wrong")
    manifests = [TokenCorpus(tmp_path / of / "manifest.json").sha256 for of in ("fast", "wrong")]
    assert manifests[0] == manifests[1]
