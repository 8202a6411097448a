"""Temperature sampling: α_i ∝ n_i^(1/τ) over the tokens of the train splits. Costs nothing.

τ = 1 is token-proportional mixing, τ → ∞ uniform. A habit of multilingual training: mT5 (Xue et al., 2021,
arXiv 2010.11934) takes the exponent 0.3, τ = 3.33. Counts are those of the prepared corpus, after caps and
deduplication.

Known differences from the paper:
- n_i counts tokens of a domain's train split; mT5 counts examples of a language.
- τ = 3.33 is rounded: the exponent is 0.3003, mT5's 0.3.
"""

import math

from chameleon.mixing import Method, MethodInputs, MethodResult, number, register


@register
class Temperature(Method):
    """Weights proportional to the 1/tau-th power of the token counts."""

    name = "temperature"
    kind = "free"
    sees = ("token counts",)
    where = "method_params.temperature."
    parameters = {"tau": number(3.33, above=0)}

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return n_i^(1/τ) / Σ_j n_j^(1/τ).

        Raises:
            UserError: a domain without train tokens.
        """
        counts = inputs.counted(self.name)
        most = max(counts.values())
        # Relative to the largest: a small τ would overflow otherwise.
        powers = {d: (n / most) ** (1 / inputs.params["tau"]) for d, n in counts.items()}
        total = math.fsum(powers.values())
        return inputs.answer({d: p / total for d, p in powers.items()})
