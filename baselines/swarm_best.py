"""Swarm best: the mixture of the run that did best in another method's swarm. A control, not a method.

What a regression on the swarm must be better than: no law, no search. Charged for the whole swarm.

Known differences from the paper: none, no paper proposes it; Olmix's code has it as its proposer `search`.
"""

from chameleon.methods.rows import rows
from chameleon.mixing import Method, MethodInputs, MethodResult, register, runs_of, target


@register
class SwarmBest(Method):
    """The mixture of the lowest measured loss."""

    name = "swarm_best"
    kind = "control"
    sees = ("validation losses",)
    cost = "6 K n_s d_s"
    parameters = {
        "swarm": runs_of("regmix"),  # the method of the same scenario whose runs are read
        "target": target(),
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the best run's mixture; its loss (nats/token) and the number of runs as diagnostics."""
        if len(inputs.domains) == 1:
            return inputs.answer([1.0])
        x, y = rows(inputs.read[inputs.params["swarm"]], inputs.names, inputs.params["target"])
        best = int(y.mean(axis=1).argmin())
        found = {"best_swarm_loss": float(y[best].mean()), "runs": len(x)}
        return inputs.answer(x[best] / x[best].sum(), found)
