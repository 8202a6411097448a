"""Builds models of `transformers` from their configs, without dropout."""

from collections.abc import Mapping
from typing import Any

import torch


def built(config: Mapping[str, Any]) -> Any:
    """Return a causal language model in float32; its weights are drawn from torch's global generator.

    Args:
        config: by the names of transformers, with `model_type`.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    given = without_dropout(AutoConfig.for_model(**config))
    return AutoModelForCausalLM.from_config(given, dtype=torch.float32)


def drawn(config: Mapping[str, Any], seed: int) -> Any:
    """Return a model with the initial weights of its class, drawn from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lm = built(config)
    # Those of its class are another tokenizer's; the experiment's is told when the model is saved.
    lm.config.bos_token_id = lm.config.eos_token_id = lm.config.pad_token_id = None
    return lm


def without_dropout(config: Any) -> Any:
    """Return a config of transformers whose dropout is off."""
    for key, value in config.to_dict().items():
        if "drop" in key and isinstance(value, float):
            setattr(config, key, 0.0)
    return config
