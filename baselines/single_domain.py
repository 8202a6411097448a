"""Single domain: all data from the one domain that serves all best. A control, not a method.

One small run per domain, trained on nothing else; the domain whose run has the lowest mean validation loss
over all domains gets all the weight. A method that is not better than this has not shown that it mixes.

Known differences from the paper: none, no paper proposes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.mixing import Method, MethodInputs, MethodResult, RunSpec, register, whole


@register
class SingleDomain(Method):
    """Weight one for a domain, zero for the others."""

    name = "single_domain"
    kind = "control"
    sees = ("validation losses",)
    cost = "6 k n_s d_s"
    parameters = {
        "steps": whole(None, 1),  # of a run; None: as many as its scale says, or the scenario's proxy
        "scale": None,  # of a run; None: the scenario's proxy scale
    }

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return one run per domain; one domain leaves nothing to choose."""
        if len(domains) == 1:
            return []
        return [
            RunSpec(
                run_id=f"only_{domain}",
                weights={d: float(d == domain) for d in domains},
                steps=params["steps"],
                scale=params["scale"],
                swarm=True,
                blocks=True,
            )
            for domain in sorted(domains)
        ]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the best domain alone, and every run's mean validation loss (nats/token) as diagnostics."""
        means = {
            domain: sum(inputs.runs[f"only_{domain}"].losses.values()) / len(inputs.domains)
            for domain in sorted(inputs.domains)
            if f"only_{domain}" in inputs.runs
        }
        best = min(means, key=means.__getitem__) if means else inputs.domains[0]
        weights = {domain: float(domain == best) for domain in inputs.domains}
        return inputs.answer(weights, {"mean_loss": means} if means else {})
