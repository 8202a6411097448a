"""The toy experiment of the tests, as a config, and how mistakes in it are put and looked at."""

from typing import Any

import pytest

VOCAB, CONTEXT, EOT = 64, 16, 0
#: How text is prepared.
PREPARED: dict[str, Any] = {
    "min_characters": 200,
    "max_characters": 1500,
    "max_bytes_per_domain": None,
    "seed": 0,
    "split": {"validation": 0.1, "test": 0.1},
    "dedup": {"near": False, "threshold": 0.8, "permutations": 64, "shingle_words": 5},
}
#: Two corpora, three domains; every job takes well under a second.
RAW: dict[str, Any] = {
    "seeds": [0, 1],
    "run": ["toy"],
    "scenarios": {
        "toy": {
            "corpora": ["left", "right"],
            "proxy": {"scale": "tiny", "steps": 4},
            "base": {"scale": "tiny"},
            "methods": ["uniform", "natural", "chameleon"],
        }
    },
    "corpora": {
        "left": {"kind": "synthetic", "domains": ["twin_one", "unique"]},
        "right": {"kind": "synthetic", "domains": ["blend"]},
    },
    "data": {
        **PREPARED,
        "shard_tokens": 1024,
    },
    "tokenizer": {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 1000, "seed": 0},
    "embeddings": {"windows": 8, "window_length": None, "layer": None},
    "evaluation": {"test_tokens": 320, "validation_tokens": 64},
    "scales": {
        "tiny": {
            "model": {"n_layer": 2, "n_head": 2, "d_model": 16, "context": CONTEXT},
            "train": {"optimizer": "muon", "lr": 0.02, "adam_lr": 0.01, "batch_size": 4, "steps": 8},
        }
    },
    "threads": {"prepare": 1, "tokenize": 1, "train": 1, "evaluate": 1},
}


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path."""
    *parents, last = path.split(".")
    for key in parents:
        raw = raw.setdefault(key, {})
    raw[last] = value


def refused(raw: dict[str, Any]) -> str:
    """Return the message with which a config called `my.yaml` is refused: one line, not too long."""
    from chameleon.core.errors import UserError
    from chameleon.experiment.load import load

    with pytest.raises(UserError) as caught:
        load(raw, "my.yaml")
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message
