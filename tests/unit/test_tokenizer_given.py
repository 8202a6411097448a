"""A tokenizer of the user's own: documents end with a proper token, ids fit the model, no code of it runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chameleon.core.errors import UserError
from chameleon.data.tokenizer import load_tokenizer, train_tokenizer
from chameleon.data.tokenizing import tokenize
from chameleon.data.tokens import SPLITS, TokenCorpus
from chameleon.training.model import load_pretrained

ALPHABET = "abcdefgh "


def folder(root: Path, vocabulary: dict[str, int], special: tuple[str, ...] = (), **config: Any) -> Path:
    """Write a tokenizer of single letters; `special` are added tokens, `config` its tokenizer_config.json."""
    from tokenizers import AddedToken, Tokenizer, models

    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token) for token in special])
    truncated = json.loads(tokenizer.to_str()) | config.pop("json", {})
    root.mkdir()
    (root / "tokenizer.json").write_text(json.dumps(truncated))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", **config}
    (root / "tokenizer_config.json").write_text(json.dumps(settings))
    return root


def letters(*more: str) -> dict[str, int]:
    return {token: i for i, token in enumerate((*ALPHABET, "<unk>", *more))}


def used(tmp_path: Path, source: Path) -> TokenCorpus:
    """Return a corpus of three documents in tokens of the tokenizer in `source`."""
    train_tokenizer({"kind": "gpt2", "path": str(source)}, [], tmp_path / "tokenizer")
    (tmp_path / "corpus").mkdir()
    frame = pd.DataFrame({"split": SPLITS, "text": ["abc abc abc", "bad", "cab </s> a"]})
    frame.to_parquet(tmp_path / "corpus" / "red.parquet")
    spec = {"corpus": "toy", "domains": ["red"], "shard_tokens": 1024, "version": 1}
    tokenize(spec, tmp_path / "corpus", tmp_path / "tokenizer", tmp_path / "tokens")
    return TokenCorpus(tmp_path / "tokens" / "manifest.json")


def test_the_token_that_ends_a_sequence_ends_documents(tmp_path: Path) -> None:
    corpus = used(tmp_path, folder(tmp_path / "tok", letters("</s>"), ("</s>",), eos_token="</s>"))
    stream = corpus.stream("red", "test")
    ids = stream.read(0, len(stream))
    assert corpus.eot == 10 == ids[-1] and 10 not in ids[:-1], "also where the text says </s>"


def test_end_of_text_wins_and_begins_prompts(tmp_path: Path) -> None:
    corpus = used(tmp_path, folder(tmp_path / "tok", letters("<|endoftext|>"), ("<|endoftext|>",)))
    assert corpus.eot == 10 and load_tokenizer(tmp_path / "tokenizer").eos_token_id == 10


@pytest.mark.parametrize("config", [{}, {"eos_token": "<unk>"}, {"sep_token": "[SEP]"}])
def test_without_one_it_is_refused(tmp_path: Path, config: dict[str, str]) -> None:
    source = folder(tmp_path / "tok", letters("[SEP]"), **config)
    with pytest.raises(
        UserError, match=r"tokenizer\.path: .*tok': no end-of-text token: neither <\|endoftext"
    ) as e:
        train_tokenizer({"kind": "gpt2", "path": str(source)}, [], tmp_path / "out")
    assert "\n" not in str(e.value) and not (tmp_path / "out").exists()


def test_a_hole_in_the_ids_is_a_row_that_nobody_uses(tmp_path: Path) -> None:
    vocabulary = letters() | {"</s>": 13}
    corpus = used(tmp_path, folder(tmp_path / "tok", vocabulary, ("</s>",), eos_token="</s>"))
    stream = corpus.stream("red", "train")
    assert corpus.vocab_size == 14 and corpus.eot == 13
    assert stream.read(0, len(stream)).max() < corpus.vocab_size


def test_ids_far_beyond_the_number_of_tokens_are_refused(tmp_path: Path) -> None:
    """Seen in the file itself: the library would make room for two thousand million tokens."""
    source = folder(tmp_path / "tok", letters("</s>"), ("</s>",), eos_token="</s>")
    given = json.loads((source / "tokenizer.json").read_text())
    given["model"]["vocab"]["</s>"] = given["added_tokens"][0]["id"] = 2_000_000_000
    (source / "tokenizer.json").write_text(json.dumps(given))
    with pytest.raises(
        UserError, match=r"tokenizer\.path: .*ids go from 0 to 2000000000, but there are 11 tok"
    ):
        train_tokenizer({"kind": "gpt2", "path": str(source)}, [], tmp_path / "out")


def test_documents_are_neither_cut_nor_filled(tmp_path: Path) -> None:
    """Encoders' tokenizers say how long their input may be."""
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    fill = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "a"}  # fmt: skip
    given = {"json": {"truncation": cut, "padding": fill}, "eos_token": "</s>"}
    corpus = used(tmp_path, folder(tmp_path / "tok", letters("</s>"), ("</s>",), **given))
    assert [len(corpus.stream("red", split)) for split in SPLITS[:2]] == [12, 4]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "cannot load"),
        ({"tokenizer.json": "{"}, "cannot load"),
        ({"tokenizer.json": "[]"}, "cannot load"),
        ({"tokenizer.json": "{}"}, "cannot load"),
        ({"vocab.pkl": "no"}, "cannot load"),
    ],
)
def test_a_folder_that_holds_none_is_one_line(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=rf"tokenizer\.path: {words} '{tmp_path}'") as caught:
        train_tokenizer({"kind": "gpt2", "path": str(tmp_path)}, [], tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_code_that_comes_with_it_is_not_run(tmp_path: Path) -> None:
    source = folder(
        tmp_path / "tok",
        letters("</s>"),
        ("</s>",),
        eos_token="</s>",
        tokenizer_class="Theirs",
        auto_map={"AutoTokenizer": ["theirs.Theirs", "theirs.Theirs"]},
    )
    (source / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError, match=r"tokenizer\.path: cannot load .*custom code"):
        train_tokenizer({"kind": "gpt2", "path": str(source)}, [], tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_no_code_of_ours_trusts_that_of_others() -> None:
    """Neither code that comes with a model or a data set, nor a pickle, which is code too."""
    root = Path(__file__).parents[2]
    for path in (*root.glob("chameleon/**/*.py"), *root.glob("baselines/**/*.py")):
        text = path.read_text(encoding="utf-8").replace(" ", "")
        for words in ("trust_remote_code=True", "allow_pickle=True", "weights_only=False", "importpickle"):
            assert words not in text, f"{path}: {words}"
        # Without the argument, transformers asks at the terminal.
        assert text.count(".from_pretrained(") == text.count("trust_remote_code=False") or "`" in text, path


def test_a_model_in_a_pickle_is_refused_by_its_name(tmp_path: Path) -> None:
    shape = {"n_layer": 1, "n_head": 1, "n_embd": 8, "n_positions": 8, "vocab_size": 8}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", **shape}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: a pickle can run code .* model\.safetensors"):
        load_pretrained(tmp_path)


def test_one_without_holes_is_as_it_was(tmp_path: Path) -> None:
    corpus = used(tmp_path, folder(tmp_path / "tok", letters("</s>"), ("</s>",), eos_token="</s>"))
    assert corpus.vocab_size == 11 == len(load_tokenizer(tmp_path / "tokenizer"))
    assert np.dtype(corpus._manifest["dtype"]).itemsize == 2
