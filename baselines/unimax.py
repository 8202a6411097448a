"""UniMax: as uniform as a cap on epochs allows. Costs nothing.

Chung et al., "UniMax: fairer and more effective language sampling" (2023, arXiv 2304.09151), Algorithm 1, on
token counts: from the smallest domain on, each takes an equal part of what is left of the budget, but no more
than `max_epochs` passes over its train split.

Where every domain holds more than budget/k tokens no cap binds, and UniMax is uniform mixing exactly; so it
is at the suite's CPU scales, whose budget of a million tokens is far below the domains' sizes. It differs
where budgets are large or domains small. If every cap binds, the budget is not used up and the weights are
proportional to the counts; what the base run does then is up to the scenario's own `max_epochs`.

Known differences from the paper:
- Counts and budget are tokens; the paper counts characters.
- It weighs domains; the paper weighs languages.
- The budget is by default what the base run trains on (`budget`), and the counts are those of the prepared
  train splits, after caps and deduplication.
"""

import math
from collections.abc import Mapping

from chameleon.mixing import Method, MethodInputs, MethodResult, number, register


def unimax(counts: Mapping[str, float], budget: float, max_epochs: float) -> dict[str, float]:
    """Return the tokens that each domain gets of `budget`, in the order of `counts`; some may be unspent."""
    left, given = float(budget), dict[str, float]()
    ascending = sorted(counts, key=lambda d: (counts[d], d))
    for i, domain in enumerate(ascending):
        given[domain] = min(left / (len(ascending) - i), counts[domain] * max_epochs)
        left -= given[domain]
    return {d: given[d] for d in counts}


@register
class UniMax(Method):
    """Uniform up to a cap on the passes over a domain."""

    name = "unimax"
    kind = "free"
    sees = ("token counts",)
    where = "method_params.unimax."
    parameters = {
        # Passes over a domain. One: no text is repeated while another domain has fresh text.
        "max_epochs": number(1.0, above=0),
        "budget": number(None, above=0),  # tokens; None: those that the base run trains on
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return U_i / Σ_j U_j; which domains are at their cap and the unspent tokens as diagnostics.

        Raises:
            UserError: a domain without train tokens.
            ValueError: no budget was given.
        """
        counts = inputs.counted(self.name)
        budget, epochs = inputs.params["budget"], inputs.params["max_epochs"]
        budget = inputs.token_budget if budget is None else budget
        if budget <= 0:
            raise ValueError(f"unimax needs the base run's token budget, got {budget!r}")
        given = unimax(counts, budget, epochs)
        total = math.fsum(given.values())
        diagnostics = {
            "budget": budget,
            "capped": [d for d in sorted(counts) if given[d] >= counts[d] * epochs],
            "unspent_tokens": max(0.0, budget - total),
        }
        return inputs.answer({d: u / total for d, u in given.items()}, diagnostics)
