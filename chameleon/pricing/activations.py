"""What a pass through a model of transformers keeps for its backward pass, counted without any contents."""

import contextlib
import json
from functools import lru_cache

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from chameleon.training.hf.building import built
from chameleon.training.hf.decoder import HfShape


def token_bytes(shape: HfShape, precision: str) -> float:
    """Return the bytes kept of a token up to the last hidden state, which is among them.

    Args:
        shape: of the model.
        precision: "fp32" or "bf16", that the job runs in.
    """
    config = json.dumps(shape.architecture, sort_keys=True, default=str)
    return float(_counted(config, precision))


@lru_cache(maxsize=64)
def _counted(config: str, precision: str) -> int:
    # Weights' copies in bfloat16 are kept once a pass: two numbers of tokens tell them from what tokens take.
    with FakeTensorMode():
        model = built(json.loads(config)).base_model.train()
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
