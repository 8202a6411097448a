"""Models of `transformers` from scratch: what a scale's `model: {kind: hf, config: {...}}` stands for.

Run as a module it answers for `chameleon.training.hf.described`, which asks in another process: transformers
takes seconds to be imported, and reading a config must not wait for it.
"""

import difflib
import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from chameleon.core.errors import UserError, shown
from chameleon.training.hf import blocks
from chameleon.training.hf.building import built
from chameleon.training.hf.decoder import HfShape, shape_of
from chameleon.training.model import ModelShape

#: What the suite sets itself: the tokenizer says how many tokens there are and which one ends a text. Nothing
#: is padded, and an embedding's row for padding would get no gradient.
OURS = ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")
#: Of the trial before a model's first use: the vocabulary, and the tokens of a text.
TRIAL, LENGTH = 16, 4


def shape(model: Mapping[str, Any], vocab: int) -> ModelShape:
    """Return the shape of a scale's `model`, ours or one of transformers; `vocab`: tokens."""
    if model.get("kind") != "hf":
        return ModelShape(**model, vocab_size=vocab)
    return counted(json.dumps(model["config"], sort_keys=True), model["context"], vocab)


@lru_cache(maxsize=64)
def counted(config: str, context: int, vocab: int | None = None) -> HfShape:
    """Return the shape of a model of transformers; its weights are counted on the meta device.

    Args:
        config: by the names of transformers, as JSON.
        context: tokens of a block.
        vocab: None: as the config says.
    """
    own = {} if vocab is None else {**dict.fromkeys(OURS), "vocab_size": vocab}
    with torch.device("meta"):
        return shape_of(built({**json.loads(config), **own}), context)


def describe(config: Mapping[str, Any], context: int) -> dict[str, int]:
    """Return the sizes of a config's model, n_layer, n_head and d_model, after a trial of one of its blocks.

    Raises:
        UserError: no model can be made of it, or none that is a decoder whose operations can be counted; the
            message begins with the key, below `model`.
    """
    _check_keys(config)
    try:
        found = counted(json.dumps(config, sort_keys=True), context, TRIAL)
        most = found.architecture.get("max_position_embeddings", found.architecture.get("n_positions"))
        if most is not None and context > most:
            raise UserError(f"context: {context} is longer than the {most} positions of config")
        if found.architecture.get("num_experts_per_tok"):
            raise UserError("config: a mixture of experts, whose operations a token are not counted here")
        causal = _is_causal(found.architecture)
    except UserError:
        raise
    except Exception as error:  # whatever a class makes of sizes that do not fit
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"config: no model of transformers can be made of it: {reason}") from error
    if not causal:
        raise UserError(
            "config: a token of its model sees those after it; write is_decoder: true or another one"
        )
    return {"n_layer": found.n_layer, "n_head": found.n_head, "d_model": found.d_model}


def _check_keys(config: Mapping[str, Any]) -> None:
    """Refuse a type that is no causal language model, and keys that its config does not have."""
    from transformers import CONFIG_MAPPING, PreTrainedConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    kind = config["model_type"]
    if kind not in KNOWN:
        raise UserError(f"config.model_type: {shown(kind)} is no causal language model{_near(kind, KNOWN)}")
    if odd := [key for key in OURS if key in config]:
        raise UserError(f"config.{odd[0]}: comes from the experiment's tokenizer; leave it out")
    default = CONFIG_MAPPING[kind]()
    known = {*default.to_dict(), *default.attribute_map, "tie_word_embeddings", "is_decoder", "model_type"}
    known -= {*PreTrainedConfig().to_dict()} - {"tie_word_embeddings", "is_decoder", "model_type"}
    known = {key for key in known if key not in OURS and not key.endswith("token_id")}
    for key, value in config.items():
        if key not in known:
            raise UserError(f"config.{key}: a {kind} has no such key{_near(key, known)}")
        if "drop" in key and value:
            raise UserError(f"config.{key}: {value}: models are trained without dropout")


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(str(name), sorted(known), 5, 0.5)
    return f"; near are {', '.join(near)}" if near else ""


@torch.no_grad()
def _is_causal(config: Mapping[str, Any]) -> bool:
    """Return whether what a token comes to is the same whatever follows; one block of random weights runs."""
    with torch.device("meta"):
        lm = built(config)
    del blocks.of(lm)[1][1:]
    lm.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for value in (*lm.parameters(), *lm.buffers()):
        if value.is_floating_point():
            value.normal_(0.0, 0.5, generator=generator)
        else:
            value.zero_()
    ids = torch.arange(LENGTH)[None]
    first, second = (
        lm(input_ids=x, use_cache=False).logits[0, :-1] for x in (ids, ids.clamp(max=LENGTH - 2))
    )
    return torch.allclose(first, second, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    from transformers.utils import logging

    logging.set_verbosity_error()
    asked = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"sizes": describe(asked["config"], asked["context"])}
    except UserError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
