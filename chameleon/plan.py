"""Which jobs exist and what each one's identity is: pure functions of the config, no torch.

A spec holds everything that changes a job's numbers and nothing else. Snakemake passes it as a parameter (a
changed spec reruns the job) and on the command line (the job knows nothing but its spec and its files).
"""

import json
from collections.abc import Mapping
from typing import Any

from chameleon.config import Config
from chameleon.interfaces import RunSpec
from chameleon.seeds import derive
from chameleon.versions import STAGES

Spec = dict[str, Any]


def dump(spec: Mapping[str, Any]) -> str:
    """Return a spec as one line of JSON for a command line. Keys keep their order: domains have one."""
    return json.dumps(spec, separators=(",", ":"), ensure_ascii=True)


def fetch(cfg: Config, corpus: str) -> Spec:
    """Which packages to download for a corpus."""
    return {"corpus": corpus, "entry": cfg.raw["corpora"][corpus], "domains": cfg.domains_of(corpus)}


def prepare(cfg: Config, corpus: str) -> Spec:
    """Cleaning, splitting and deduplication of a corpus."""
    data = {k: v for k, v in cfg.raw["data"].items() if k != "shard_tokens"}
    return {**fetch(cfg, corpus), "data": data, "version": STAGES["corpora"]}


def tokenizer(cfg: Config) -> Spec:
    """The tokenizer of the experiment, and the domains it is trained on."""
    domains = {corpus: cfg.domains_of(corpus) for corpus in cfg.corpora}
    return {**cfg.raw["tokenizer"], "domains": domains, "version": STAGES["tokenizer"]}


def tokens(cfg: Config, corpus: str) -> Spec:
    """Token shards of a corpus."""
    return {
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "shard_tokens": cfg.raw["data"]["shard_tokens"],
        "version": STAGES["tokens"],
    }


def _training(cfg: Config, scenario: str, seed: int, role: str) -> Spec:
    """What proxies, extra runs and base models have in common. Nothing about a method is in it."""
    chosen = cfg.raw["scenarios"][scenario][role]
    scale = cfg.raw["scales"][chosen["scale"]]
    steps = chosen.get("steps") or scale["train"]["steps"]
    return {
        "scenario": scenario,
        "scale": chosen["scale"],
        "seed": seed,
        # Roles differ in shape, so they cannot share initial weights; methods of one role always do.
        "seeds": {"init": derive(seed, "init", role), "data": derive(seed, "data")},
        "domains": cfg.domains(scenario),
        "model": scale["model"],
        "train": {**scale["train"], "steps": steps},
        "version": STAGES["train"],
    }


def proxy(cfg: Config, scenario: str, seed: int) -> Spec:
    """The uniform proxy of a scenario."""
    return {**_training(cfg, scenario, seed, "proxy"), "role": "proxy", "max_epochs": None}


def embed(cfg: Config, scenario: str, corpus: str, seed: int) -> Spec:
    """Domain embeddings of a corpus under a scenario's proxy."""
    return {
        "scenario": scenario,
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "seed": seed,
        "seeds": {"windows": derive(seed, "windows")},
        **cfg.raw["embeddings"],
        "version": STAGES["embeddings"],
    }


def extra_runs(cfg: Config, scenario: str, label: str, seed: int) -> list[RunSpec]:
    """Runs that a method needs before it can answer."""
    method, params = cfg.method(label)
    return method.extra_runs(tuple(cfg.domains(scenario)), params, _method_seed(scenario, label, seed))


def extra_run(cfg: Config, scenario: str, label: str, seed: int, run: str) -> Spec:
    """One of a method's extra runs, trained and evaluated on the validation split."""
    chosen = {r.run_id: r for r in extra_runs(cfg, scenario, label, seed)}[run]
    spec = _training(cfg, scenario, seed, "proxy")
    if chosen.steps is not None:
        spec["train"] = {**spec["train"], "steps": chosen.steps}
    return {
        **spec,
        "role": "extra",
        "method": label,
        "run": run,
        "weights": chosen.weights,
        "max_epochs": None,
        "validation_tokens": cfg.raw["evaluation"]["validation_tokens"],
    }


def _method_seed(scenario: str, label: str, seed: int) -> int:
    return derive(seed, "method", scenario, label)


def weights(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """A method's weights."""
    method, params = cfg.method(label)
    base = _training(cfg, scenario, seed, "base")
    return {
        "scenario": scenario,
        "method": label,
        "registered": method.name,
        "method_version": method.version,
        "params": params,
        "seed": seed,
        "seeds": {"method": _method_seed(scenario, label, seed)},
        "domains": cfg.domains(scenario),
        "total_steps": base["train"]["steps"],
        "tokenizer_fingerprint": cfg.tokenizer_fingerprint,
        "version": STAGES["weights"],
    }


def train(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """A base model under a method's weights; an online method's parameters move during it."""
    method, params = cfg.method(label)
    online = {"registered": method.name, "method_version": method.version, "params": params}
    return {
        **_training(cfg, scenario, seed, "base"),
        "role": "base",
        "method": label,
        "max_epochs": cfg.raw["scenarios"][scenario].get("max_epochs"),
        "online": {**online, "method_seed": _method_seed(scenario, label, seed)} if method.online else None,
        "validation_tokens": cfg.raw["evaluation"]["validation_tokens"] if method.online else None,
    }


def evaluate(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """Test loss and perplexity of a base model on every domain."""
    return {
        "scenario": scenario,
        "scale": cfg.raw["scenarios"][scenario]["base"]["scale"],
        "method": label,
        "seed": seed,
        "domains": cfg.domains(scenario),
        "test_tokens": cfg.raw["evaluation"]["test_tokens"],
        "version": STAGES["evaluate"],
    }


def needs_embeddings(cfg: Config, label: str) -> bool:
    return "embeddings" in cfg.method(label)[0].requires


def collect(cfg: Config) -> Spec:
    """Everything that the tidy files gather."""
    scenarios = {}
    for name in cfg.scenarios:
        scenarios[name] = {
            "domains": cfg.domains(name),
            "methods": {
                label: {
                    "embeddings": needs_embeddings(cfg, label),
                    "runs": {str(s): [r.run_id for r in extra_runs(cfg, name, label, s)] for s in cfg.seeds},
                }
                for label in cfg.methods(name)
            },
        }
    return {"scenarios": scenarios, "seeds": cfg.seeds, "version": STAGES["collect"]}


def tables(cfg: Config) -> Spec:
    return {"scenarios": cfg.scenarios, "corpora": cfg.corpora, "version": STAGES["tables"]}


def figures(cfg: Config) -> Spec:
    return {"scenarios": cfg.scenarios, "version": STAGES["figures"]}
