"""A checkpoint of others as a decoder: the numbers of transformers, LoRA, and what cannot be loaded."""

import json

import pytest
import tiny_checkpoints as tiny
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from chameleon.core.errors import UserError
from chameleon.training.hf import checkpoint
from chameleon.training.hf.decoder import HfDecoder
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.recipe import Recipe, optimizers

IDS = torch.randint(tiny.VOCAB, (2, 13), generator=torch.Generator().manual_seed(1))
TOKENS, TARGETS = IDS[:, :-1], IDS[:, 1:]
SIZES = {"n_layer": tiny.LAYERS, "n_head": 2, "d_model": tiny.WIDTH, "context": 16}
KINDS = tuple(tiny.CONFIGS)


def losses(logits):
    return F.cross_entropy(logits.flatten(0, 1), TARGETS.flatten(), reduction="none").view(TARGETS.shape)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_logits_and_hidden_states_are_those_of_transformers(kind):
    lm = tiny.model(kind)
    with torch.no_grad():
        reference = lm(TOKENS, output_hidden_states=True)
        model = HfDecoder(lm, 16).eval()
        found = model(TOKENS, TARGETS)
    assert torch.allclose(found, losses(reference.logits), atol=2e-5)
    assert float(model.summed(TOKENS, TARGETS).detach()) == pytest.approx(float(found.sum()), rel=1e-5)
    for layer, expected in enumerate(reference.hidden_states):
        assert torch.equal(model.hidden(TOKENS, layer), expected), layer
    assert torch.equal(model.hidden(TOKENS), reference.hidden_states[-1])
    rows, columns = torch.tensor([0, 1, 1]), torch.tensor([3, 0, 11])
    assert torch.allclose(model.logits(TOKENS, rows, columns), reference.logits[rows, columns], atol=2e-5)
    assert (kind == "gemma2") is not model._plain, "a cap on logits is no matrix product"
    with pytest.raises(ValueError, match="no positions or masks of ours"):
        model.hidden(TOKENS, mask=torch.ones(1))


@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_operations(kind):
    lm = tiny.model(kind)
    model = HfDecoder(lm, 16)
    assert model.shape.parameters == lm.num_parameters() == sum(p.numel() for p in model.parameters())
    assert (model.shape.n_layer, model.shape.d_model, model.shape.context) == (3, 16, 16)
    assert model.shape.vocab_size == tiny.VOCAB
    per_block = 2 * model.shape.block_weights + 4 * 16 * model.shape.attention_width
    forward = 3 * per_block + 2 * 300 * 16
    assert flops_per_token(model.shape, training=False) == forward
    assert flops_per_token(model.shape) == 3 * forward
    assert flops_per_token(model.shape, training=False, layers=2, length=8) == 2 * (per_block - 4 * 8 * (
        model.shape.attention_width
    ))  # fmt: skip


def test_a_gpt2_checkpoint_counts_as_a_decoder_of_ours():
    ours = ModelShape(n_layer=3, n_head=2, d_model=16, context=64, vocab_size=tiny.VOCAB)
    theirs = HfDecoder(tiny.model("gpt2"), 64).shape
    assert theirs.parameters == ours.parameters
    assert flops_per_token(theirs) == flops_per_token(ours)


def test_the_optimizers_see_the_blocks_matrices():
    named = dict(HfDecoder(tiny.model("llama"), 16).named_parameters())
    (adam,) = optimizers(named, Recipe("adamw", 0.1, 4, 8), "fp32")
    decayed = next(group for group in adam.param_groups if group["weight_decay"])
    assert len(decayed["params"]) == 7 * tiny.LAYERS
    assert {"blocks.0.self_attn.q_proj.weight", "other.model.embed_tokens.weight"} < set(named)
    _, muon = optimizers(named, Recipe("muon", 0.1, 4, 8), "fp32")
    assert len(muon.param_groups[0]["params"]) == 7 * tiny.LAYERS


@pytest.mark.parametrize("lora", [False, True])
def test_checkpointing_leaves_gradients_what_they_are(lora):
    model = HfDecoder(tiny.model("llama"), 16).train()
    if lora:
        model.adapt(2, 4, seed=0)

    def gradients():
        model.summed(TOKENS, TARGETS).backward()
        found = {name: p.grad.clone() for name, p in model.named_parameters()}
        model.zero_grad(set_to_none=True)
        return found

    plain = gradients()
    model.checkpointing = True
    again = gradients()
    model.checkpointing = False
    assert all(torch.allclose(again[name], plain[name], atol=1e-5) for name in plain) and plain


@pytest.mark.parametrize("kind", KINDS)
def test_lora_trains_little_and_is_merged_when_saved(kind, tmp_path):
    lm = tiny.model(kind)
    before = {name: p.detach().clone() for name, p in lm.named_parameters()}
    model = HfDecoder(lm, 16)
    whole = losses(lm(TOKENS).logits)
    assert model.adapt(2, 4, seed=5) is model
    named = dict(model.named_parameters())
    assert named and all("lora_" in name and name.startswith("blocks.") for name in named)
    assert sum(p.numel() for p in model.parameters()) < model.shape.parameters / 2
    assert torch.allclose(model(TOKENS, TARGETS), whole, atol=2e-5), "at first nothing is added"
    same = dict(HfDecoder(tiny.model(kind), 16).adapt(2, 4, seed=5).named_parameters())
    assert all(torch.equal(p, same[name]) for name, p in named.items()), "drawn from the seed"
    assert flops_per_token(model.shape) == 2 * flops_per_token(model.shape, training=False)
    with torch.no_grad():
        for parameter in named.values():
            parameter.add_(0.1)
    moved = model(TOKENS, TARGETS).detach()
    assert not torch.allclose(moved, whole, atol=1e-3)
    model.save(tmp_path)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.allclose(losses(saved(TOKENS).logits), moved, atol=1e-4)
    assert {name for name, _ in saved.named_parameters()} == set(before), "nothing of peft is left"
    assert torch.allclose(checkpoint.load(tmp_path)(TOKENS, TARGETS), moved, atol=1e-4)


def test_lora_on_named_layers():
    model = HfDecoder(tiny.model("llama"), 16).adapt(2, 4, 0, targets=["q_proj"])
    assert {name.split(".")[-4] for name, _ in model.named_parameters()} == {"q_proj"}
    with pytest.raises(
        UserError, match=r"base.lora.targets: \['query'\]: no layer's name ends so; there are"
    ):
        HfDecoder(tiny.model("llama"), 16).adapt(2, 4, 0, targets=["query"])


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "8KB"}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_becomes_one_folder(tmp_path, options, dtype):
    lm = tiny.model("llama").to(dtype)
    lm.save_pretrained(tmp_path / "theirs", **options)
    tokenizer = tiny.write_tokenizer(tmp_path / "theirs")
    assert (len([*(tmp_path / "theirs").glob("*.safetensors")]) > 1) is bool(options)
    shape = checkpoint.provide(str(tmp_path / "theirs"), SIZES, tokenizer, tmp_path / "ours")
    assert [file.name for file in (tmp_path / "ours").glob("*.safetensors")] == ["model.safetensors"]
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["dtype"] == str(dtype)[6:]
    model = checkpoint.load(tmp_path / "ours")
    assert isinstance(model, HfDecoder) and model.shape == shape and shape.context == 16
    lm = AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype=torch.float32)
    assert torch.equal(model.eval()(TOKENS, TARGETS), HfDecoder(lm, 16)(TOKENS, TARGETS))
    assert next(model.parameters()).dtype == torch.float32


def test_a_gguf_file_is_a_checkpoint(tmp_path):
    tokenizer = tiny.write_tokenizer(tmp_path / "tokenizer")
    file = tiny.write_gguf(tmp_path / "theirs.gguf")
    checkpoint.provide(str(file), SIZES, tokenizer, tmp_path / "ours")
    expected = HfDecoder(tiny.model("llama"), 16)(TOKENS, TARGETS)
    assert torch.allclose(checkpoint.load(tmp_path / "ours").eval()(TOKENS, TARGETS), expected, atol=1e-5)


def test_there_is_no_dropout(tmp_path):
    for kind in ("gpt2", "gpt_neox"):
        lm = checkpoint.read(str(tiny.write_model(tmp_path / kind, kind)), torch.float32, "here").train()
        assert {m.p for m in lm.modules() if isinstance(m, torch.nn.Dropout)} <= {0.0}
        assert torch.equal(lm(TOKENS).logits, lm(TOKENS).logits)


def test_our_own_models_are_loaded_as_ever(tmp_path):
    shape = ModelShape(n_layer=1, n_head=2, d_model=8, context=16, vocab_size=32)
    Decoder(shape).initialise(0).save(tmp_path, 0)
    assert type(checkpoint.load(tmp_path)) is Decoder


REFUSED = {
    "layers": ({"n_layer": 4}, r"scales: model.n_layer: 4, but checkpoint '.*' has 3"),
    "context": ({"context": 65}, r"scales: model.context: 65 is longer than the 64 of checkpoint"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sizes_that_are_not_the_models(tmp_path, name):
    folder, (sizes, words) = tiny.write(tmp_path / "theirs"), REFUSED[name]
    with pytest.raises(UserError, match=words):
        checkpoint.provide(str(folder), {**SIZES, **sizes}, folder, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_a_tokenizer_that_is_not_the_models(tmp_path):
    folder = tiny.write(tmp_path / "theirs")
    larger = tiny.write_tokenizer(tmp_path / "larger", 310, " ".join(map(str, range(2000))))
    other = tiny.write_tokenizer(tmp_path / "other", text="sechs, sieben, acht, neun und zehn " * 50)
    for wrong, words in (
        (
            larger,
            r"tokenizer: \d+ tokens, but checkpoint '.*' has 300 embeddings; write tokenizer: {kind: hf",
        ),
        (
            other,
            r"tokenizer: its tokens are not those of checkpoint '.*'; write tokenizer: {kind: hf, path: .*}",
        ),
    ):
        with pytest.raises(UserError, match=words):
            checkpoint.provide(str(folder), SIZES, wrong, tmp_path / "ours")


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text(tiny.CONFIGS["llama"].to_json_string())
    torch.save(tiny.model("llama").state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    lacking = tiny.write_model(tmp_path / "lacking")
    from safetensors.torch import load_file, save_file

    state = load_file(lacking / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, lacking / "model.safetensors", {"format": "pt"})
    for source, words in (
        (str(tmp_path / "pickled"), "cannot load .*pickled' as a causal language model"),
        (str(lacking), "lacks 1 weights, model.layers.1.mlp.up_proj.weight first"),
        # The tests have no network.
        ("nobody/no-such-model@main", "cannot load 'nobody/no-such-model@main' as a causal language model"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            checkpoint.read(source, torch.float32, "checkpoint")
        assert len(str(caught.value)) < 400
