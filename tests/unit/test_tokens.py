"""Token shards: what is written is what is read, across shard borders, and edits are noticed."""

import contextlib
import errno
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chameleon.core.errors import UserError
from chameleon.data import tokenizing
from chameleon.data.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer
from chameleon.data.tokenizing import tokenize
from chameleon.data.tokens import SPLITS, TokenCorpus

DOMAINS = ["red", "blue"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A corpus of two domains, its tokenizer, and its tokens in shards of 100."""
    root = tmp_path_factory.mktemp("tokens")
    for domain in DOMAINS:
        rows = [
            {
                "doc_id": f"{split}{i}",
                "split": split,
                "text": f"{domain} {split} text number {i}, " * (1 + i % 4),
            }
            for split, count in zip(SPLITS, (30, 4, 5), strict=True)
            for i in range(count)
        ]
        rows[0]["text"] = f"a document about {END_OF_TEXT} itself"
        (root / "corpus").mkdir(exist_ok=True)
        pd.DataFrame(rows).to_parquet(root / "corpus" / f"{domain}.parquet")
    spec = {"kind": "bpe", "vocab_size": 280, "bytes_per_domain": 1000, "seed": 0}
    train_tokenizer(spec, [("toy", d, root / "corpus" / f"{d}.parquet") for d in DOMAINS], root / "tokenizer")
    write(root, root / "out")
    return root


def write(root, out, shard_tokens=100):
    spec = {"corpus": "toy", "domains": DOMAINS, "shard_tokens": shard_tokens, "version": 1}
    tokenize(spec, root / "corpus", root / "tokenizer", out)


def test_every_document_is_there_once_and_ends_with_end_of_text(built):
    corpus = TokenCorpus(built / "out" / "manifest.json")
    tokenizer = load_tokenizer(built / "tokenizer")
    assert corpus.domains == ("red", "blue") and corpus.vocab_size == 280 and corpus.eot == 0
    for domain in DOMAINS:
        frame = pd.read_parquet(built / "corpus" / f"{domain}.parquet")
        for split in SPLITS:
            stream = corpus.stream(domain, split)
            bounds = [*stream.offsets.tolist(), len(stream)]
            texts = []
            for start, stop in zip(bounds, bounds[1:], strict=False):
                ids = stream.read(start, stop)
                assert ids[-1] == 0 and 0 not in ids[:-1], "also where the text says <|endoftext|>"
                texts.append(tokenizer.decode(ids[:-1]))
            wanted = frame.loc[frame["split"] == split, "text"].tolist()
            assert sorted(texts) == sorted(wanted) and stream.documents == len(wanted)
            if split == "train":
                assert texts != wanted, "documents are shuffled"


def test_reading_crosses_shards(built, tmp_path):
    write(built, tmp_path / "whole", shard_tokens=10**6)
    corpora = [TokenCorpus(folder / "manifest.json") for folder in (built / "out", tmp_path / "whole")]
    sharded, whole = (corpus.stream("red", "train") for corpus in corpora)
    assert len(list((built / "out" / "red").glob("train-*.bin"))) == -(-len(whole) // 100) > 3
    assert len(list((tmp_path / "whole" / "red").glob("train-*.bin"))) == 1
    assert len(sharded) == len(whole)
    everything = whole.read(0, len(whole))
    assert everything.dtype == np.int64
    for start, stop in [
        (0, 0),
        (0, 100),
        (99, 101),
        (100, 200),
        (50, 350),
        (0, len(whole)),
        (len(whole),) * 2,
    ]:
        np.testing.assert_array_equal(sharded.read(start, stop), everything[start:stop])


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, 10**9)])
def test_reading_outside_the_stream_is_refused(built, start, stop):
    with pytest.raises(ValueError, match="does not lie in"):
        TokenCorpus(built / "out" / "manifest.json").stream("red", "test").read(start, stop)


def test_tokenizing_twice_gives_the_same_bytes(built, tmp_path):
    write(built, tmp_path / "again")
    files = [p.relative_to(built / "out") for p in (built / "out").rglob("*") if p.is_file()]
    assert len(files) > 10
    for file in files:
        assert (built / "out" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_an_edited_manifest_or_a_cut_shard_is_refused(built, tmp_path):
    write(built, tmp_path / "bad")
    path = tmp_path / "bad" / "manifest.json"
    shard = tmp_path / "bad" / "red" / "train-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(
        UserError, match=r"train-00001\.bin: shard is 198 bytes long, the manifest says 100 tokens"
    ):
        TokenCorpus(path).stream("red", "train").read(0, 5)
    shard.unlink()
    with pytest.raises(UserError, match=r"train-00001\.bin: shard is missing"):
        TokenCorpus(path).stream("red", "train").read(0, 5)
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"vocab_size": 281}))
    with pytest.raises(UserError, match="sha256 does not match"):
        TokenCorpus(path)
    path.write_text(json.dumps(manifest | {"extra": 1}))
    with pytest.raises(UserError, match="unknown key 'extra'"):
        TokenCorpus(path)


def test_large_vocabularies_are_stored_in_four_bytes(built, tmp_path, monkeypatch):
    import chameleon.data.tokenizing as module

    big = load_tokenizer(built / "tokenizer")
    big.add_tokens([f"<{i}>" for i in range(2**16)])
    monkeypatch.setattr(module, "load_tokenizer", lambda folder: big)
    write(built, tmp_path / "big")
    assert json.loads((tmp_path / "big" / "manifest.json").read_text())["dtype"] == "<u4"
    small = TokenCorpus(built / "out" / "manifest.json").stream("blue", "test")
    wide = TokenCorpus(tmp_path / "big" / "manifest.json").stream("blue", "test")
    np.testing.assert_array_equal(wide.read(0, len(wide)), small.read(0, len(small)))


def test_unknown_domain_or_split_lists_the_known_ones(built):
    corpus = TokenCorpus(built / "out" / "manifest.json")
    with pytest.raises(UserError, match="domain 'green' is not one of red, blue"):
        corpus.stream("green", "train")
    with pytest.raises(UserError, match="split 'dev' is not one of train, validation, test"):
        corpus.stream("red", "dev")


def test_an_empty_split_is_one_line(built, tmp_path):
    frame = pd.read_parquet(built / "corpus" / "red.parquet")
    frame[frame["split"] != "test"].to_parquet(tmp_path / "red.parquet")
    spec = {"corpus": "toy", "domains": ["red"], "shard_tokens": 100, "version": 1}
    with pytest.raises(UserError, match="domain 'red': no documents in split 'test'"):
        tokenize(spec, tmp_path, built / "tokenizer", tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_full_disk_is_said_to_be_full(tmp_path, monkeypatch):
    """The command line turns this into one line; NumPy would say `6697 requested and 2048 written`."""

    @contextlib.contextmanager
    def full(path):
        yield Path("/dev/full")

    monkeypatch.setattr(tokenizing, "atomic", full)
    with pytest.raises(OSError) as caught:
        tokenizing.write_split([np.arange(5000)], tmp_path, "test", "<u2", 10**6)
    assert caught.value.errno == errno.ENOSPC
