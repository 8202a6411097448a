"""The memory that the plan prints: what a pass keeps is counted tensor by tensor and held against torch's."""

import json
from typing import Any

import pytest
import torch

from chameleon.experiment.load import load
from chameleon.mixing.registry import get
from chameleon.pricing import activations, memory
from chameleon.pricing.job import Job
from chameleon.training.hf import scratch
from chameleon.training.hf.decoder import HfShape
from chameleon.training.model import Decoder, ModelShape

SHAPE = ModelShape(n_layer=3, n_head=2, d_model=32, context=64, vocab_size=96)
TRAIN = {"optimizer": "adamw", "lr": 0.01, "batch_size": 8, "steps": 2}


def kept(net: Decoder, tokens: torch.Tensor) -> int:
    """Return the bytes that autograd keeps of the hidden states' pass, weights apart."""
    own = {p.untyped_storage().data_ptr() for p in getattr(net, "lm", net).parameters()}
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        hidden = net.hidden(tokens)
    found[hidden.untyped_storage().data_ptr()] = hidden.untyped_storage().nbytes()
    return sum(found.values())


@pytest.mark.parametrize("again", [False, True])
def test_what_a_pass_keeps_of_a_token(again: bool) -> None:
    net = Decoder(SHAPE).initialise(0)
    net.checkpointing = again
    tokens = torch.randint(96, (8, 64), generator=torch.Generator().manual_seed(0))
    step = memory.step_size(SHAPE, TRAIN | {"activation_checkpointing": again}, 2, "fp32")
    counted = step.token_bytes * tokens.numel()
    if again:  # while one block is computed again, its activations are there too
        counted -= 16 * 4 * SHAPE.d_model * tokens.numel()
    # Besides: token ids, means and deviations of the norms, attention's normalisers.
    assert counted <= kept(net, tokens) <= 1.08 * counted


LLAMA = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 88, "num_hidden_layers": 3,
         "num_attention_heads": 2, "max_position_embeddings": 64}  # fmt: skip


def of(config: dict[str, Any]) -> HfShape:
    """Return the shape of a model of transformers with this file's context and vocabulary."""
    return scratch.counted(json.dumps(config), SHAPE.context, SHAPE.vocab_size)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("model_type", ["llama", "gpt_neox"])
def test_what_a_pass_of_transformers_keeps_of_a_token(model_type: str, again: bool) -> None:
    shape = of(LLAMA | {"model_type": model_type})
    net = shape.initial(0).train()
    net.checkpointing = again
    tokens = torch.randint(96, (8, 64), generator=torch.Generator().manual_seed(0))
    step = memory.step_size(shape, TRAIN | {"activation_checkpointing": again}, 2, "fp32")
    counted = step.token_bytes * tokens.numel()
    if again:
        block = memory.step_size(shape, TRAIN, 2, "fp32").token_bytes - (4 + 4) * 32
        counted -= block / 3 * tokens.numel()
    # Besides: rotations, once a pass, and what the last norm keeps beside both its ends.
    assert 0.97 * counted <= kept(net, tokens) <= (1.3 if again else 1.08) * counted
    low, high = (memory.step_size(shape, TRAIN, 2, precision).token_bytes for precision in ("bf16", "fp32"))
    assert 0.5 * high < low < 0.9 * high


@pytest.mark.parametrize("targets", [None, ["q_proj", "down_proj"], ["c_attn"]])
def test_lora_trains_and_keeps_what_is_counted(targets: list[str] | None) -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 64}
    shape = of(gpt2 if targets == ["c_attn"] else LLAMA)
    net = shape.initial(0).adapt(4, 8, 0, targets).train()
    lora = {"rank": 4, **({"targets": targets} if targets else {})}
    assert activations.trained(shape, lora) == sum(p.numel() for p in net.parameters())
    tokens = torch.randint(96, (8, 64), generator=torch.Generator().manual_seed(0))
    step = memory.step_size(shape, TRAIN, 2, "fp32", lora)
    assert 0.95 * step.token_bytes <= kept(net, tokens) / tokens.numel() <= 1.1 * step.token_bytes
    plain = memory.step_size(shape, TRAIN, 2, "fp32")
    assert step.token_bytes < plain.token_bytes and step.parameters == plain.parameters
    p, added = plain.parameters, activations.trained(shape, lora)
    full, low = (
        memory.peak_bytes(shape, TRAIN, *of_step) for of_step in ((plain, "cuda"), (step, "cuda", 0, lora))
    )
    less = 8 * p - (4 + 8) * added + 8 * 64 * (plain.token_bytes - step.token_bytes)
    assert full - low == less, "two states a weight, not weights; those of what is added come on top"
    muon = memory.peak_bytes(shape, TRAIN | {"optimizer": "muon"}, step, "cuda", 0, lora)
    assert low - muon == 4 * added


def test_weights_gradients_and_state_are_the_floor() -> None:
    p = SHAPE.parameters
    step = memory.step_size(SHAPE, TRAIN | {"batch_size": 1}, 2, "fp32")
    assert memory.peak_bytes(SHAPE, TRAIN, step, "cuda") >= 16 * p
    muon = memory.peak_bytes(SHAPE, TRAIN | {"optimizer": "muon"}, step, "cuda")
    assert memory.peak_bytes(SHAPE, TRAIN, step, "cuda") - muon == 4 * 12 * 32**2 * 3, "one state a matrix"


@pytest.mark.parametrize("name", ["doremi", "doge"])
def test_parts_make_an_objective_smaller(name: str) -> None:
    method, found = get(name), []
    for parts in (1, 4):
        train = TRAIN | {"batch_size": 64, "grad_accumulation": parts}
        step = memory.step_size(SHAPE, train, 7, "fp32")
        found.append(
            memory.peak_bytes(SHAPE, train, step, "cuda", method.objective_bytes(method.defaults, step))
        )
    assert found[1] < 0.4 * found[0]


def test_an_online_method_that_is_an_objective_has_its_line(raw) -> None:
    raw["scenarios"]["toy"]["methods"] = ["uniform", "odm", "rnb", "pike"]
    jobs = [
        Job(f"base {label}", "base", "toy", label, scale="tiny", train_flops=1.0)
        for label in raw["scenarios"]["toy"]["methods"]
    ]
    plain, pike, rnb = memory.needs(load(raw), jobs, 64)
    assert [need.objective for need in (plain, pike, rnb)] == ["", "pike", "rnb"]
    assert pike.bytes > rnb.bytes > plain.bytes


def test_every_kind_of_training_job_has_its_line(raw) -> None:
    raw["scenarios"]["toy"]["methods"] = ["uniform", "doge"]
    jobs = [
        Job("base", "base", scale="tiny", train_flops=1.0),
        Job("proxy", "extra", scale="tiny", train_flops=1.0, objective="toy doge"),
        Job("test", "evaluate", scale="tiny", forward_flops=1.0),
    ]
    plain, doge = memory.needs(load(raw), jobs, 64)
    assert (plain.objective, doge.objective) == ("", "doge") and plain.scale == doge.scale == "tiny"
    assert doge.bytes > plain.bytes > memory.PROCESS and plain.blocks == doge.blocks
