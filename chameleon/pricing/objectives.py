"""Runs under an objective of their method's own: what their speed is measured on."""

from collections.abc import Iterator
from typing import Any

from chameleon.experiment import specs
from chameleon.experiment.config import Config


def objective_key(scenario: str, label: str) -> str:
    """Return the name under which a method's objective is measured."""
    return f"{scenario} {label}"


def objective_runs(cfg: Config) -> Iterator[dict[str, Any]]:
    """Yield one run of every method that brings an objective of its own, as `speed.measure` takes them."""
    for scenario in cfg.needed:
        for label in cfg.methods(scenario):
            for run in specs.single_runs(cfg, scenario, label, cfg.seeds[0]):
                if run.objective:
                    spec = specs.extra_run(cfg, scenario, label, cfg.seeds[0], run.run_id)
                    told = {key: spec[key] for key in ("run", "weights", "own", "scale", "model", "train")}
                    key = objective_key(scenario, label)
                    yield {"key": key, **told, "domains": list(spec["domains"])}
                    break
