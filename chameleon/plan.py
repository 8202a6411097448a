"""Which jobs exist and what each one's identity is: pure functions of the config, no torch.

A spec holds everything that changes a job's numbers and nothing else. Snakemake passes it as a parameter (a
changed spec reruns the job) and on the command line (the job knows nothing but its spec and its files).
"""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chameleon import registry
from chameleon.config import Config
from chameleon.interfaces import REFERENCE, RunSpec
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
    return {**fetch(cfg, corpus), "data": cfg.data(corpus), "version": STAGES["corpora"]}


def tokenizer(cfg: Config) -> Spec:
    """The tokenizer of the experiment, and the domains it is trained on."""
    domains = {corpus: cfg.domains_of(corpus) for corpus in cfg.tokenizer_corpora}
    given = {key: value for key, value in cfg.raw["tokenizer"].items() if key != "corpora"}
    return {**given, "domains": domains, "version": STAGES["tokenizer"]}


def tokens(cfg: Config, corpus: str) -> Spec:
    """Token shards of a corpus."""
    return {
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "shard_tokens": cfg.raw["data"]["shard_tokens"],
        "version": STAGES["tokens"],
    }


def _training(cfg: Config, scenario: str, seed: int, role: str, scale: str | None = None) -> Spec:
    """What proxies, extra runs and base models have in common. Nothing about a method is in it.

    `scale` replaces the role's own (RegMix's swarm is smaller than the proxy).
    """
    chosen = cfg.proxy_role(scenario) if role == "proxy" else cfg.raw["scenarios"][scenario]["base"]
    name = scale or chosen["scale"]
    found = cfg.raw["scales"][name]
    steps = (None if scale else chosen.get("steps")) or found["train"]["steps"]
    return {
        "scenario": scenario,
        "scale": name,
        "seed": seed,
        # Roles differ in shape, so they cannot share initial weights; methods of one role always do.
        "seeds": {"init": derive(seed, "init", role), "data": derive(seed, "data")},
        "domains": cfg.domains(scenario),
        "model": found["model"],
        "train": {**found["train"], "steps": steps},
        "version": STAGES["train"],
    }


def proxy(cfg: Config, scenario: str, seed: int) -> Spec:
    """The proxy trained on the uniform mixture of a scenario's own domains."""
    return {**_training(cfg, scenario, seed, "proxy"), "role": "proxy", "max_epochs": None}


def embedders(cfg: Config) -> dict[str, tuple[str, str, str]]:
    """Return the models that embed domains: name -> (proxy or base, scenario, method or "")."""
    found = {}
    for scenario in cfg.needed:
        for label in cfg.methods(scenario):
            name = cfg.embedder(scenario, label)
            if name.startswith("base_"):
                base = cfg.raw["scenarios"][scenario]["base"]
                found[name] = ("base", base["of"], base["method"])
            else:
                found[name] = ("proxy", name.removeprefix("proxy_"), "")
    return found


def embed(cfg: Config, embedder: str, corpus: str, seed: int) -> Spec:
    """Domain embeddings of a corpus under one model."""
    return {
        "embedder": embedder,
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
    key = (method.name, tuple(cfg.domains(scenario)), dump(params), _method_seed(scenario, label, seed))
    return list(_extra_runs(*key))


@lru_cache(maxsize=1024)
def _extra_runs(name: str, domains: tuple[str, ...], params: str, seed: int) -> tuple[RunSpec, ...]:
    """Ask a method once: a swarm's mixtures take a while to draw, and every job of it asks."""
    return tuple(registry.get(name).extra_runs(domains, json.loads(params), seed))


def single_runs(cfg: Config, scenario: str, label: str, seed: int) -> list[RunSpec]:
    """A method's extra runs that are jobs of their own."""
    return [run for run in extra_runs(cfg, scenario, label, seed) if not run.swarm]


def swarm_groups(cfg: Config, scenario: str, label: str, seed: int) -> dict[str, list[RunSpec]]:
    """A method's swarm, cut into the shares of its worker processes."""
    runs = [run for run in extra_runs(cfg, scenario, label, seed) if run.swarm]
    size = cfg.raw.get("swarm", {"runs_per_job": 32})["runs_per_job"]
    return {f"part{i}": runs[i * size : (i + 1) * size] for i in range(math.ceil(len(runs) / size))}


def after(cfg: Config, scenario: str, label: str, seed: int, run: str) -> tuple[str, ...]:
    """Ids of the runs that one of a method's extra runs waits for (REFERENCE: the scenario's own proxy)."""
    return {r.run_id: r for r in extra_runs(cfg, scenario, label, seed)}[run].after


def _extra_training(cfg: Config, scenario: str, label: str, seed: int, chosen: RunSpec) -> Spec:
    spec = _training(cfg, scenario, seed, "proxy", chosen.scale)
    if chosen.steps is not None:
        spec["train"] = {**spec["train"], "steps": chosen.steps}
    return {
        **spec,
        "role": "extra",
        "method": label,
        "max_epochs": None,
        "validation_tokens": cfg.evaluation(scenario)["validation_tokens"],
    }


def extra_run(cfg: Config, scenario: str, label: str, seed: int, run: str) -> Spec:
    """One of a method's extra runs, trained and evaluated on the validation split."""
    chosen = {r.run_id: r for r in extra_runs(cfg, scenario, label, seed)}[run]
    method, params = cfg.method(label)
    own = {
        "registered": method.name,
        "method_version": method.version,
        "params": params,
        "method_seed": _method_seed(scenario, label, seed),
        "after": list(chosen.after),
        "steps": chosen.steps,
        "objective": chosen.objective,
    }
    return {
        **_extra_training(cfg, scenario, label, seed, chosen),
        "run": run,
        "weights": chosen.weights,
        # A plain run is what its mixture says, whatever the method's parameters are.
        "own": own if chosen.objective or chosen.weights is None else None,
    }


def swarm(cfg: Config, scenario: str, label: str, seed: int, group: str) -> Spec:
    """One worker's share of a method's swarm."""
    runs = swarm_groups(cfg, scenario, label, seed)[group]
    return {
        **_extra_training(cfg, scenario, label, seed, runs[0]),
        "group": group,
        "runs": {run.run_id: run.weights for run in runs},
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
        "token_budget": _tokens(base),
        "tokenizer_fingerprint": cfg.tokenizer_fingerprint,
        "version": STAGES["weights"],
    }


def _tokens(spec: Spec) -> int:
    return int(spec["train"]["steps"] * spec["train"]["batch_size"] * spec["model"]["context"])


def curve_steps(cfg: Config, scenario: str, steps: int) -> list[int]:
    """Steps after which a base run is evaluated, from `evaluation.curve_points` (fractions of the run)."""
    points = cfg.evaluation(scenario).get("curve_points", [])
    return sorted({max(1, round(p * steps)) for p in points})


def train(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """A base model under a method's weights; an online method's parameters move during it."""
    method, params = cfg.method(label)
    evaluation = cfg.evaluation(scenario)
    online = {
        "registered": method.name,
        "method_version": method.version,
        "params": params,
        "method_seed": _method_seed(scenario, label, seed),
        "validation_tokens": evaluation.get("controller_tokens", evaluation["validation_tokens"]),
    }
    base = _training(cfg, scenario, seed, "base")
    given = cfg.raw["scenarios"][scenario]["base"]
    curve = curve_steps(cfg, scenario, base["train"]["steps"])
    curve_tokens = evaluation.get("curve_tokens", evaluation["test_tokens"])
    return {
        **base,
        "role": "base",
        "method": label,
        "max_epochs": cfg.raw["scenarios"][scenario].get("max_epochs"),
        "online": online if method.online else None,
        "start": {"scenario": given["of"], "method": given["method"]} if "of" in given else None,
        "curve": {"steps": curve, "tokens": curve_tokens if curve else 0},
    }


def kept_domains(cfg: Config, scenario: str) -> dict[str, str]:
    """Return the domains that a finetuned model was pretrained on: domain -> corpus; else none."""
    if cfg.kind(scenario) != "finetune":
        return {}
    before = cfg.domains(cfg.raw["scenarios"][scenario]["base"]["of"])
    return {d: c for d, c in before.items() if d not in cfg.domains(scenario)}


def groups(cfg: Config, scenario: str) -> dict[str, list[str]]:
    """Return the groups of domains that get means of their own, beside the mean over all."""
    if cfg.kind(scenario) != "transfer":
        return {}
    before = cfg.domains(cfg.proxy_of(scenario))
    domains = cfg.domains(scenario)
    old, new = ([d for d in domains if (d in before) is known] for known in (True, False))
    # A transfer to a set that shares no domain (or all) has one mean only, that over all.
    return {"mean_old": old, "mean_new": new} if old and new else {}


def evaluate(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """Test loss and perplexity of a base model on every domain, and on those it was pretrained on."""
    return {
        "scenario": scenario,
        "scale": cfg.raw["scenarios"][scenario]["base"]["scale"],
        "method": label,
        "seed": seed,
        "domains": cfg.domains(scenario),
        "groups": groups(cfg, scenario),
        "kept": kept_domains(cfg, scenario),
        "test_tokens": cfg.evaluation(scenario)["test_tokens"],
        "version": STAGES["evaluate"],
    }


def needs_embeddings(cfg: Config, label: str) -> bool:
    return "embeddings" in cfg.method(label)[0].requires


def _sources(cfg: Config, scenario: str, label: str) -> Spec:
    """Where one method's files lie, and what its weights are charged for, seed by seed the same."""
    method, _ = cfg.method(label)
    embedder = cfg.embedder(scenario, label) if needs_embeddings(cfg, label) else None
    corpora = list(dict.fromkeys(cfg.domains(scenario).values()))
    # A proxy of another scenario exists already, and so do its embeddings of the domains it knows: a method
    # that reuses them is charged for what it adds. A model that is to be finetuned is there in any case.
    own = embedder == f"proxy_{scenario}"
    known = [] if own or embedder is None else cfg.raw["scenarios"][cfg.proxy_of(scenario)]["corpora"]
    new = [c for c in corpora if own or c not in known]
    return {
        "embedder": embedder,
        "charged_proxy": own,
        "charged_corpora": new if embedder else [],
        "online": method.online,
        "reference": any(REFERENCE in r.after for r in extra_runs(cfg, scenario, label, cfg.seeds[0])),
        "runs": {str(s): [r.run_id for r in single_runs(cfg, scenario, label, s)] for s in cfg.seeds},
        "swarm": {str(s): list(swarm_groups(cfg, scenario, label, s)) for s in cfg.seeds},
        "uses": used_methods(cfg, label),
    }


def used_methods(cfg: Config, label: str) -> list[str]:
    """Return the labels whose weights a method builds on, directly or through others, each once."""
    found: list[str] = []
    waiting = [label]
    while waiting:
        method, params = cfg.method(waiting.pop())
        new = [other for other in method.uses(params) if other not in found]
        found += new
        waiting += new
    return found


def has_fewshot(cfg: Config, scenario: str) -> bool:
    """Return whether a scenario's base models take the few-shot tasks."""
    wanted = cfg.raw["scenarios"][scenario].get("fewshot", cfg.kind(scenario) != "finetune")
    return bool(wanted) and cfg.raw["evaluation"].get("fewshot") is not None


def collect(cfg: Config) -> Spec:
    """Everything that the tidy files gather."""
    scenarios = {}
    for name in cfg.scenarios:
        given = cfg.raw["scenarios"][name]["base"]
        scenarios[name] = {
            "kind": cfg.kind(name),
            "domains": cfg.domains(name),
            "groups": groups(cfg, name),
            "kept": kept_domains(cfg, name),
            "start": [given["of"], given["method"]] if "of" in given else None,
            "fewshot": has_fewshot(cfg, name),
            "methods": {label: _sources(cfg, name, label) for label in cfg.methods(name)},
        }
    return {"scenarios": scenarios, "seeds": cfg.seeds, "version": STAGES["collect"]}


def kinds(cfg: Config) -> dict[str, str]:
    """Return scenario -> kind of what is run, in order."""
    return {name: cfg.kind(name) for name in cfg.scenarios}


def tables(cfg: Config) -> Spec:
    corpora = list(dict.fromkeys(c for s in cfg.scenarios for c in cfg.raw["scenarios"][s]["corpora"]))
    return {"scenarios": kinds(cfg), "corpora": corpora, "version": STAGES["tables"]}


def figures(cfg: Config) -> Spec:
    return {"scenarios": kinds(cfg), "version": STAGES["figures"]}
