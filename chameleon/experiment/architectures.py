"""Scales whose model is one of `transformers`: `model: {kind: hf, config: {...}, context: N}`.

Their sizes come from the config's class; only those of scales that are in use are asked for, as it takes
seconds the first time. Imports nothing heavy.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.core.errors import UserError
from chameleon.training.hf import described

#: The `kind` of such a model.
HF = "hf"


def complete(name: str, model: dict[str, Any], used: bool) -> bool:
    """Add its sizes to the model of a scale that is in use; return whether it is one of transformers.

    Raises:
        UserError: keys of one kind beside the other, other sizes, or no decoder can be made of its config.
    """
    where = f"scales.{name}.model"
    if model.get("kind") != HF:
        if "config" in model:
            raise UserError(f"{where}.config: only beside kind: {HF}")
        return False
    if "config" not in model:
        raise UserError(f"{where}.config: missing; kind {HF} takes one, with its model_type")
    if "init_std" in model:
        raise UserError(f"{where}.init_std: kind {HF} has it in config, by the name of its class")
    for key, value in described.sizes(model["config"], model["context"], where).items() if used else ():
        if model.setdefault(key, value) != value:
            raise UserError(f"{where}.{key}: {model[key]}, but the model of its config has {value}")
    return True


def in_use(raw: Mapping[str, Any]) -> set[str]:
    """Return what may be the name of a scale that something of a config's runs takes."""
    scenarios = [raw["scenarios"][name] for name in raw["run"] if name in raw["scenarios"]]
    roles = [scenario[role] for scenario in scenarios for role in ("proxy", "base")]
    linked = [raw["scenarios"].get(role.get("of"), {}) for role in roles]
    roles += [scenario[role] for scenario in linked if scenario for role in ("proxy", "base")]
    found = {role.get("scale") for role in roles}
    for params in raw.get("method_params", {}).values():
        found |= {value for value in params.values() if isinstance(value, str)}
    found |= set((raw.get("sensitivity") or {}).get("proxy_scales", []))
    return {name for name in found if name is not None}
