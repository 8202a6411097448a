"""The toy config with a llama from scratch in the place of its decoder: shared by such models' tests."""

from typing import Any

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
}
MODEL: dict[str, Any] = {"kind": "hf", "context": 16, "config": LLAMA}
SIZES = {"n_layer": 2, "n_head": 4, "d_model": 16}


def of_llama(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the toy config with its scale's model a llama."""
    raw["scales"]["tiny"]["model"] = {**MODEL, "config": dict(LLAMA)}
    return raw
