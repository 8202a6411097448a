"""The `sensitivity` block of the config: its meaning, and checks across keys. Pure, imports nothing heavy.

Absent or null: nothing is run. The default setting itself (λ, T, layer, windows, window length, proxy steps
and scale that the scenario's Chameleon uses) is always part of every sweep and need not be listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.mixing.parameters import check_word

#: The swept factors in reading order, with the name for people.
FACTORS = {
    "ridge": "ridge λ",
    "temperature": "softmax temperature T",
    "layer": "embedding layer",
    "windows": "windows per domain",
    "window_length": "window length (tokens)",
    "proxy_steps": "proxy steps",
    "proxy_scale": "proxy size",
}


@dataclass(frozen=True)
class Settings:
    """What the study varies.

    Attributes:
        scenario: whose proxy, corpora and Chameleon are studied.
        method: label of a Chameleon method of that scenario.
        ridges: values of λ, in units of the affinity.
        temperatures: values of T.
        layers: hidden states to embed with (0: the token embeddings); None: all.
        windows: windows per domain.
        window_lengths: tokens per window.
        window_seeds: draws of windows; the config's seeds come first.
        proxy_steps: lengths of further proxies, in optimizer steps.
        proxy_scales: sizes of further proxies (names in `scales`), trained for the default number of steps.
        proxy_seeds: proxies at the default setting; None: one per seed of the config. Further seeds follow.
        checkpoints: shares of the training of the proxies of other lengths at which they are embedded too, to
            see what averaging over checkpoints is worth.
        variant_seeds: proxies at each other setting (the config's first seeds); None: all of the config's.
    """

    scenario: str
    method: str = "chameleon"
    ridges: tuple[float, ...] = ()
    temperatures: tuple[float, ...] = ()
    layers: tuple[int, ...] | None = None
    windows: tuple[int, ...] = ()
    window_lengths: tuple[int, ...] = ()
    window_seeds: int = 1
    proxy_steps: tuple[int, ...] = ()
    proxy_scales: tuple[str, ...] = ()
    proxy_seeds: int | None = None
    variant_seeds: int | None = None
    checkpoints: tuple[float, ...] = ()


def read(raw: Mapping[str, Any]) -> Settings | None:
    """Return the settings of a merged config, or None if the study is not run."""
    given = raw.get("sensitivity")
    if not given:
        return None
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    if values.get("layers") == "all":
        values["layers"] = None
    return Settings(**values)


def extended(seeds: list[int], count: int | None) -> list[int]:
    """Return `seeds` followed by the smallest other integers, until there are `count` (never fewer)."""
    found = list(seeds)
    candidate = 0
    while len(found) < (count or 0):
        if candidate not in found:
            found.append(candidate)
        candidate += 1
    return found


def check(raw: Mapping[str, Any]) -> None:
    """Check the block against the rest of the config.

    Raises:
        UserError: an unknown scenario, method or scale, a scenario without a proxy of its own, or a layer,
            window length or number of windows that the proxy or the draws cannot give.
    """
    found = read(raw)
    if found is None:
        return
    where = "sensitivity"
    if found.scenario not in raw["run"]:
        raise UserError(
            f"{where}.scenario: {choices(found.scenario, raw['run'])}; `sensitivity: null` runs no study"
        )
    scenario = raw["scenarios"][found.scenario]
    if scenario.get("kind", "pretrain") != "pretrain":
        raise UserError(
            f"{where}.scenario: {found.scenario} is of kind {scenario['kind']}; needs kind pretrain"
        )
    if "of" in scenario["proxy"] or "checkpoint" in scenario["proxy"]:
        raise UserError(f"{where}.scenario: {found.scenario} has no proxy of its own")
    chameleons = [m for m in scenario["methods"]
                  if raw.get("method_params", {}).get(m, {}).get("method", m) == "chameleon"]  # fmt: skip
    if found.method not in chameleons:
        raise UserError(
            f"{where}.method: {choices(found.method, chameleons)}; `sensitivity: null` runs no study"
        )
    given = raw.get("method_params", {}).get(found.method, {})
    for key in ("ridge", "temperature"):
        if isinstance(given.get(key), Mapping):
            raise UserError(
                f"{where}.method: {found.method}: its {key} is {dict(given[key])!r}, no number to vary"
            )
    for scale in found.proxy_scales:
        check_word(f"{where}.proxy_scales", scale, raw["scales"])
    model = raw["scales"][scenario["proxy"]["scale"]]["model"]
    for layer in found.layers or ():
        if layer > model["n_layer"]:
            raise UserError(f"{where}.layers: {layer} is deeper than the proxy's {model['n_layer']} blocks")
    for length in found.window_lengths:
        if length > model["context"]:
            raise UserError(
                f"{where}.window_lengths: {length} is longer than the proxy's context {model['context']}"
            )
    drawn = raw["embeddings"]["windows"]
    most = drawn * len(extended(raw["seeds"], found.window_seeds))
    for count in found.windows:
        # More windows than one draw has are the union of several draws.
        if count > drawn and (count % drawn or count > most):
            raise UserError(f"{where}.windows: {count} is neither below nor a multiple of embeddings.windows "
                            f"{drawn} up to {most} (window_seeds times that)")  # fmt: skip
