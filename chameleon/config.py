"""The config, checked while Snakemake parses: a typo dies before the DAG is built.

`load` takes the merged mapping, checks it against `schemas/config.json` and across keys, and answers
questions about it. What exists (corpora, scales) is declared apart from what is run (`run`, `methods`).
A scenario is of a kind: `pretrain` trains base models from scratch; `transfer` does so on more domains and
takes the proxy of another scenario as it is; `finetune` goes on from another scenario's base model.
Imports nothing heavy.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chameleon import registry
from chameleon.artifacts import check, fingerprint
from chameleon.corpora.base import domain_names
from chameleon.errors import UserError, choices
from chameleon.interfaces import Method
from chameleon.plan_fewshot import check as check_fewshot
from chameleon.sensitivity.settings import check as check_sensitivity

KINDS = ("pretrain", "transfer", "finetune")
#: Keys of a `method_params` entry that are not the method's: which method, and what embeds its domains.
RESERVED = ("method", "embed_with")
#: What embeds the domains: the scenario's proxy, one trained on its own domains, the model to be finetuned.
EMBED_WITH = ("proxy", "own", "base")


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
        for name in self.scenarios:
            self._check_links(name)
        domains = {name: self._check_corpora(name) for name in self.needed}
        for name in self.needed:
            self._check_scenario(name, domains[name])
        for label in self.raw.get("method_params", {}):
            self.method(label)
        self._check_tokenizer()
        check_sensitivity(self.raw, self.source)
        if self.raw["evaluation"].get("fewshot") is not None:
            check_fewshot(self.raw["evaluation"]["fewshot"], self.source)
        for corpus in self.raw["data"].get("per_corpus") or {}:
            self._pick(corpus, "data.per_corpus", self.raw["corpora"])

    def _check_tokenizer(self) -> None:
        given = self.raw["tokenizer"]
        if given["kind"] == "bpe":
            for key in ("vocab_size", "bytes_per_domain", "seed"):
                if key not in given:
                    raise UserError(f"{self.source}: tokenizer.{key}: missing; kind 'bpe' needs it")
        for corpus in given.get("corpora") or []:
            if corpus not in self.corpora:
                raise UserError(f"{self.source}: tokenizer.corpora: {choices(corpus, self.corpora)}")

    def _check_links(self, name: str) -> None:
        """Check which other scenario a scenario builds on, before anything asks for it."""
        scenario, where = self.raw["scenarios"][name], f"scenarios.{name}"
        kind = scenario.get("kind", "pretrain")
        proxy, base = scenario["proxy"], scenario["base"]
        for role, given in (("proxy", proxy), ("base", base)):
            if "of" in given:
                if role == "base" and kind != "finetune":
                    raise UserError(f"{self.source}: {where}.base.of: only for kind finetune, not {kind}")
                self._pick(given["of"], f"{where}.{role}.of", self.raw["scenarios"])
                other = self.raw["scenarios"][given["of"]]
                if "of" in other["proxy"] or "of" in other["base"]:
                    raise UserError(
                        f"{self.source}: {where}.{role}.of: {given['of']} builds on a scenario itself"
                    )
        if kind != "pretrain" and "of" not in proxy:
            raise UserError(f"{self.source}: {where}.proxy.of: missing; kind {kind} takes another's proxy")
        if "of" in proxy and ("scale" in proxy or "steps" in proxy):
            raise UserError(f"{self.source}: {where}.proxy: give either of, or scale (and steps)")
        if "of" not in proxy and "scale" not in proxy:
            raise UserError(f"{self.source}: {where}.proxy.scale: missing")
        if kind == "finetune":
            for key in ("of", "method"):
                if key not in base:
                    raise UserError(f"{self.source}: {where}.base.{key}: missing; kind finetune needs it")
            methods = self.raw["scenarios"][base["of"]]["methods"]
            if base["method"] not in methods:
                raise UserError(f"{self.source}: {where}.base.method: {choices(base['method'], methods)}")
        if scenario.get("embed_with", "proxy") == "base" and kind != "finetune":
            raise UserError(f"{self.source}: {where}.embed_with: 'base' is for kind finetune")

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
        for role, given in (("proxy", self.proxy_role(name)), ("base", scenario["base"])):
            scale = self._pick(given["scale"], f"{where}.{role}.scale", self.raw["scales"])
            width, heads = scale["model"]["d_model"], scale["model"]["n_head"]
            if width % heads:
                key = f"scales.{given['scale']}.model"
                raise UserError(f"{self.source}: {key}: d_model {width} is not divisible by n_head {heads}")
        base_model = self.raw["scales"][scenario["base"]["scale"]]["model"]
        proxy_model = self.raw["scales"][self.proxy_role(name)["scale"]]["model"]
        if self.kind(name) == "finetune":
            origin = scenario["base"]["of"]
            if self.evaluation(name)["test_tokens"] != self.evaluation(origin)["test_tokens"]:
                raise UserError(
                    f"{self.source}: {where}.evaluation.test_tokens: forgetting compares with {origin}, "
                    f"which is tested on {self.evaluation(origin)['test_tokens']} tokens a domain"
                )
            start = self.raw["scenarios"][origin]["base"]["scale"]
            if self.raw["scales"][start]["model"] != base_model:
                raise UserError(
                    f"{self.source}: {where}.base.scale: {scenario['base']['scale']} has another model than "
                    f"{start}, from which finetuning starts"
                )
        layer, length = (self.raw["embeddings"][key] for key in ("layer", "window_length"))
        for label in scenario["methods"]:
            method, params = self.method(label, f"{where}.methods")
            here = f"{where}.methods: {label}"
            try:
                method.check(params, domains, {"tokenizer_fingerprint": self.tokenizer_fingerprint})
            except UserError as error:
                raise UserError(f"{self.source}: {here}: {error}") from error
            self._check_runs(method, params, domains, here)
            for other in method.uses(params):
                self._pick(other, f"{here} uses", dict.fromkeys(scenario["methods"]))
            self._check_uses(label, here)
            if self.embed_with(name, label) == "base" and self.kind(name) != "finetune":
                raise UserError(
                    f"{self.source}: method_params.{label}.embed_with: 'base' is for kind finetune, "
                    f"but {name} is of kind {self.kind(name)}"
                )
            model = base_model if self.embed_with(name, label) == "base" else proxy_model
            depth, context = model["n_layer"], model["context"]
            if layer is not None and layer > depth:
                raise UserError(
                    f"{self.source}: embeddings.layer: {layer} is deeper than the proxy's {depth} blocks"
                )
            if length is not None and length > context:
                key = f"{self.source}: embeddings.window_length"
                raise UserError(f"{key}: {length} is longer than the proxy's context {context}")
        window = max(proxy_model["context"], base_model["context"])
        for key in ("test_tokens", "validation_tokens", "controller_tokens", "curve_tokens"):
            if (value := self.evaluation(name).get(key)) is not None and value < window:
                raise UserError(
                    f"{self.source}: evaluation.{key}: {value} is less than a context of {window}"
                )

    def _check_runs(
        self, method: Method, params: Mapping[str, Any], domains: tuple[str, ...], where: str
    ) -> None:
        """Check the runs that a method asks for: their scales exist, and a swarm is of one kind."""
        runs = method.extra_runs(domains, params, 0)
        for scale in dict.fromkeys(run.scale for run in runs if run.scale is not None):
            if not isinstance(scale, str):
                raise UserError(f"{self.source}: {where}: scale: {scale!r} is not the name of a scale")
            model = self._pick(scale, f"{where}: scale", self.raw["scales"])["model"]
            if model["d_model"] % model["n_head"]:
                raise UserError(f"{self.source}: scales.{scale}.model: d_model is not divisible by n_head")
        swarm = [run for run in runs if run.swarm]
        if len({(run.scale, run.steps) for run in swarm}) > 1:
            raise UserError(f"{self.source}: {where}: the runs of a swarm must share scale and steps")
        if any(run.after or run.objective or run.weights is None for run in swarm):
            raise UserError(f"{self.source}: {where}: a swarm's runs wait for nothing and have fixed weights")

    def _check_uses(self, label: str, where: str) -> None:
        """Refuse methods that build on each other's weights in a circle."""
        seen, waiting = set[str](), [label]
        while waiting:
            method, params = self.method(waiting.pop())
            for other in method.uses(params):
                if other == label:
                    raise UserError(f"{self.source}: {where}: builds on its own weights, through its `prior`")
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)

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
    def needed(self) -> list[str]:
        """Scenarios that are run, and those that they build on."""
        links = [
            given["of"]
            for name in self.scenarios
            for given in (self.raw["scenarios"][name]["proxy"], self.raw["scenarios"][name]["base"])
            if "of" in given
        ]
        return list(dict.fromkeys([*self.scenarios, *links]))

    def kind(self, scenario: str) -> str:
        return str(self.raw["scenarios"][scenario].get("kind", "pretrain"))

    def proxy_of(self, scenario: str) -> str:
        """Return the scenario whose proxy embeds this one's domains: another one's or its own."""
        return str(self.raw["scenarios"][scenario]["proxy"].get("of", scenario))

    def proxy_role(self, scenario: str) -> Mapping[str, Any]:
        """Return `{scale, steps}` of a scenario's proxies."""
        role: Mapping[str, Any] = self.raw["scenarios"][self.proxy_of(scenario)]["proxy"]
        return role

    def embed_with(self, scenario: str, label: str) -> str:
        """Return what embeds the domains for a method: one of EMBED_WITH."""
        own = self.raw.get("method_params", {}).get(label, {}).get("embed_with")
        return str(own or self.raw["scenarios"][scenario].get("embed_with", "proxy"))

    def embedder(self, scenario: str, label: str) -> str:
        """Return the name of the model that embeds the domains for a method, as it stands in file names."""
        chosen = self.embed_with(scenario, label)
        if chosen == "base":
            base = self.raw["scenarios"][scenario]["base"]
            return f"base_{base['of']}_{base['method']}"
        return f"proxy_{scenario if chosen == 'own' else self.proxy_of(scenario)}"

    def evaluation(self, scenario: str) -> dict[str, Any]:
        """Return the evaluation block, with the scenario's own values where it has any."""
        return {**self.raw["evaluation"], **self.raw["scenarios"][scenario].get("evaluation", {})}

    @property
    def corpora(self) -> list[str]:
        """Corpora of the scenarios that are run or built on, each once."""
        return list(dict.fromkeys(c for s in self.needed for c in self.raw["scenarios"][s]["corpora"]))

    @property
    def tokenizer_corpora(self) -> list[str]:
        """Corpora that the tokenizer is trained on.

        By default those of the scenarios of kind pretrain: a tokenizer that changed with every new domain
        would change the proxy too, which transfer leaves untouched.
        """
        if self.raw["tokenizer"].get("corpora"):
            return list(self.raw["tokenizer"]["corpora"])
        first = [s for s in self.needed if self.kind(s) == "pretrain"]
        return list(dict.fromkeys(c for s in first for c in self.raw["scenarios"][s]["corpora"]))

    def data(self, corpus: str) -> dict[str, Any]:
        """Return how a corpus is prepared: the data block with its own values where it has any."""
        common = {k: v for k, v in self.raw["data"].items() if k not in ("shard_tokens", "per_corpus")}
        return {**common, **(self.raw["data"].get("per_corpus") or {}).get(corpus, {})}

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
        given = self.raw.get("method_params", {}).get(label, {})
        overrides = {key: value for key, value in given.items() if key not in RESERVED}
        if (chosen := given.get("embed_with", "proxy")) not in EMBED_WITH:
            where = f"method_params.{label}.embed_with"
            raise UserError(f"{self.source}: {where}: {choices(chosen, EMBED_WITH)}")
        name = given.get("method", label)
        if name not in registry.names():
            raise UserError(f"{self.source}: {key}: method {choices(name, registry.names())}")
        return registry.get(name), registry.parameters(
            name, overrides, f"{self.source}: method_params.{label}"
        )

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """Identity of the tokenizer to be trained, known before anything has run."""
        raw, corpora = self.raw, self.tokenizer_corpora
        entries = {c: [raw["corpora"][c], self.domains_of(c)] for c in corpora}
        # How tokens are cut into files decides nothing that the tokenizer sees.
        return fingerprint([raw["tokenizer"], entries, [self.data(c) for c in corpora]])


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
    return load(_read(path), str(path))


def load_files(paths: Sequence[str | Path]) -> Config:
    """Return the checked config of several files, each laid over those before it, as Snakemake lays them.

    Mappings are merged, everything else (lists too) is replaced.
    """
    raw: dict[str, Any] = {}
    for path in paths:
        raw = _over(raw, _read(path))
    return load(raw, " + ".join(map(str, paths)))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _over(below[key], value) if both else value
    return merged


def _read(path: str | Path) -> dict[str, Any]:
    import yaml

    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected a mapping, found {type(raw).__name__}")
    return raw
