"""The toy experiment of the tests, as a config."""

from typing import Any

VOCAB, CONTEXT, EOT = 64, 16, 0
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
        "min_characters": 200,
        "max_characters": 1500,
        "max_bytes_per_domain": None,
        "seed": 0,
        "split": {"validation": 0.1, "test": 0.1},
        "dedup": {"near": False, "threshold": 0.8, "permutations": 64, "shingle_words": 5},
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
