"""The BPE of an experiment: equal shares, deterministic bytes, loadable by transformers."""

import subprocess
import sys

import pandas as pd
import pytest

from chameleon.core.errors import UserError
from chameleon.data.tokenizer import (
    END_OF_TEXT,
    _equal_shares,
    load_tokenizer,
    tokenizer_sha256,
    train_tokenizer,
)

SPEC = {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 4000, "seed": 0}


def write(path, texts, split="train"):
    frame = pd.DataFrame({"doc_id": "", "split": split, "text": texts})
    held = pd.DataFrame({"doc_id": "", "split": "test", "text": ["zzzz qqqq " * 400]})
    pd.concat([frame, held]).to_parquet(path)
    return path


@pytest.fixture
def domains(tmp_path):
    cats = write(tmp_path / "cats.parquet", [f"the cat number {i} sat on the mat. " * 5 for i in range(40)])
    dogs = write(
        tmp_path / "dogs.parquet", [f"ein Hund, gr\u00fcn und m\u00fcde {i}. " * 5 for i in range(60)]
    )
    return [("toy", "cats", cats), ("toy", "dogs", dogs)]


def test_trained_tokenizer_round_trips_any_text(tmp_path, domains):
    train_tokenizer(SPEC, domains, tmp_path / "tok")
    tokenizer = load_tokenizer(tmp_path / "tok")
    assert len(tokenizer) == 300
    assert tokenizer.convert_tokens_to_ids(END_OF_TEXT) == 0 == tokenizer.eos_token_id
    text = "The cat,\n\n\tna\u00efve \u732b \U0001f600  end "
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(" the cat sat on the mat.")["input_ids"]) < 10


def test_held_out_text_does_not_shape_the_vocabulary(tmp_path, domains):
    train_tokenizer(SPEC | {"bytes_per_domain": 10**6}, domains, tmp_path / "tok")
    assert not [
        token for token in load_tokenizer(tmp_path / "tok").get_vocab() if "zz" in token or "qq" in token
    ]


def test_training_is_byte_stable_across_processes(tmp_path, domains):
    train_tokenizer(SPEC, domains, tmp_path / "one")
    code = (
        "import sys; from chameleon.data.tokenizer import train_tokenizer;"
        f"train_tokenizer({SPEC!r}, {[(c, d, str(p)) for c, d, p in domains]!r}, {str(tmp_path / 'two')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=None)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert "tokenizer.json" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert tokenizer_sha256(tmp_path / "one") == tokenizer_sha256(tmp_path / "two")


def test_every_domain_gives_the_same_number_of_bytes(domains, capsys):
    texts = list(_equal_shares(SPEC | {"bytes_per_domain": 999}, domains))
    cats = [t for t in texts if "cat" in t]
    assert sum(len(t.encode()) for t in cats) == 999
    assert 997 <= sum(len(t.encode()) for t in texts if t not in cats) <= 999, "at most one character is cut"
    assert capsys.readouterr().err == ""


def test_a_small_domain_sets_the_share_of_all(tmp_path, domains, capsys):
    small = ("toy", "small", write(tmp_path / "small.parquet", ["x" * 300]))
    texts = list(_equal_shares(SPEC, [*domains, small]))
    assert sum(len(t.encode()) for t in texts if "cat" in t) == 300
    assert "300 bytes per domain instead of 4000: all that toy/small has" in capsys.readouterr().err


def test_the_seed_chooses_the_documents(domains):
    spec = SPEC | {"bytes_per_domain": 500}
    assert list(_equal_shares(spec, domains)) == list(_equal_shares(spec, domains))
    assert list(_equal_shares(spec, domains)) != list(_equal_shares(spec | {"seed": 1}, domains))


def test_gpt2_kind_copies_a_tokenizer_from_a_folder(tmp_path, domains):
    train_tokenizer(SPEC, domains, tmp_path / "local")
    train_tokenizer({"kind": "gpt2", "path": str(tmp_path / "local")}, [], tmp_path / "copy")
    one, two = load_tokenizer(tmp_path / "local"), load_tokenizer(tmp_path / "copy")
    assert one.get_vocab() == two.get_vocab() and one("the cat")["input_ids"] == two("the cat")["input_ids"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SPEC | {"vocab_size": 256}, "tokenizer.vocab_size: 256 is below 257"),
        ({"kind": "gpt2", "path": "/no/such/folder"}, "tokenizer.path: cannot load '/no/such/folder'"),
    ],
)
def test_bad_specs_are_one_line(tmp_path, domains, spec, message):
    with pytest.raises(UserError) as caught:
        train_tokenizer(spec, domains, tmp_path / "tok")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_no_domains_and_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no domains to train on"):
        train_tokenizer(SPEC, [], tmp_path / "tok")
    with pytest.raises(UserError, match="no tokenizer.json in this folder"):
        load_tokenizer(tmp_path)
