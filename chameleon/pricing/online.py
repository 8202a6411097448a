"""How many validation passes an online method orders: its controller is played without a model.

The losses it is told are made up (they fall with the steps, the same for all domains), so a controller
whose number of passes depends on losses is priced approximately.
"""

from contextlib import suppress

import numpy as np

from chameleon.experiment import specs
from chameleon.experiment.config import Config
from chameleon.mixing.types import MethodInputs, RunResult, TrainingState


def validation_passes(cfg: Config, scenario: str, label: str, seed: int) -> int:
    """Return the passes over the validation split that one base run orders.

    As many as could be seen if the controller needs inputs that are not there before the run.
    """
    spec = specs.train(cfg, scenario, label, seed)
    method, params = cfg.method(label)
    domains, steps = tuple(spec["domains"]), int(spec["train"]["steps"])
    even = dict.fromkeys(domains, 1 / len(domains))
    inputs = MethodInputs(
        domains, dict.fromkeys(domains, 10**6), params, spec["online"]["method_seed"], steps,
        token_budget=steps * spec["train"]["batch_size"] * spec["model"]["context"],
        others=dict.fromkeys(method.uses(params), even), start=even,
        read={other: _made_up(cfg, scenario, other, seed) for other in method.reads(params)},
    )  # fmt: skip
    passes, step = 0, 0
    realised = dict.fromkeys(domains, 1)

    def measure() -> dict[str, float]:
        nonlocal passes
        passes += 1
        falling = 1 + 4 * np.exp(-3 * step / steps)
        return {d: float(falling + 0.01 * i) for i, d in enumerate(domains)}

    with suppress(KeyError, TypeError, ValueError, AttributeError):
        controller = method.controller(inputs)
        while step < steps:
            length, _ = controller.next_segment(TrainingState(step, steps, domains, measure, realised))
            step += max(1, int(length))
    return passes


def _made_up(cfg: Config, scenario: str, label: str, seed: int) -> dict[str, RunResult]:
    """Return results for a method's extra runs, the lower the more a run had of a domain."""
    even = dict.fromkeys(cfg.domains(scenario), 1 / len(cfg.domains(scenario)))
    found = {}
    for run in specs.extra_runs(cfg, scenario, label, seed):
        weights = run.weights or even
        found[run.run_id] = RunResult(weights, {d: 5 - w for d, w in weights.items()}, None)
    return found
