"""What a pass through a model of transformers keeps for its backward pass, counted without any contents.

With LoRA too, which keeps less: what a frozen matrix is fed needs no keeping.
"""

import contextlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from chameleon.training.hf.building import built
from chameleon.training.hf.decoder import HfShape
from chameleon.training.model import ModelShape

Lora = Mapping[str, Any] | None
#: Layers that LoRA stands beside; GPT-2's are of a class of transformers.
LINEAR = ("Linear", "Conv1D")


def trained(shape: ModelShape, lora: Mapping[str, Any]) -> int:
    """Return the parameters that LoRA trains; of an unknown architecture as beside our blocks' matrices."""
    if not isinstance(shape, HfShape):
        return int(lora["rank"]) * shape.n_layer * 16 * shape.d_model
    with FakeTensorMode():
        model = _model(_key(shape, lora))
        return sum(p.numel() for p in model.parameters() if p.requires_grad)


def token_bytes(shape: HfShape, precision: str, lora: Lora = None) -> float:
    """Return the bytes kept of a token up to the last hidden state, which is among them.

    Args:
        shape: of the model.
        precision: "fp32" or "bf16", that the job runs in.
        lora: as a scenario's base has it.
    """
    return float(_counted(_key(shape, lora), precision))


def _key(shape: HfShape, lora: Lora) -> str:
    return json.dumps([shape.architecture, lora and dict(lora)], sort_keys=True, default=str)


def _model(key: str) -> Any:
    """Return a model of transformers, with LoRA where the key has it."""
    architecture, lora = json.loads(key)
    lm = built(architecture)
    if lora:
        lm.requires_grad_(False)
        ends, head = lora.get("targets") or [""], lm.get_output_embeddings()
        for name, layer in list(lm.named_modules()):
            if type(layer).__name__ in LINEAR and layer is not head and f".{name}".endswith(tuple(ends)):
                parent, _, last = name.rpartition(".")
                setattr(lm.get_submodule(parent), last, _Beside(layer, lora["rank"]))
    return lm


class _Beside(torch.nn.Module):
    """A frozen layer with LoRA beside it. peft's own cannot be made without contents."""

    def __init__(self, layer: Any, rank: int) -> None:
        super().__init__()
        out, given = layer.weight.shape if isinstance(layer, torch.nn.Linear) else layer.weight.T.shape
        self.layer, self.up = layer, torch.nn.Linear(rank, out, False)
        self.down = torch.nn.Linear(given, rank, False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x) + self.up(self.down(x))
        return found


@lru_cache(maxsize=64)
def _counted(key: str, precision: str) -> int:
    # Weights' copies in bfloat16 are kept once a pass: two numbers of tokens tell them from what tokens take.
    with FakeTensorMode():
        model = _model(key).base_model.train()
        one, two = (_kept(model, tokens, precision) for tokens in (1, 2))
    return two - one


def _kept(model: torch.nn.Module, tokens: int, precision: str) -> int:
    """Return the bytes that autograd keeps of a pass over texts of one token, weights apart."""
    own = {value.untyped_storage()._cdata for value in (*model.parameters(), *model.buffers())}
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            found[tensor.untyped_storage()._cdata] = tensor
        return tensor

    low = torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
    ids = torch.zeros(tokens, 1, dtype=torch.long)
    # Given, as whether a row holds several texts cannot be looked up without contents. It is kept too; of one
    # token it is nothing, and all else grows with the tokens' number where attention is fused.
    mask = torch.ones(tokens, 1, 1, 1, dtype=torch.bool)
    with low, torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        last = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    pack(last)
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())
