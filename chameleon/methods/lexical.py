"""Chameleon lexical: Chameleon on how often each token stands in a domain. A control, not a method.

Chameleon with x_i = √(token shares of domain i's train split) (the square root of a histogram: distances are
Hellinger's, and the most frequent tokens do not decide everything) in the place of what the proxy gives. What
it does as well as Chameleon itself, no language model was needed for.

λ acts on eigenvalues, so the features are scaled to the proxy's embeddings: their centred affinity has the
same trace. That takes nothing but one number of the proxy, yet the control costs what Chameleon costs.

Known differences from the paper: none, no paper proposes it.
"""

from dataclasses import replace

import numpy as np

from chameleon import krls
from chameleon.methods.chameleon import Chameleon
from chameleon.mixing import MethodInputs, MethodResult, register

#: A trace of roots of shares, whose rows have norm 1, that is no more than rounding.
ROUNDING = 1e-12


@register
class Lexical(Chameleon):
    """Chameleon's weights from token histograms; parameters are Chameleon's."""

    name = "chameleon_lexical"
    version = 1
    kind = "control"
    sees = ("train text",)
    cost = "6 n d + 2 n w"
    requires = frozenset({"embeddings", "histograms"})

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return Chameleon's mixture; beside its diagnostics, the factor on the features (`scale`).

        Raises:
            ValueError: as `Chameleon.weights`, or no histograms.
        """
        if inputs.embeddings is None or inputs.histograms is None:
            raise ValueError("chameleon_lexical needs embeddings and histograms of the domains")
        counts = inputs.histograms.astype(np.float64)
        features = np.sqrt(counts / counts.sum(axis=1, keepdims=True))
        theirs, ours = (float(np.trace(krls.affinity(x, centre=True))) for x in (inputs.embeddings, features))
        # Domains of the same shares differ by rounding alone, which is not to be made large.
        scale = (theirs / ours) ** 0.5 if ours > ROUNDING else 1.0
        found = super().weights(replace(inputs, embeddings=scale * features))
        return MethodResult(found.schedule, {**found.diagnostics, "scale": scale})
