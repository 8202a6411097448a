"""Checkpoints of others in a config: `base: {checkpoint}` and `proxy: {checkpoint}`.

Their sizes come from the scale that stands beside them, or where it leaves them out from the checkpoint's own
config.json. A name on the hub is taken as it is: nothing here needs a network, and nothing heavy is imported.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chameleon.core.artifacts import fingerprint, read_json
from chameleon.core.errors import UserError
from chameleon.data.corpora.digest import digest
from chameleon.experiment import architectures
from chameleon.mixing.method import Method
from chameleon.mixing.types import REFERENCE, RunSpec
from chameleon.training.hf.described import SIZES

if TYPE_CHECKING:
    from chameleon.experiment.config import Config

#: In the place of a method's label: the results of the model that finetuning starts from. No label begins so.
START = "_start"
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
#: What a checkpoint is read from; a folder may hold other things beside them.
FILES = ("*.safetensors", "*.json")
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?(@[\w./-]+)?")


def slug(checkpoint: str, context: int) -> str:
    """Return the name of a checkpoint in paths: its last part, and what tells it from others of that name."""
    last = Path(checkpoint.partition("@")[0]).name.lower()
    short = re.sub(r"[^a-z0-9]+", "_", last).strip("_")[:40] or "model"
    return f"{short}_{fingerprint([checkpoint, context])[:8]}"


def contents(checkpoint: str) -> dict[str, str]:
    """Return for a spec what a checkpoint on this machine is, the digest of its files; of a hub name none."""
    path = Path(checkpoint)
    if path.is_file():
        return {"files": digest(path.parent, [path])}
    if not path.is_dir():
        return {}
    return {"files": digest(path, sorted(file for kind in FILES for file in path.glob(kind)))}


def completed(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config whose scales have all their sizes; the same one if they have.

    Raises:
        UserError: a scale lacks a size and no checkpoint on this machine tells it, or another one.
    """
    scales = {name: dict(scale["model"]) for name, scale in raw["scales"].items()}
    used = architectures.in_use(raw)
    # One of transformers that is not in use needs no sizes.
    excused = {name for name in scales if architectures.complete(name, scales[name], name in used)}
    for name, scenario in raw["scenarios"].items():
        for role in ("proxy", "base"):
            given = scenario[role]
            if "checkpoint" not in given or given.get("scale") not in scales:
                continue
            if name not in raw["run"]:  # its checkpoint may be on another machine
                excused.add(given["scale"])
                continue
            where = f"scenarios.{name}.{role}.checkpoint"
            if "kind" in scales[given["scale"]]:
                said = f"scale {given['scale']!r} is a model from scratch"
                raise UserError(f"{where}: {said}; a checkpoint's own has model: {{context: N}}")
            _complete(scales[given["scale"]], given, where)
            _check_tokens(raw, given["checkpoint"])
    for name, model in scales.items():
        if (missing := [key for key in SIZES if key not in model]) and name not in excused:
            remedy = "only beside a checkpoint in a folder with a config.json it may be left out"
            raise UserError(f"scales.{name}.model.{missing[0]}: missing; {remedy}")
    if all(scales[name] == scale["model"] for name, scale in raw["scales"].items()):
        return raw
    made = {name: {**scale, "model": scales[name]} for name, scale in raw["scales"].items()}
    return {**raw, "scales": made}


def _complete(model: dict[str, Any], role: Mapping[str, Any], where: str) -> None:
    """Add a checkpoint's sizes to its scale's, and compare those that stand there."""
    checkpoint, scale = role["checkpoint"], f"scales.{role['scale']}.model"
    path = Path(checkpoint)
    local = path.exists() or path.is_absolute() or checkpoint.startswith((".", "~")) or path.suffix == ".gguf"
    if local and not path.exists():
        raise UserError(f"{where}: {checkpoint!r}: no such folder or file")
    if not local and not _HUB.fullmatch(checkpoint):
        raise UserError(
            f"{where}: {checkpoint!r} is neither a folder, a .gguf file nor a name on the hub (OWNER/NAME, "
            "OWNER/NAME@REVISION)"
        )
    if path.is_file() and path.suffix != ".gguf":
        raise UserError(f"{where}: {checkpoint!r}: a folder or a .gguf file is expected")
    told = _config(path, where) if path.is_dir() else {}
    for key, names in SIZES.items():
        value = _told(told, names)
        if value is None:
            continue
        if model.setdefault(key, value) != value:
            raise UserError(f"{scale}.{key}: {model[key]}, but checkpoint {checkpoint!r} has {value}")
    most = _told(told, POSITIONS)
    if most is not None and model["context"] > most:
        raise UserError(
            f"{scale}.context: {model['context']} is longer than the {most} of checkpoint {checkpoint!r}"
        )


def _check_tokens(raw: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse a tokenizer in a folder that has more tokens than a checkpoint in a folder has embeddings."""
    file, config = (
        Path(raw["tokenizer"].get("path") or "") / "tokenizer.json",
        Path(checkpoint) / "config.json",
    )
    if not file.is_file() or not config.is_file():
        return
    rows = _told(read_json(config), ("vocab_size",))
    if rows is not None and (size := vocabulary(file)) > rows:
        where = f"tokenizer.path: {raw['tokenizer']['path']!r}"
        raise UserError(f"{where}: {size} tokens, but checkpoint {checkpoint!r} has {rows} embeddings")


def vocabulary(file: Path) -> int:
    """Return the number of ids of a tokenizer.json: the largest plus one; 0 where it has another form."""
    try:
        raw = read_json(file)
        known = raw["model"]["vocab"]
        ids = [*(known.values() if isinstance(known, dict) else range(len(known)))]
        return int(max([*ids, *(token["id"] for token in raw.get("added_tokens") or [])], default=-1)) + 1
    except (KeyError, TypeError, AttributeError):
        return 0


def _config(path: Path, where: str) -> Mapping[str, Any]:
    if not (path / "config.json").is_file():
        raise UserError(f"{where}: {str(path)!r}: no config.json in this folder")
    if not [*path.glob("*.safetensors")]:
        raise UserError(f"{where}: {str(path)!r}: no .safetensors file in this folder (pickles are not read)")
    found = read_json(path / "config.json")
    return found if isinstance(found, dict) else {}


def _told(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    found = [config[name] for name in names if isinstance(config.get(name), int)]
    return found[0] if found else None


def check_links(cfg: "Config", name: str) -> None:
    """Refuse checkpoints where the scenario has no place for one, and keys that belong to a checkpoint only.

    Raises:
        UserError: names the key.
    """
    scenario, kind = cfg.raw["scenarios"][name], cfg.kind(name)
    where = f"scenarios.{name}"
    base, proxy = scenario["base"], scenario["proxy"]
    for role, given, others in (("base", base, ("of", "method")), ("proxy", proxy, ("of", "steps"))):
        if "checkpoint" not in given:
            continue
        if odd := [key for key in others if key in given]:
            raise UserError(f"{where}.{role}: give either checkpoint or {odd[0]}")
        if cfg.raw["tokenizer"]["kind"] == "bpe":
            remedy = f"tokenizer: {{kind: hf, path: {given['checkpoint'].partition('@')[0]}}}"
            raise UserError(f"{where}.{role}.checkpoint: it reads its own tokenizer only; write {remedy}")
    if "checkpoint" in base and kind != "finetune":
        raise UserError(f"{where}.base.checkpoint: only for kind finetune, not {kind}")
    if "checkpoint" in proxy and kind == "transfer":
        raise UserError(f"{where}.proxy.checkpoint: kind transfer takes another scenario's proxy (proxy.of)")
    for key in ("lora", "kept"):
        if key in base and "checkpoint" not in base:
            raise UserError(f"{where}.base.{key}: only beside base.checkpoint")


def check_method(cfg: "Config", name: str, label: str, runs: Sequence[RunSpec]) -> None:
    """Refuse methods that need what a checkpoint or LoRA has not: a proxy to be trained, whole gradients.

    Args:
        cfg, name, label: the method of a scenario.
        runs: that it asks for.

    Raises:
        UserError: names the method and what to write instead.
    """
    where = f"scenarios.{name}.methods: {label}"
    chosen, method = cfg.embed_with(name, label), cfg.method(label)[0]
    needs = "embeddings" in method.requires
    if "checkpoint" in cfg.proxy_role(name):
        like_proxy = any(run.scale is None or REFERENCE in run.after for run in runs)
        if like_proxy or (needs and chosen in ("own", "untrained")):
            remedy = f"write scenarios.{cfg.proxy_of(name)}.proxy: {{scale: NAME}}, or leave the method out"
            raise UserError(f"{where}: trains models like the proxy, which is a checkpoint; {remedy}")
    own_gradients = type(method).objective_bytes is not Method.objective_bytes
    if "lora" in cfg.raw["scenarios"][name]["base"] and method.online and own_gradients:
        raise UserError(f"{where}: takes gradients of whole matrices apart; base.lora has none")
