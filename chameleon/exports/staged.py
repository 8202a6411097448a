"""Configs of pretraining trainers: OLMo-core's sources, levanter's weights, nanotron's stages.

The latter two take weights that change over steps. All sample sequences of fixed length: token shares.
"""

import math
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.errors import UserError, shown
from chameleon.exports.caps import tokens_of
from chameleon.exports.plan import Format, Plan
from chameleon.exports.texts import comments, yaml_text
from chameleon.mixture import Domain

#: Of OLMo-core's repetitions: it rounds each source's tokens up to whole sequences, per path.
SLACK = 1.005
#: Sequences that levanter mixes at a time: its default, and the most it can count.
BLOCK, MOST_BLOCK = 2048, 2**15


def _load(path: Path, key: str, kind: type) -> Any:
    """Return a key of a YAML file.

    Raises:
        UserError: no YAML, no such key, or not of that kind.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, kind) or not value:
        raise UserError(f"{path}: {key}: {shown(value)} is not a {kind.__name__} with entries")
    return value


def _olmo(plan: Plan) -> dict[str, str]:
    """Return the list of sources; with a budget, how often each may be repeated."""
    sources = []
    for entry in plan.entries:
        source: dict[str, Any] = {
            "source_name": entry.name,
            "target_ratio": entry.weight,
            "paths": list(entry.paths),
        }
        tokens = tokens_of(plan.about.get(entry.domain, Domain()))
        if plan.budget is not None and tokens:
            repeated = float(entry.weight) * plan.budget / tokens
            # OLMo-core refuses a source that falls short by one token, and any ratio below 1.
            source["max_repetition_ratio"] = (
                1.0 if repeated * SLACK <= 1 else math.ceil(repeated * SLACK * 1e3) / 1e3
            )
        sources.append(source)
    asked = "TOKENS" if plan.budget is None else f"{plan.budget:.0f}"
    lines = [
        *plan.notes,
        "sources = SourceMixtureList.from_dict(yaml.safe_load(open('sources.yaml')))",
        f"SourceMixtureDatasetConfig(source_list=sources, requested_tokens={asked}, global_batch_size=...)",
    ]
    return {"sources.yaml": comments(lines) + yaml_text({"sources": sources})}


def _read_olmo(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "sources.yaml"
    sources = _load(path, "sources", list)
    for source in sources:
        name, ratio = source.get("source_name"), source.get("target_ratio")
        if not isinstance(ratio, float) or not 0 < ratio <= 1:
            raise UserError(f"{path}: {name}: target_ratio: {shown(ratio)} is not in (0, 1]")
        if not source.get("paths") or not source.get("max_repetition_ratio", 1) >= 1:
            raise UserError(f"{path}: {name}: has no paths, or a max_repetition_ratio below 1")
    if abs(sum(source["target_ratio"] for source in sources) - 1) > 1e-5:
        raise UserError(f"{path}: the target_ratios do not sum to 1")
    return [[(source["source_name"], source["target_ratio"]) for source in sources]]


def block_size(plan: Plan) -> int:
    """Return the sequences per block at which the smallest weight has one: a power of 2, 2048 to 32768."""
    smallest = min(float(e.weight) for stage in plan.stages for e in stage.entries)
    return int(min(MOST_BLOCK, max(BLOCK, 2 ** math.ceil(math.log2(1 / smallest)))))


def _levanter(plan: Plan) -> dict[str, str]:
    """Return the `data` section: weights, or [[step, weights], ...]."""
    entries = {e.name: e for stage in plan.stages for e in stage.entries}
    weights = [[stage.start_step, {e.name: e.weight for e in stage.entries}] for stage in plan.stages]
    block = block_size(plan)
    lines = [*plan.notes, f"a block holds {block} sequences: a weight acts in steps of 1/{block}"]
    if lost := [e.name for e in entries.values() if float(e.weight) * block < 1]:
        lines.append(f"too small to be drawn at all: {', '.join(lost)}")
    if len(plan.stages) > 1:
        lines.append(
            f"step x train_batch_size of every stage must be a multiple of mixture_block_size ({block})"
        )
    data = {
        "configs": {e.name: {"train_urls": list(e.paths)} for e in entries.values()},
        "train_weights": weights[0][1] if len(weights) == 1 else weights,
        "stop_strategy": "restart",
        "mixture_block_size": block,
    }
    return {"data.yaml": comments(lines) + yaml_text({"data": data})}


def _read_levanter(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "data.yaml"
    data = _load(path, "data", dict)
    weights, configs = data.get("train_weights"), data.get("configs") or {}
    stages: list[Any] = [[0, weights]] if isinstance(weights, dict) else weights
    if not stages or stages[0][0] != 0:
        raise UserError(f"{path}: data.train_weights: {shown(weights)} does not start at step 0")
    for _, stage in stages:
        if not isinstance(stage, dict):
            raise UserError(f"{path}: data.train_weights: {shown(stage)} is not a mapping of weights")
        if odd := sorted(set(stage) - set(configs)):
            raise UserError(f"{path}: data.train_weights: {odd[0]!r} is not in data.configs")
    block = data.get("mixture_block_size")
    if not isinstance(block, int) or not 0 < block < 2**16:
        raise UserError(f"{path}: data.mixture_block_size: {shown(block)} is not a whole number below 65536")
    return [list(stage.items()) for _, stage in stages]


def _nanotron(plan: Plan) -> dict[str, str]:
    """Return `data_stages`: parallel lists of folders and weights; nanotron counts its steps from 1."""
    stages = [
        {
            "name": f"stage {i}",
            "start_training_step": stage.start_step + 1,
            "data": {
                "dataset": {
                    "dataset_folder": [e.path for e in stage.entries],
                    "dataset_weights": [e.weight for e in stage.entries],
                },
                "num_loading_workers": 1,
                "seed": 0,
            },
        }
        for i, stage in enumerate(plan.stages, 1)
    ]
    return {"data_stages.yaml": comments(plan.notes) + yaml_text({"data_stages": stages})}


def _read_nanotron(folder: Path) -> list[list[tuple[str, float]]]:
    path = folder / "data_stages.yaml"
    stages = _load(path, "data_stages", list)
    if stages[0].get("start_training_step") != 1:
        raise UserError(f"{path}: data_stages: the first stage does not start at step 1")
    found = []
    for stage in stages:
        data = stage["data"]["dataset"]
        folders, weights = data["dataset_folder"], data["dataset_weights"]
        if not isinstance(folders, list) or not isinstance(weights, list) or len(folders) != len(weights):
            raise UserError(f"{path}: {stage.get('name')}: folders and weights are not lists of one length")
        found.append(list(zip(folders, weights, strict=True)))
    return found


FORMATS = (
    Format(
        "olmo-core",
        "tokens",
        ("sources.yaml",),
        _olmo,
        _read_olmo,
        "SourceMixtureList.from_dict(yaml.safe_load(open('{out}/sources.yaml')))",
        draws="shares",
        notes=(
            "without --budget, sources may not be repeated (max_repetition_ratio stays at its default, 1)",
        ),
        shards="*.npy",
    ),
    Format(
        "levanter",
        "tokens",
        ("data.yaml",),
        _levanter,
        _read_levanter,
        "put the `data` section of {out}/data.yaml into the config",
        staged=True,
        draws="blocks",
    ),
    Format(
        "nanotron",
        "tokens",
        ("data_stages.yaml",),
        _nanotron,
        _read_nanotron,
        "put the `data_stages` of {out}/data_stages.yaml into the config",
        key="path",
        one_path=True,
        staged=True,
    ),
)
