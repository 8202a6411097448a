"""The specs of the few-shot jobs: pure functions of the config, no torch (see `chameleon.experiment.specs`).

Config: `evaluation.fewshot: {source: items | lm_eval, tasks, shots, limit, path}`. Source `items` names sets
of real items that come with a pinned package, or with `path` files `<task>.jsonl` of your own; the workflow
writes them as local tasks and the models are scored offline. Source `lm_eval` names lm-eval's own tasks,
which come from the Hugging Face hub.
"""

from chameleon.core.versions import STAGES
from chameleon.evaluation.items import PREFIX
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec

#: Items per task that are examples only, and the seed of that choice and of the order of the others.
EXAMPLES, SPLIT_SEED = 64, 0
#: Longer answers are left out: a model of the default scale sees 128 tokens at a time.
MAX_ANSWER_BYTES = 256


def uses_items(cfg: Config) -> bool:
    """Return whether the tasks are local ones that the `items` job writes."""
    return bool(cfg.raw["evaluation"]["fewshot"]["source"] == "items")


def own_files(cfg: Config) -> list[str]:
    """Return the files that hold items of your own."""
    given = cfg.raw["evaluation"].get("fewshot") or {}
    return [f"{given['path']}/{name}.jsonl" for name in given["tasks"]] if given.get("path") else []


def items(cfg: Config) -> Spec:
    """The generated task folder."""
    given = cfg.raw["evaluation"]["fewshot"]
    return {
        "tasks": list(given["tasks"]),
        "path": given.get("path"),
        "examples": EXAMPLES,
        "seed": SPLIT_SEED,
        "max_answer_bytes": MAX_ANSWER_BYTES,
        "version": STAGES["items"],
    }


def fewshot(cfg: Config, scenario: str) -> Spec:
    """The few-shot evaluation of all models of a scenario."""
    given = cfg.raw["evaluation"]["fewshot"]
    local = uses_items(cfg)
    return {
        "scenario": scenario,
        "scale": cfg.raw["scenarios"][scenario]["base"]["scale"],
        "methods": cfg.methods(scenario),
        "seeds": cfg.seeds,
        "source": given["source"],
        "tasks": [PREFIX + name if local else name for name in given["tasks"]],
        "shots": list(given["shots"]),
        "limit": given["limit"],
        "version": STAGES["fewshot"],
    }
