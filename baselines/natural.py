"""Token-proportional mixing: α_i = n_i / Σ_j n_j over the tokens of the train splits. Costs nothing.

What a shuffled concatenation of the domains gives. The counts are those after caps and deduplication, so
the weights describe the prepared corpus, not the source it was taken from.

Known differences from the paper: none, it is a definition.
"""

from chameleon.mixing import Method, MethodInputs, MethodResult, register


@register
class Natural(Method):
    """Weights proportional to token counts."""

    name = "natural"
    kind = "free"
    sees = ("token counts",)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return n_i / Σ_j n_j.

        Raises:
            UserError: a domain without train tokens.
        """
        counts = inputs.counted(self.name)
        total = sum(counts.values())
        return inputs.answer({d: n / total for d, n in counts.items()})
