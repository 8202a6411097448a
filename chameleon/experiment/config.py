"""The config, as everything else asks it: names, kinds and links of scenarios, corpora, methods.

`chameleon.experiment.load` reads and checks one. What exists (corpora, scales) is declared apart from what is
run (`run`, `methods`). A scenario is of a kind: `pretrain` trains base models from scratch; `transfer` does
so on more domains and takes the proxy of another scenario as it is; `finetune` goes on from another
scenario's base model, or from a checkpoint of somebody else's. Imports nothing heavy.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chameleon.core.artifacts import fingerprint
from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import domain_names
from chameleon.experiment import checkpoints
from chameleon.mixing import registry
from chameleon.mixing.method import Method

#: Keys of a `method_params` entry that are not the method's: which method, and what embeds its domains.
RESERVED = ("method", "embed_with")
#: How `sentences` embeds where the config does not say.
SENTENCES = {"encoder": "minilm", "windows": 64, "window_length": 128}


@dataclass(frozen=True)
class Config:
    """A merged config whose shape is right. `raw` is the mapping, `source` names it in messages."""

    raw: Mapping[str, Any]
    source: str = "config"

    @property
    def scenarios(self) -> list[str]:
        """Names of the scenarios that are run."""
        return list(self.raw["run"])

    @property
    def seeds(self) -> list[int]:
        return list(self.raw["seeds"])

    @property
    def results(self) -> str:
        """The results folder as Snakemake names files in it: no `./`, no slash at the end."""
        folder = posixpath.normpath(self.raw.get("results_dir", "results"))
        return folder[1:] if folder.startswith("//") else folder

    @property
    def states(self) -> str:
        """How often a run's state is saved, as jobs take it: `10min`, `5steps`, `10min,5steps` or `never`."""
        given = self.raw.get("states", {})
        parts = [
            f"{given[key]:g}{unit}"
            for key, unit in (("minutes", "min"), ("steps", "steps"))
            if given.get(key)
        ]
        return ",".join(parts) or "never"

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

    def checkpoint(self, scenario: str, role: str) -> tuple[str, str] | None:
        """Return the checkpoint that a role (proxy or base) of a scenario is, and its scale; often None."""
        given = self.proxy_role(scenario) if role == "proxy" else self.raw["scenarios"][scenario]["base"]
        return (given["checkpoint"], given["scale"]) if "checkpoint" in given else None

    def checkpoint_name(self, scenario: str, role: str) -> str | None:
        """Return the name of that checkpoint in paths."""
        found = self.checkpoint(scenario, role)
        if found is None:
            return None
        return checkpoints.slug(found[0], self.raw["scales"][found[1]]["model"]["context"])

    @property
    def checkpoints(self) -> dict[str, tuple[str, str]]:
        """Return the checkpoints that anything takes: name in paths -> (checkpoint, scale)."""
        roles = [(s, role) for s in self.needed for role in ("proxy", "base")]
        found = {self.checkpoint_name(*of): self.checkpoint(*of) for of in roles}
        return {name: what for name, what in found.items() if name is not None and what is not None}

    def embed_with(self, scenario: str, label: str) -> str:
        """Return what embeds the domains for a method.

        The scenario's `proxy`, one trained on its `own` domains, the model to be finetuned (`base`), or, as
        controls, the proxy `untrained` (random features of the text) and a frozen encoder of `sentences`.
        """
        own = self.raw.get("method_params", {}).get(label, {}).get("embed_with")
        return str(own or self.raw["scenarios"][scenario].get("embed_with", "proxy"))

    def embedding_model(self, scenario: str, label: str) -> tuple[str, str, str]:
        """Return what embeds the domains for a method: its kind, its scenario or name, its method or "".

        Kinds: proxy, untrained, base, checkpoint (by its name in paths) and sentences.
        """
        chosen = self.embed_with(scenario, label)
        role = chosen if chosen in ("proxy", "base") else ""
        if role and (name := self.checkpoint_name(scenario, role)) is not None:
            return "checkpoint", name, ""
        if chosen == "base":
            base = self.raw["scenarios"][scenario]["base"]
            return "base", base["of"], base["method"]
        if chosen == "sentences":
            return chosen, "", ""
        own = scenario if chosen == "own" else self.proxy_of(scenario)
        return "untrained" if chosen == "untrained" else "proxy", own, ""

    def embedder(self, scenario: str, label: str) -> str:
        """Return the name of that model, as it stands in file names."""
        kind, *of = self.embedding_model(scenario, label)
        return "_".join(filter(None, ["base" if kind == "checkpoint" else kind, *of]))

    @property
    def sentences(self) -> dict[str, Any]:
        """Return which encoder embeds sentences, and how."""
        return {**SENTENCES, **self.raw.get("sentences", {})}

    def evaluation(self, scenario: str) -> dict[str, Any]:
        """Return the evaluation block, with the scenario's own values where it has any."""
        return {**self.raw["evaluation"], **self.raw["scenarios"][scenario].get("evaluation", {})}

    @property
    def corpora(self) -> list[str]:
        """Corpora of the scenarios that are run or built on, then those only tested on, each once."""
        own = [c for s in self.needed for c in self.raw["scenarios"][s]["corpora"]]
        tested = [c for s in self.needed for c in (*self.kept(s), *self.unseen(s))]
        return list(dict.fromkeys([*own, *tested]))

    def kept(self, scenario: str) -> list[str]:
        """Return the corpora on which it is measured what a checkpoint forgets when it is finetuned."""
        return list(self.raw["scenarios"][scenario]["base"].get("kept") or [])

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
        common = {
            k: v for k, v in self.raw["data"].items() if k not in ("shard_tokens", "parts", "per_corpus")
        }
        return {**common, **(self.raw["data"].get("per_corpus") or {}).get(corpus, {})}

    def domains_of(self, corpus: str) -> list[str]:
        """Return the domains of a corpus, in its fixed order."""
        return domain_names(corpus, self.raw["corpora"][corpus])

    def domains(self, scenario: str) -> dict[str, str]:
        """Return domain -> corpus of a scenario, in order."""
        return {d: c for c in self.raw["scenarios"][scenario]["corpora"] for d in self.domains_of(c)}

    def unseen(self, scenario: str) -> list[str]:
        """Return the corpora that base models are tested on and nothing of the scenario sees; often none."""
        asked = self.raw["scenarios"][scenario].get("unseen") or []
        if asked != "transfer":
            return list(asked)
        seen = self.seen(scenario)
        built_on = [s for s in self.scenarios if self.kind(s) == "transfer" and self.proxy_of(s) == scenario]
        later = (c for s in built_on for c in self.raw["scenarios"][s]["corpora"])
        return list(dict.fromkeys(c for c in later if c not in seen))

    def seen(self, scenario: str) -> list[str]:
        """Return the corpora that anything of a scenario knows: its own, its proxy's, its start's."""
        start = self.raw["scenarios"][scenario]["base"].get("of", scenario)
        known = (scenario, self.proxy_of(scenario), start)
        own = [c for s in known for c in self.raw["scenarios"][s]["corpora"]]
        return list(dict.fromkeys([*own, *self.kept(scenario)]))

    def methods(self, scenario: str) -> list[str]:
        """Return the method labels of a scenario."""
        return list(self.raw["scenarios"][scenario]["methods"])

    def method(self, label: str, key: str = "method_params") -> tuple[Method, dict[str, Any]]:
        """Return the method behind a label and its parameters.

        A label is a method's name, or any other name whose `method_params` entry says `method: <name>`.
        """
        given = self.raw.get("method_params", {}).get(label, {})
        overrides = {key: value for key, value in given.items() if key not in RESERVED}
        name = given.get("method", label)
        if name not in registry.names():
            raise UserError(f"{key}: method {choices(name, registry.names())}")
        return registry.get(name), registry.parameters(name, overrides, f"method_params.{label}")

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """Identity of the tokenizer to be trained, known before anything has run."""
        raw, corpora = self.raw, self.tokenizer_corpora
        entries = {c: [raw["corpora"][c], self.domains_of(c)] for c in corpora}
        # How tokens are cut into files decides nothing that the tokenizer sees.
        return fingerprint([raw["tokenizer"], entries, [self.data(c) for c in corpora]])
