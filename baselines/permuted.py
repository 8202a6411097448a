"""Permuted: another method's weights, dealt out to the domains at random. A control, not a method.

What it does as well as the method itself, the method's choice of domains does not explain: only how uneven
its weights are. Costs what the other method costs.

Known differences from the paper: none, no paper proposes it.
"""

from chameleon.core.seeds import generator
from chameleon.mixing import Method, MethodInputs, MethodResult, register, weights_of


@register
class Permuted(Method):
    """The weights of the method in `of`, under a permutation that moves at least one domain."""

    name = "permuted"
    kind = "control"
    cost = "that of the method it permutes"
    parameters = {"of": weights_of()}  # a method of the same scenario

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the permuted mixture; who got whose weight as a diagnostic."""
        theirs, names = inputs.others[inputs.params["of"]], inputs.names
        # Drawn for the method's name, not the label: the order of the domains in the config plays no part.
        rng = generator(inputs.seed, "permutation")
        order = list(range(len(names)))
        while len(names) > 1 and order == sorted(order):
            order = rng.permutation(len(names)).tolist()
        source = {name: names[i] for name, i in zip(names, order, strict=True)}
        weights = {domain: theirs[source[domain]] for domain in inputs.domains}
        return inputs.answer(weights, {"weight_of": source})
