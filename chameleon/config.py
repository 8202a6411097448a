"""The config, checked while Snakemake parses: a typo dies before the DAG is built.

`load` takes the merged mapping, checks it against `schemas/config.json` and across keys, and answers
questions about it. What exists (corpora, scales) is declared apart from what is run (`run`, `methods`).
Imports nothing heavy.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chameleon import registry
from chameleon.artifacts import check, fingerprint
from chameleon.corpora.base import domain_names
from chameleon.errors import UserError, choices
from chameleon.interfaces import Method


@dataclass(frozen=True)
class Config:
    """A valid config. `raw` is the merged mapping, `source` names it in messages."""

    raw: Mapping[str, Any]
    source: str = "config"

    def __post_init__(self) -> None:
        check(dict(self.raw), "config", self.source)
        for scenario in self.raw["run"]:
            self._pick(scenario, "run", self.raw["scenarios"])
        # All corpora first: the tokenizer's identity, which methods may check, spans the scenarios.
        domains = {name: self._check_corpora(name) for name in self.scenarios}
        for name in self.scenarios:
            self._check_scenario(name, domains[name])
        for label in self.raw.get("method_params", {}):
            self.method(label)
        if self.raw["tokenizer"]["kind"] == "bpe":
            for key in ("vocab_size", "bytes_per_domain", "seed"):
                if key not in self.raw["tokenizer"]:
                    raise UserError(f"{self.source}: tokenizer.{key}: missing; kind 'bpe' needs it")

    def _pick(self, name: str, key: str, table: Mapping[str, Any]) -> Any:
        if name not in table:
            raise UserError(f"{self.source}: {key}: {choices(name, table)}")
        return table[name]

    def _check_corpora(self, name: str) -> tuple[str, ...]:
        where = f"scenarios.{name}.corpora"
        seen: dict[str, str] = {}
        for corpus in self.raw["scenarios"][name]["corpora"]:
            self._pick(corpus, where, self.raw["corpora"])
            for domain in self.domains_of(corpus):
                if domain in seen:
                    raise UserError(
                        f"{self.source}: {where}: domain {domain!r} is in {seen[domain]} and {corpus}"
                    )
                seen[domain] = corpus
        return tuple(seen)

    def _check_scenario(self, name: str, domains: tuple[str, ...]) -> None:
        scenario, where = self.raw["scenarios"][name], f"scenarios.{name}"
        for role in ("proxy", "base"):
            scale = self._pick(scenario[role]["scale"], f"{where}.{role}.scale", self.raw["scales"])
            width, heads = scale["model"]["d_model"], scale["model"]["n_head"]
            if width % heads:
                key = f"scales.{scenario[role]['scale']}.model"
                raise UserError(f"{self.source}: {key}: d_model {width} is not divisible by n_head {heads}")
        proxy = self.raw["scales"][scenario["proxy"]["scale"]]["model"]
        depth, context = proxy["n_layer"], proxy["context"]
        layer, length = (self.raw["embeddings"][key] for key in ("layer", "window_length"))
        if layer is not None and layer > depth:
            raise UserError(
                f"{self.source}: embeddings.layer: {layer} is deeper than the proxy's {depth} blocks"
            )
        if length is not None and length > context:
            key = f"{self.source}: embeddings.window_length"
            raise UserError(f"{key}: {length} is longer than the proxy's context {context}")
        window = max(context, self.raw["scales"][scenario["base"]["scale"]]["model"]["context"])
        for key, value in self.raw["evaluation"].items():
            if value < window:
                raise UserError(
                    f"{self.source}: evaluation.{key}: {value} is less than a context of {window}"
                )
        for label in scenario["methods"]:
            method, params = self.method(label, f"{where}.methods")
            method.check(params, domains, {"tokenizer_fingerprint": self.tokenizer_fingerprint})

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios that are run."""
        return list(self.raw["run"])

    @property
    def seeds(self) -> list[int]:
        return list(self.raw["seeds"])

    @property
    def results(self) -> str:
        return str(self.raw.get("results_dir", "results"))

    @property
    def corpora(self) -> list[str]:
        """Corpora of the scenarios that are run, each once."""
        return list(dict.fromkeys(c for s in self.scenarios for c in self.raw["scenarios"][s]["corpora"]))

    def domains_of(self, corpus: str) -> list[str]:
        """Return the domains of a corpus, in its fixed order."""
        return domain_names(corpus, self.raw["corpora"][corpus])

    def domains(self, scenario: str) -> dict[str, str]:
        """Return domain -> corpus of a scenario, in order."""
        return {d: c for c in self.raw["scenarios"][scenario]["corpora"] for d in self.domains_of(c)}

    def methods(self, scenario: str) -> list[str]:
        """Return the method labels of a scenario."""
        return list(self.raw["scenarios"][scenario]["methods"])

    def method(self, label: str, key: str = "method_params") -> tuple[Method, dict[str, Any]]:
        """Return the method behind a label and its parameters.

        A label is a method's name, or any other name whose `method_params` entry says `method: <name>`.
        """
        overrides = dict(self.raw.get("method_params", {}).get(label, {}))
        name = overrides.pop("method", label)
        if name not in registry.names():
            raise UserError(f"{self.source}: {key}: method {choices(name, registry.names())}")
        return registry.get(name), registry.parameters(
            name, overrides, f"{self.source}: method_params.{label}"
        )

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """Identity of the tokenizer to be trained, known before anything has run."""
        raw = self.raw
        entries = {c: [raw["corpora"][c], self.domains_of(c)] for c in self.corpora}
        # How tokens are cut into files decides nothing that the tokenizer sees.
        data = {key: value for key, value in raw["data"].items() if key != "shard_tokens"}
        return fingerprint([raw["tokenizer"], entries, data])


def check_results_dir(cfg: Config) -> None:
    """Refuse a results folder that cannot be made or written.

    Raises:
        UserError: names the folder that stands in the way.
    """
    existing = Path(cfg.results)
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        why = "is not a folder" if not existing.is_dir() else "cannot be written"
        raise UserError(f"{cfg.source}: results_dir: {cfg.results!r}: {existing} {why}")


def load(raw: Mapping[str, Any], source: str = "config") -> Config:
    """Return the checked config.

    Raises:
        UserError: one line with the file, the key, the value and the valid choices.
    """
    return Config(raw, source)


def load_file(path: str | Path) -> Config:
    """Return the checked config in a YAML file."""
    import yaml

    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected a mapping, found {type(raw).__name__}")
    return load(raw, str(path))
