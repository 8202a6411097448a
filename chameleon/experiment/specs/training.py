"""Specs of everything that trains: proxies, the runs that methods ask for, base models."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chameleon.core.seeds import derive
from chameleon.core.versions import STAGES
from chameleon.experiment import checkpoints
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec, dump
from chameleon.mixing import registry
from chameleon.mixing.types import RunSpec
from chameleon.training.hf.described import SIZES

#: Linux takes 131,072 bytes of one argument, and a job's whole command is one; the rest of it needs some.
SPEC_BYTES = 90_000


def training(cfg: Config, scenario: str, seed: int, role: str, scale: str | None = None) -> Spec:
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
    return {**training(cfg, scenario, seed, "proxy"), "role": "proxy", "max_epochs": None}


def checkpoint(cfg: Config, name: str) -> Spec:
    """A checkpoint as one folder, checked against its scale and the tokenizer."""
    source, scale = cfg.checkpoints[name]
    model = cfg.raw["scales"][scale]["model"]
    return {
        "checkpoint": source,
        **checkpoints.contents(source),
        "model": {key: model[key] for key in (*SIZES, "context")},
        "version": STAGES["train"],
    }


def start_of(cfg: Config, scenario: str) -> tuple[str, str] | None:
    """Return whose test results are those of the model that finetuning starts from: (scenario, method)."""
    base = cfg.raw["scenarios"][scenario]["base"]
    if "checkpoint" in base:
        return scenario, checkpoints.START
    return (base["of"], base["method"]) if "of" in base else None


def _start(given: Mapping[str, Any]) -> Spec | None:
    """Return what a base model's spec says of the model that it goes on from."""
    if "checkpoint" in given:
        return {"checkpoint": given["checkpoint"]}
    return {"scenario": given["of"], "method": given["method"]} if "of" in given else None


def extra_runs(cfg: Config, scenario: str, label: str, seed: int) -> list[RunSpec]:
    """Runs that a method needs before it can answer."""
    method, params = cfg.method(label)
    key = (method.name, tuple(cfg.domains(scenario)), dump(params), method_seed(scenario, label, seed))
    return list(_extra_runs(*key))


@lru_cache(maxsize=1024)
def _extra_runs(name: str, domains: tuple[str, ...], params: str, seed: int) -> tuple[RunSpec, ...]:
    """Ask a method once: a swarm's mixtures take a while to draw, and every job of it asks."""
    return tuple(registry.get(name).extra_runs(domains, json.loads(params), seed))


def single_runs(cfg: Config, scenario: str, label: str, seed: int) -> list[RunSpec]:
    """A method's extra runs that are jobs of their own."""
    return [run for run in extra_runs(cfg, scenario, label, seed) if not run.swarm]


def swarm_groups(cfg: Config, scenario: str, label: str, seed: int) -> dict[str, list[RunSpec]]:
    """A method's swarm, cut into shares of worker processes: no more runs than a command line holds."""
    runs = [run for run in extra_runs(cfg, scenario, label, seed) if run.swarm]
    longest = max((len(dump({run.run_id: run.weights})) for run in runs if run.weights), default=1)
    size = max(1, min(cfg.raw.get("swarm", {"runs_per_job": 32})["runs_per_job"], SPEC_BYTES // longest))
    shares = []
    # A share is of one size and length: its models may be trained as one.
    for kind in dict.fromkeys((run.scale, run.steps) for run in runs):
        alike = [run for run in runs if (run.scale, run.steps) == kind]
        shares += [alike[i : i + size] for i in range(0, len(alike), size)]
    return {f"part{i}": share for i, share in enumerate(shares)}


def after(cfg: Config, scenario: str, label: str, seed: int, run: str) -> tuple[str, ...]:
    """Ids of the runs that one of a method's extra runs waits for (REFERENCE: the scenario's own proxy)."""
    return {r.run_id: r for r in extra_runs(cfg, scenario, label, seed)}[run].after


def _extra_training(cfg: Config, scenario: str, label: str, seed: int, chosen: RunSpec) -> Spec:
    spec = training(cfg, scenario, seed, "proxy", chosen.scale)
    if chosen.steps is not None:
        spec["train"] = {**spec["train"], "steps": chosen.steps}
    return {
        **spec,
        "role": "extra",
        "method": label,
        "max_epochs": None,
        "validation_tokens": cfg.evaluation(scenario)["validation_tokens"],
        **({"blocks": True} if chosen.blocks else {}),
    }


def extra_run(cfg: Config, scenario: str, label: str, seed: int, run: str) -> Spec:
    """One of a method's extra runs, trained and evaluated on the validation split."""
    chosen = {r.run_id: r for r in extra_runs(cfg, scenario, label, seed)}[run]
    method, params = cfg.method(label)
    own = {
        "registered": method.name,
        "method_version": method.version,
        "params": params,
        "method_seed": method_seed(scenario, label, seed),
        "after": list(chosen.after),
        "steps": chosen.steps,
        "objective": chosen.objective,
    }
    return {
        **_extra_training(cfg, scenario, label, seed, chosen),
        "run": run,
        "weights": chosen.weights,
        **({} if chosen.start is None else {"start": chosen.start}),
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


def method_seed(scenario: str, label: str, seed: int) -> int:
    return derive(seed, "method", scenario, label)


def reads(cfg: Config, label: str) -> Spec:
    """What a spec says of the methods whose runs a method reads; of most methods nothing."""
    method, params = cfg.method(label)
    found = method.reads(params)
    return {"reads": found} if found else {}


def ordered_tokens(cfg: Config, scenario: str) -> int:
    """Return what a validation pass that a method orders reads of a domain."""
    evaluation = cfg.evaluation(scenario)
    return int(evaluation.get("controller_tokens", evaluation["validation_tokens"]))


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
        "method_seed": method_seed(scenario, label, seed),
        "validation_tokens": ordered_tokens(cfg, scenario),
        **reads(cfg, label),
    }
    base = training(cfg, scenario, seed, "base")
    given = cfg.raw["scenarios"][scenario]["base"]
    curve = curve_steps(cfg, scenario, base["train"]["steps"])
    curve_tokens = evaluation.get("curve_tokens", evaluation["test_tokens"])
    return {
        **base,
        "role": "base",
        "method": label,
        "max_epochs": cfg.raw["scenarios"][scenario].get("max_epochs"),
        "online": online if method.online else None,
        "start": _start(given),
        "curve": {"steps": curve, "tokens": curve_tokens if curve else 0},
        **({"lora": {"alpha": 2 * given["lora"]["rank"], **given["lora"]}} if "lora" in given else {}),
    }
