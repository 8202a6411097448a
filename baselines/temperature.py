"""Temperature sampling: α_i ∝ n_i^(1/τ) over the tokens of the train splits. Costs nothing.

τ = 1 is token-proportional mixing, τ → ∞ uniform. A habit of multilingual training: mT5 (Xue et al., 2021,
arXiv 2010.11934) takes the exponent 0.3, τ = 3.33. Counts are those of the prepared corpus, after caps and
deduplication.

Known differences from the paper:
- n_i counts tokens of a domain's train split; mT5 counts examples of a language.
- τ = 3.33 is rounded: the exponent is 0.3003, mT5's 0.3.
"""

import math
from collections.abc import Mapping
from typing import Any

from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    MixtureSchedule,
    UserError,
    check_number,
    register,
)


@register
class Temperature(Method):
    """Weights proportional to the 1/tau-th power of the token counts."""

    name = "temperature"
    version = 1
    kind = "free"
    sees = ("token counts",)
    defaults = {"tau": 3.33}

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError unless tau is a positive number."""
        check_number("method_params.temperature.tau", params["tau"], above=0)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return n_i^(1/τ) / Σ_j n_j^(1/τ).

        Raises:
            UserError: a domain without train tokens.
        """
        counts = {d: inputs.token_counts[d] for d in inputs.domains}
        empty = [d for d, n in counts.items() if n <= 0]
        if empty:
            raise UserError(f"temperature: domain {', '.join(empty)} has no train tokens")
        most = max(counts.values())
        # Relative to the largest: a small τ would overflow otherwise.
        powers = {d: (n / most) ** (1 / inputs.params["tau"]) for d, n in counts.items()}
        total = math.fsum(powers.values())
        return MethodResult(MixtureSchedule.static({d: p / total for d, p in powers.items()}))
