"""Models of transformers from scratch: their config, initial weights and operations; who asks for sizes."""

import subprocess
import sys

import pytest
import torch
from hf_configs import LLAMA, MODEL, SIZES, of_llama
from torch.utils.flop_counter import FlopCounterMode
from toy_config import put, refused
from transformers import AutoModelForCausalLM

from chameleon.core.errors import UserError
from chameleon.embedding.embed import window_means
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.pricing.jobs import Walk
from chameleon.sensitivity.embed import means_by_layer
from chameleon.training.hf import checkpoint, described, scratch
from chameleon.training.model import flops_per_token
from chameleon.training.recipe import Recipe, optimizers

VOCAB = 300
TOKENS = torch.arange(4 * 16).view(4, 16) * 7 % VOCAB
_LIKE = {key: value for key, value in LLAMA.items() if key != "model_type"}
FAMILIES = {
    "llama": LLAMA,
    "llama, tied": {**LLAMA, "tie_word_embeddings": True},
    "qwen2": {"model_type": "qwen2", **_LIKE},
    "mistral": {"model_type": "mistral", **_LIKE, "sliding_window": 8},
    "gemma2": {"model_type": "gemma2", **_LIKE, "head_dim": 12},
    "gpt_neox": {"model_type": "gpt_neox", **{k: v for k, v in _LIKE.items() if k != "num_key_value_heads"}},
    "gpt2": {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 16},
}


def shape(config=LLAMA):
    return scratch.shape({**MODEL, "config": config}, VOCAB)


def counted(run):
    """Return torch's operations per token; fused attention of a CPU is unknown to its counter."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / TOKENS.numel()


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_that_torch_counts(family):
    sizes = shape(FAMILIES[family])
    model = sizes.initial(0)
    model.lm.set_attn_implementation("eager")
    rows, columns = torch.arange(4).repeat_interleave(16), torch.arange(16).repeat(4)
    with torch.no_grad():
        forward = counted(lambda: model.logits(TOKENS, rows, columns))
        half = counted(lambda: model.hidden(TOKENS, 1))
    step = counted(lambda: model(TOKENS, TOKENS).mean().backward())
    assert forward == pytest.approx(flops_per_token(sizes, training=False), rel=0.01)
    assert half == pytest.approx(flops_per_token(sizes, training=False, layers=1), rel=0.01)
    assert step == pytest.approx(flops_per_token(sizes), rel=0.01)
    assert sizes.parameters == sum(p.numel() for p in model.parameters())
    assert (sizes.n_layer, sizes.d_model, sizes.n_head, sizes.vocab_size) == (2, 16, 4, VOCAB)


@pytest.mark.parametrize("family", FAMILIES)
def test_initial_weights_are_the_seeds_and_the_saved_model_is_transformers_own(family, tmp_path):
    sizes, before = shape(FAMILIES[family]), torch.get_rng_state()
    model, same, other = (sizes.initial(seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    named = dict(model.named_parameters())
    assert all(torch.equal(p, named[name]) for name, p in same.named_parameters())
    assert not all(torch.equal(p, named[name]) for name, p in other.named_parameters())
    embeddings = [m for m in model.lm.modules() if isinstance(m, torch.nn.Embedding)]
    assert all(m.padding_idx is None for m in embeddings), "a row for padding would never be trained"
    assert not any(m.p for m in model.lm.modules() if isinstance(m, torch.nn.Dropout))
    model.save(tmp_path, 7)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id, theirs.config.pad_token_id) == (
        7,
        7,
        None,
    )
    assert theirs.dtype == torch.float32 and theirs.config.vocab_size == VOCAB
    states = theirs(TOKENS, output_hidden_states=True).hidden_states
    again = checkpoint.load(tmp_path).eval()
    assert again.shape == sizes and torch.equal(again.hidden(TOKENS, 1), states[1])
    assert all(torch.equal(p, named[name]) for name, p in again.named_parameters())
    # What the control before the first step is made of: the saved model's shape.
    drawn = dict(again.shape.initial(4).named_parameters())
    assert all(torch.equal(p, drawn[name]) for name, p in other.named_parameters())


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_a_study_sees_every_layer_in_one_pass(family):
    class Stream:
        def read(self, start, stop):
            return TOKENS.flatten().numpy()[start:stop]

    model, starts = shape(FAMILIES[family]).initial(0).eval(), [0, 5, 30]
    found = means_by_layer(model, Stream(), starts, 16, [0, 1, 2])
    for layer, means in found.items():
        assert (means == window_means(model, Stream(), starts, 16, layer)).all(), layer
    # Ours alone have a form in bfloat16; what is asked of another is float32.
    low = window_means(model, Stream(), starts, 16, 1, "bf16")
    assert (low == found[1]).all()


def test_muon_takes_the_blocks_matrices():
    named = dict(shape().initial(0).named_parameters())
    _, muon = optimizers(named, Recipe("muon", 0.1, 4, 8), "fp32")
    assert len(muon.param_groups[0]["params"]) == 7 * 2


MISTAKES = {
    "type": ({"model_type": "lama"}, "config.model_type: 'lama' is no causal language model; near are llama"),
    "key": ({**LLAMA, "hidden": 8}, "config.hidden: a llama has no such key; near are hidden_act"),
    "vocabulary": ({**LLAMA, "vocab_size": 9}, "config.vocab_size: comes from the experiment's tokenizer"),
    "dropout": ({**LLAMA, "attention_dropout": 0.1}, "config.attention_dropout: 0.1: models are trained"),
    "width": ({**LLAMA, "hidden_size": 18}, "hidden size (18) is not a multiple of the number"),
    "groups": ({**LLAMA, "num_key_value_heads": 3}, "config: no model of transformers can be made of it"),
    "positions": ({**LLAMA, "max_position_embeddings": 8}, "context: 16 is longer than the 8 positions"),
    "experts": ({"model_type": "mixtral", **_LIKE}, "config: a mixture of experts, whose operations"),
    "both ways": (
        {"model_type": "bert", **{k: v for k, v in _LIKE.items() if k != "num_key_value_heads"}},
        "config: a token of its model sees those after it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_no_decoder_is_one_line(name):
    config, words = MISTAKES[name]
    with pytest.raises(UserError) as caught:
        scratch.describe(config, 16)
    assert words in str(caught.value) and len(str(caught.value)) < 300


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A cache of this test's own, and how often another process is asked."""
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path / "cache"))
    asked = []

    def answer(command, input, **_):  # noqa: A002
        asked.append(command)
        import json

        given = json.loads(input)
        try:
            said = {"sizes": scratch.describe(given["config"], given["context"])}
        except UserError as error:
            said = {"error": str(error)}
        return subprocess.CompletedProcess(command, 0, json.dumps(said), "")

    monkeypatch.setattr(described.subprocess, "run", answer)
    return asked


def test_a_config_has_its_sizes_and_asks_once(raw, cached):
    cfg = load(of_llama(raw))
    assert cfg.raw["scales"]["tiny"]["model"] == {**MODEL, **SIZES}
    assert specs.proxy(cfg, "toy", 0)["model"] == {**MODEL, **SIZES}
    assert load(raw).raw == load(dict(cfg.raw)).raw == cfg.raw, "also with its sizes beside it"
    assert len(cached) == 1
    put(raw, "scales.tiny.model.config.num_key_value_heads", 3)
    for _ in range(2):
        assert "my.yaml: scales.tiny.model.config: no model of transformers can be made of it" in refused(raw)
    assert len(cached) == 2


def test_a_scale_that_nothing_takes_is_not_asked_for(raw, cached):
    raw["scales"]["other"] = {**raw["scales"]["tiny"], "model": {**MODEL, "config": {"model_type": "none"}}}
    assert load(raw) and not cached
    raw["method_params"] = {"regmix": {"scale": "other"}}
    raw["scenarios"]["toy"]["methods"].append("regmix")
    assert "scales.other.model.config.model_type: 'none' is no causal language model" in refused(raw)


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("n_layer", 3, "model.n_layer: 3, but the model of its config has 2"),
        ("init_std", 0.1, "model.init_std: kind hf has it in config"),
        ("kind", "gguf", "model.kind: 'gguf' is not one of hf"),
        ("config", {}, "model.config: 'model_type' is a required property"),
        ("config", None, "model.config: None is not of type object"),
    ],
)
def test_keys_of_one_kind_beside_the_other(raw, cached, key, value, words):
    put(of_llama(raw), f"scales.tiny.model.{key}", value)
    assert f"scales.tiny.{words}" in refused(raw)


def test_a_config_beside_sizes_of_ours(raw, cached):
    put(raw, "scales.tiny.model.config", LLAMA)
    assert "scales.tiny.model.config: only beside kind: hf" in refused(raw)
    raw = of_llama(raw)
    del raw["scales"]["tiny"]["model"]["config"]
    assert "scales.tiny.model.config: missing; kind hf takes one" in refused(raw)


def test_a_plan_prices_the_model_that_will_run(raw, cached):
    jobs = {job.name: job for job in Walk(load(of_llama(raw))).all()}
    assert jobs["base toy uniform 0"].train_flops == flops_per_token(shape()) * 8 * 4 * 16
    assert jobs["base toy uniform 0"].disk == 4 * shape().parameters


def test_the_question_is_answered_by_another_process():
    """And reading a config imports neither torch nor transformers, the first time or later."""
    code = (
        "import sys; from chameleon.training.hf import described;"
        f"assert described.sizes({LLAMA!r}, 16, 'here') == {SIZES};"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_transformers_the_config_says_its_sizes(monkeypatch):
    def missing(name):
        raise described.PackageNotFoundError(name)

    monkeypatch.setattr(described, "version", missing)
    assert described.sizes(LLAMA, 16, "here") == SIZES
    with pytest.raises(UserError, match="here.config.hidden_size: missing; without transformers"):
        described.sizes({**LLAMA, "hidden_size": None}, 16, "here")
