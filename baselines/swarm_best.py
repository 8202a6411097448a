"""Swarm best: the mixture of the run that did best in another method's swarm. A control, not a method.

What a regression on the swarm must be better than: no law, no search. Charged for the whole swarm.

Known differences from the paper: none, no paper proposes it; Olmix's code has it as its proposer `search`.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.methods.rows import MEAN, rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    MixtureSchedule,
    UserError,
    check_label,
    choices,
    register,
)


@register
class SwarmBest(Method):
    """The mixture of the lowest measured loss."""

    name = "swarm_best"
    version = 1
    kind = "control"
    sees = ("validation losses",)
    cost = "6 K n_s d_s"
    defaults = {
        "swarm": "regmix",  # label of the method of the same scenario whose runs are read
        "target": MEAN,  # or a domain
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for an unknown target."""
        check_label("method swarm_best: swarm", params["swarm"])
        if params["target"] not in (MEAN, *domains):
            raise UserError(f"method swarm_best: target: {choices(params['target'], [MEAN, *domains])}")

    def reads(self, params: Mapping[str, Any]) -> list[str]:
        return [params["swarm"]]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the best run's mixture; its loss (nats/token) and the number of runs as diagnostics."""
        names = sorted(inputs.domains)
        if len(names) == 1:
            return MethodResult(MixtureSchedule.static({names[0]: 1.0}))
        x, y = rows(inputs.read[inputs.params["swarm"]], names, inputs.params["target"])
        best = int(y.mean(axis=1).argmin())
        weights = dict(zip(names, (x[best] / x[best].sum()).tolist(), strict=True))
        schedule = MixtureSchedule.static({d: weights[d] for d in inputs.domains})
        return MethodResult(schedule, {"best_swarm_loss": float(y[best].mean()), "runs": len(x)})
