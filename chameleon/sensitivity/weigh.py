"""From embedding files to Chameleon's weights at every setting; numpy on small files.

`Proxies` finds an embedding by its setting; `settings` lists every setting with its weights; `affinity` and
`weights_of` are the method's own formulas (`chameleon.krls`) with λ and T as arguments.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chameleon import krls
from chameleon.core.artifacts import read_json

Spec = Mapping[str, Any]
Array = np.ndarray


class Weighed(NamedTuple):
    """Weights at one setting: the factor that is off its default, proxy, draw, k weights."""

    factor: str
    setting: str
    proxy_seed: int
    window_seed: int
    weights: Array


def affinity(embeddings: Array, params: Mapping[str, Any]) -> Array:
    """Return the k x k affinity of k x d embeddings."""
    return krls.affinity(embeddings, centre=params["centre"])


def weights_of(
    omega: Array, params: Mapping[str, Any], ridge: float | None = None, temperature: float | None = None
) -> Array:
    """Return the k weights of an affinity; λ and T are the method's unless given."""
    ridge = params["ridge"] if ridge is None else ridge
    temperature = params["temperature"] if temperature is None else temperature
    scores = krls.leverage_scores(omega, ridge=ridge, normalise=params["normalise"])
    to_weights = krls.pretrain_weights if params["mode"] == "pretrain" else krls.finetune_weights
    return to_weights(scores, temperature=temperature)


class Proxies:
    """The embeddings of all proxies, by variant, seed, layer, window length, windows and draw."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec = spec
        self.found: dict[tuple[Any, ...], Array] = {}
        #: The pipeline's own setting of (variant, seed).
        self.own: dict[tuple[str, int], Array] = {}
        #: Embeddings of (variant, seed) at its checkpoints, in order of their steps, without the last.
        self.earlier: dict[tuple[str, int], list[Array]] = {}
        for variant, about in spec["variants"].items():
            for seed in about["seeds"]:
                file = read_json(folder / variant / f"seed{seed}.json", "sensitivity_embeddings")
                for entry in file["entries"]:
                    rows = np.array([entry["rows"][d] for d in spec["domains"]], dtype=np.float64)
                    key = (entry["layer"], entry["window_length"], entry["windows"], entry["window_seed"])
                    self.found[variant, seed, *key] = rows
                self.earlier[variant, seed] = [
                    np.array([c["rows"][d] for d in spec["domains"]], dtype=np.float64)
                    for c in sorted(file["checkpoints"], key=lambda c: c["step"])
                ]
                default = self.defaults if variant == "default" else file["entries"][0]
                at = (default["layer"], default["window_length"], spec["windows"], seed)
                self.own[variant, seed] = self.found[variant, seed, *at]

    @property
    def defaults(self) -> dict[str, int]:
        at = {key: int(self.spec["defaults"][key]) for key in ("layer", "window_length")}
        return {**at, "windows": self.spec["windows"]}

    @property
    def seeds(self) -> list[int]:
        """Seeds of the default proxies."""
        return list(self.spec["variants"]["default"]["seeds"])

    def default(self, seed: int, **where: int) -> Array:
        """Return the k x d embedding of a default proxy.

        Args:
            seed: of the proxy.
            where: `layer`, `window_length`, `windows` and `window_seed` where they are not at their default
                (the draw's is the proxy's own).
        """
        return self.found["default", seed, *({**self.defaults, "window_seed": seed} | where).values()]

    def draws(self, windows: int) -> list[int]:
        """Return the draws that every default proxy has at this number of windows."""
        at = ({**self.defaults, "windows": windows}).values()
        return sorted(
            draw
            for draw in set(self.spec["window_seeds"])
            if all(("default", seed, *at, draw) in self.found for seed in self.seeds)
        )


def all_settings(proxies: Proxies) -> Iterator[Weighed]:
    """Yield the weights at every setting of every factor.

    Factor `seed` is the crossed design: every default proxy with every shared draw. Other factors use the
    proxy's own draw, except `windows`, which uses all of them.
    """
    spec, params = proxies.spec, proxies.spec["params"]
    for seed in proxies.seeds:
        omega = affinity(proxies.default(seed), params)
        for ridge in spec["ridges"]:
            yield Weighed("ridge", f"{ridge:g}", seed, seed, weights_of(omega, params, ridge=ridge))
        for t in spec["temperatures"]:
            yield Weighed("temperature", f"{t:g}", seed, seed, weights_of(omega, params, temperature=t))

        def at(factor: str, setting: int, draw: int, seed: int = seed, **where: int) -> Weighed:
            found = weights_of(affinity(proxies.default(seed, window_seed=draw, **where), params), params)
            return Weighed(factor, str(setting), seed, draw, found)

        for layer in spec["layers"]:
            yield at("layer", layer, seed, layer=layer)
        for length in spec["window_lengths"]:
            yield at("window_length", length, seed, window_length=length)
        for count in spec["counts"]:
            for draw in proxies.draws(count):
                yield at("windows", count, draw, windows=count)
        for draw in proxies.draws(spec["windows"]):
            yield at("seed", draw, draw)
    for name, about in spec["variants"].items():
        named = {"proxy_steps": str(about["steps"]), "proxy_scale": spec["defaults"]["proxy_scale"]}
        factors = named if about["factor"] is None else {about["factor"]: about["setting"]}
        for seed in about["seeds"]:
            found = weights_of(affinity(proxies.own[name, seed], params), params)
            for factor, setting in factors.items():
                yield Weighed(factor, setting, seed, seed, found)
