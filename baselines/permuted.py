"""Permuted: another method's weights, dealt out to the domains at random. A control, not a method.

What it does as well as the method itself, the method's choice of domains does not explain: only how uneven
its weights are. Costs what the other method costs.

Known differences from the paper: none, no paper proposes it.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.core.seeds import generator
from chameleon.mixing import Method, MethodInputs, MethodResult, MixtureSchedule, check_label, register


@register
class Permuted(Method):
    """The weights of the method in `of`, under a permutation that moves at least one domain."""

    name = "permuted"
    version = 1
    kind = "control"
    cost = "that of the method it permutes"
    defaults = {"of": None}  # label of a method of the same scenario

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError if `of` is no label."""
        check_label("method permuted: of", params["of"])

    def uses(self, params: Mapping[str, Any]) -> list[str]:
        return [params["of"]]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the permuted mixture; who got whose weight as a diagnostic."""
        theirs, names = inputs.others[inputs.params["of"]], sorted(inputs.domains)
        # Drawn for the method's name, not the label: the order of the domains in the config plays no part.
        rng = generator(inputs.seed, "permutation")
        order = list(range(len(names)))
        while len(names) > 1 and order == sorted(order):
            order = rng.permutation(len(names)).tolist()
        source = {name: names[i] for name, i in zip(names, order, strict=True)}
        weights = {domain: theirs[source[domain]] for domain in inputs.domains}
        return MethodResult(MixtureSchedule.static(weights), {"weight_of": source})
