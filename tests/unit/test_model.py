"""The decoder against transformers' GPT-2, its counts against torch's own, and bad checkpoints."""

import json
import math

import pytest
import torch
from torch.nn import functional as F

from chameleon.core.errors import UserError
from chameleon.training.model import (
    Decoder,
    ModelShape,
    flops_per_token,
    load_pretrained,
    save_pretrained,
)

SHAPE = ModelShape(n_layer=3, n_head=2, d_model=32, context=16, vocab_size=64)


@pytest.fixture(scope="module")
def model():
    """A model whose every parameter differs from its initial value (biases and norms too)."""
    model = Decoder(SHAPE).initialise(0)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
    return model.eval()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save_pretrained(model, folder, eos_token_id=0)
    return folder


@pytest.fixture(scope="module")
def gpt2(saved):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(saved).eval()


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(64, (5, 16), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_logits_and_loss_are_gpt2s(model, gpt2, tokens):
    assert type(gpt2).__name__ == "GPT2LMHeadModel"
    expected = gpt2(tokens, labels=tokens)
    torch.testing.assert_close(
        F.linear(model.hidden(tokens), model.wte.weight), expected.logits, rtol=1e-5, atol=1e-5
    )
    losses = model(tokens[:, :-1], tokens[:, 1:])
    assert losses.shape == (5, 15)
    torch.testing.assert_close(losses.mean(), expected.loss, rtol=1e-5, atol=0)
    short = tokens[:, :7]
    torch.testing.assert_close(
        F.linear(model.hidden(short), model.wte.weight), gpt2(short).logits, rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_hidden_states_are_gpt2s(model, gpt2, tokens):
    states = gpt2(tokens, output_hidden_states=True).hidden_states
    assert len(states) == SHAPE.n_layer + 1
    for layer, expected in enumerate(states):
        torch.testing.assert_close(model.hidden(tokens, layer), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.hidden(tokens), states[-1], rtol=1e-5, atol=1e-5)


def test_round_trip(model, gpt2, saved, tmp_path):
    loaded = load_pretrained(saved)
    assert loaded.shape == SHAPE
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    save_pretrained(loaded, tmp_path / "again", eos_token_id=0)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / file).read_bytes() == (saved / file).read_bytes()


def test_a_checkpoint_saved_by_transformers_loads(model, gpt2, tmp_path):
    gpt2.save_pretrained(tmp_path)
    loaded = load_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("shape", [SHAPE, ModelShape(1, 1, 8, 4, 10), ModelShape(2, 4, 16, 8, 100)])
def test_parameters_are_counted(shape):
    assert shape.parameters == sum(p.numel() for p in Decoder(shape).parameters())


def test_the_papers_sizes():
    """Counts with GPT-2's vocabulary and 512 positions, as published for these shapes."""
    assert ModelShape(6, 12, 768, 512, 50257).parameters == 81_519_360
    assert round(ModelShape(36, 24, 1200, 512, 50257).parameters / 1e6, 1) == 683.6


@pytest.mark.parametrize("shape", [SHAPE, ModelShape(2, 4, 16, 8, 100)])
def test_flops_are_what_torch_counts(shape):
    """Exactly, for the forward pass and for a training step at full context.

    torch has no count for its fused CPU attention, so attention runs as plain products here: the masked half
    is then executed, as the formula says.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model = Decoder(shape).initialise(0)
    tokens = torch.zeros(3, shape.context, dtype=torch.long)

    def counted(training, run):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            loss = run()
            if training:
                loss.mean().backward()
        return counter.get_total_flops() / tokens.numel()

    assert counted(True, lambda: model(tokens, tokens)) == flops_per_token(shape)
    assert counted(False, lambda: model(tokens, tokens)) == flops_per_token(shape, training=False)
    assert counted(False, lambda: model.hidden(tokens, 1)) == flops_per_token(shape, training=False, layers=1)


def test_initialisation_depends_on_the_seed_alone():
    torch.manual_seed(0)
    first = Decoder(SHAPE).initialise(3).state_dict()
    torch.manual_seed(99)
    torch.rand(7)
    again, other = Decoder(SHAPE).initialise(3).state_dict(), Decoder(SHAPE).initialise(4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["wte.weight"], other["wte.weight"])
    state = torch.random.get_rng_state()
    model = Decoder(SHAPE)
    torch.random.set_rng_state(state)
    model.initialise(3)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left alone"


def test_initial_weights_are_gpt2s():
    """Normal(0, init_std), residual outputs smaller by sqrt(2 n_layer), biases 0, norms 1."""
    shape = ModelShape(n_layer=4, n_head=2, d_model=64, context=32, vocab_size=256, init_std=0.05)
    for name, value in Decoder(shape).initialise(0).named_parameters():
        if value.ndim == 1:
            assert torch.all(value == (0 if name.endswith("bias") else 1)), name
        else:
            residual = name.endswith(("attn_out.weight", "mlp_out.weight"))
            expected = 0.05 / math.sqrt(8) if residual else 0.05
            assert value.std().item() == pytest.approx(expected, rel=0.06), name
            assert abs(value.mean().item()) < 5 * expected / math.sqrt(value.numel()), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "llama"}, "model_type: 'llama' is not one of gpt2"),
        ({"n_layer": 4}, r"does not fit its config: 'transformer\.h\.3\."),
        ({"n_embd": 16}, "does not fit its config: .*size mismatch"),
        ({"n_embd": None}, r"config\.json: n_embd: missing"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(model, tmp_path, change, words):
    save_pretrained(model, tmp_path, eos_token_id=0)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    with pytest.raises(UserError, match=words) as caught:
        load_pretrained(tmp_path)
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)


def test_a_missing_or_cut_checkpoint_is_one_line(model, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_pretrained(tmp_path / "nowhere")
    save_pretrained(model, tmp_path, eos_token_id=0)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read: ") as cut:
        load_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read: ") as gone:
        load_pretrained(tmp_path)
    assert "\n" not in str(cut.value) + str(gone.value)
