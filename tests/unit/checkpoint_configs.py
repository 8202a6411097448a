"""The toy config with a scenario that finetunes a checkpoint: shared by the tests of checkpoints."""

import copy
from pathlib import Path

ITEMS = str(Path(__file__).parents[1] / "data" / "items")
METHODS = ["uniform", "natural", "temperature", "fixed", "chameleon", "base", "permuted", "lexical", "aioli"]
PARAMS = {
    "fixed": {"weights": {"twin_one": 0.75, "unique": 0.25}},
    "base": {"method": "chameleon", "embed_with": "base", "mode": "finetune"},
    "permuted": {"of": "chameleon"},
    "lexical": {"method": "chameleon_lexical"},
    "aioli": {"prior_steps": 1, "update_steps": 4, "lp_steps": 1, "most_probing": 0.5},
}


def tuned(raw, theirs):
    """Return the toy config `raw` with a scenario that finetunes a checkpoint on the left corpus."""
    checkpoint = {"checkpoint": str(theirs), "scale": "theirs"}
    raw["scenarios"] = {
        "tuned": {
            "kind": "finetune",
            "corpora": ["left"],
            "proxy": {**checkpoint},
            "base": {**checkpoint, "kept": ["right"]},
            "methods": list(METHODS),
            "fewshot": True,
        }
    }
    raw["run"], raw["seeds"], raw["method_params"] = ["tuned"], [0, 1], copy.deepcopy(PARAMS)
    raw["tokenizer"] = {"kind": "hf", "path": str(theirs)}
    for corpus in ("left", "right"):
        raw["corpora"][corpus]["documents"] = 60
    train = {"optimizer": "adamw", "lr": 0.01, "batch_size": 4, "steps": 8, "grad_accumulation": 2}
    raw["scales"]["theirs"] = {"model": {"context": 16}, "train": train}
    raw["evaluation"] |= {"curve_points": [0.5, 1.0], "curve_tokens": 64}
    raw["evaluation"]["fewshot"] = {
        "source": "items",
        "path": ITEMS,
        "tasks": ["habits"],
        "shots": [0, 1],
        "limit": 4,
    }
    return raw
