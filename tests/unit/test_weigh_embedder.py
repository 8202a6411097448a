"""Any model as the embedder: the hidden state that transformers gives, averaged as the reference does."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from unit import weigh_models

from chameleon.core.errors import UserError
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.models import load


def official(folder, text: str, layer: int | None) -> np.ndarray:
    """The reference procedure for one window that needs no padding."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    return states[len(states) // 2 if layer is None else layer][0].mean(dim=0).numpy()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("layer", [None, 0, 1, -1])
def test_the_mean_state_of_a_layer(tmp_path, kind, layer):
    folder = weigh_models.make(tmp_path, kind)
    layer = weigh_models.SHAPES[kind].get("num_hidden_layers", 3) if layer == -1 else layer
    embedder = Embedder(load(str(folder)), layer, 64)
    text = weigh_models.documents("law")[0][:64]
    ids, rate = embedder.tokens([text])
    assert len(ids) == 64 and rate == 1.0
    found = embedder.embed([ids], lambda n: None)
    np.testing.assert_allclose(found[0], official(folder, text, layer), rtol=1e-4, atol=1e-5)


def test_short_windows_are_not_padded_into_the_mean(tmp_path):
    embedder = Embedder(load(str(weigh_models.make(tmp_path, "bert"))), None, 64)
    rows = [list(range(10, 74)), list(range(20, 40)), [5]]
    together = embedder.embed(rows, lambda n: None)
    alone = np.concatenate([embedder.embed([row], lambda n: None) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_marks_of_the_tokenizer_are_seen_and_not_averaged(tmp_path):
    folder = weigh_models.make(tmp_path, "bert")
    embedder, text = Embedder(load(str(folder)), 1, 32), "whisk the egg, butter the form!!"
    found = embedder.embed([embedder.tokens([text])[0]], lambda n: None)[0]
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[1][0]
    assert states.shape[0] == 34
    np.testing.assert_allclose(found, states[1:-1].mean(dim=0), atol=1e-5)


def test_pieces_of_a_window_are_parted_by_the_end_of_text(tmp_path):
    embedder = Embedder(load(str(weigh_models.make(tmp_path))), None, 8)
    ids, _ = embedder.tokens(("ab", "cd"))
    end = embedder.tokenizer.eos_token_id
    assert ids == [*embedder.tokenizer("ab")["input_ids"], end, *embedder.tokenizer("cd")["input_ids"]]


def test_a_model_in_shards_gives_the_same(tmp_path):
    whole = weigh_models.make(tmp_path / "whole")
    parts = weigh_models.make(tmp_path / "parts", max_shard_size="10KB")
    assert len(list(parts.glob("*.safetensors"))) > 1
    rows = [list(range(40))]
    a, b = (Embedder(load(str(f)), None, 40).embed(rows, lambda n: None) for f in (whole, parts))
    np.testing.assert_array_equal(a, b)


def test_bf16_is_near(tmp_path):
    folder = weigh_models.make(tmp_path)
    rows = [list(range(i, i + 40)) for i in range(20)]
    a, b = (Embedder(load(str(folder), p), None, 40).embed(rows, lambda n: None) for p in ("fp32", "bf16"))
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


@pytest.mark.parametrize(
    ("layer", "length", "words"),
    [(9, 64, "--layer: 9 is not one of 0 to 4"), (None, 300, "--window-length: 300 is longer than the 256")],
)
def test_what_a_model_does_not_have(tmp_path, layer, length, words):
    loaded = load(str(weigh_models.make(tmp_path)))
    with pytest.raises(UserError, match=words):
        Embedder(loaded, layer, length)


def test_another_models_tokenizer(tmp_path):
    folder = weigh_models.make(tmp_path)
    other = weigh_models.tokenizer()
    other.add_tokens([f"<{i}>" for i in range(50)])
    other.save_pretrained(folder)
    with pytest.raises(UserError, match="its tokenizer has 309 tokens and the model 260"):
        Embedder(load(str(folder)))


@pytest.mark.parametrize("name", ["/no/such/model", "./none", "none.gguf"])
def test_no_such_model(name):
    with pytest.raises(UserError, match="--model: no such folder or file.*smollm2, minilm"):
        load(name)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match="holds no config.json"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="--model: .* cannot be loaded"):
        load(str(tmp_path))
    (tmp_path / "config.json").unlink()
    (tmp_path / "a.gguf").write_text("")
    with pytest.raises(UserError, match="name the file: .*a.gguf"):
        load(str(tmp_path))
