"""Uniform mixing: every domain gets the same weight, α_i = 1/k. Needs nothing and costs nothing.

Known differences from the paper: none, it is a definition.
"""

from chameleon.mixing import Method, MethodInputs, MethodResult, register


@register
class Uniform(Method):
    """The yardstick of every table: "stratified" mixing in the Aioli paper, uniform in Chameleon and DoGE."""

    name = "uniform"

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return 1/k for each of the k domains."""
        return inputs.answer({d: 1 / len(inputs.domains) for d in inputs.domains})
