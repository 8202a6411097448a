"""Mean mixture: what another method's base runs played on average, as a static mixture. A control.

An online method pays for its measurements with training steps. Beside it this run, on the very mixture that
it played in all, tells the price of its probes and the order of its segments (its difference to this run)
from the worth of its mixture (this run's difference to uniform). It is charged for the whole run that it
follows.

Known differences from the paper: none, no paper proposes it.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.mixing import Method, MethodInputs, MethodResult, register, weights_of


@register
class MeanMixture(Method):
    """The shares of the blocks that the base run of the method in `of` drew, same scenario and seed."""

    name = "mean_mixture"
    kind = "control"
    cost = "the base run that it follows"
    parameters = {"of": weights_of()}  # a method of the same scenario

    def follows(self, params: Mapping[str, Any]) -> list[str]:
        return [params["of"]]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the shares."""
        shares = inputs.played[inputs.params["of"]]
        return inputs.answer({d: shares.get(d, 0.0) for d in inputs.domains})
