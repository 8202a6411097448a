"""Runs under an objective of their method's own: what their speed is measured on."""

from collections.abc import Iterator
from typing import Any

from chameleon.experiment import specs
from chameleon.experiment.config import Config


def objective_key(scenario: str, label: str) -> str:
    """Return the name under which a method's objective is measured."""
    return f"{scenario} {label}"


def objective_runs(cfg: Config) -> Iterator[tuple[str, str, str, Any]]:
    """Yield (key, scenario, label, run) of one run per method that brings an objective of its own."""
    for scenario in cfg.needed:
        for label in cfg.methods(scenario):
            for run in specs.single_runs(cfg, scenario, label, cfg.seeds[0]):
                if run.objective:
                    yield objective_key(scenario, label), scenario, label, run
                    break
