"""What the methods share that fit a law to a swarm and take its minimum: Data Mixing Laws, Olmix."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.capped import epoch_caps
from chameleon.methods.laws.solve import MINIMUM_RUNS, PARAMETERS, fitted, minimum
from chameleon.methods.rows import rows
from chameleon.mixing import Method, MethodInputs, MethodResult, runs_of


class LawMethod(Method):
    """The mixture where the mean of one law per domain is lowest, fitted to another method's swarm.

    A divergence from the natural shares may be added to the mean, and caps on passes over a domain.
    """

    #: Key of `models.MODELS`.
    law = ""
    foretells = True
    parameters: Mapping[str, Any] = {
        "swarm": runs_of("regmix"),  # the method of the same scenario whose runs are read
        **PARAMETERS,
    }

    def rows(self, inputs: MethodInputs, names: list[str]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Return mixtures (n x k) and losses (n x m) that the laws are fitted to, and diagnostics of them."""
        return *rows(inputs.read[inputs.params["swarm"]], names, inputs.params["target"]), {}

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Fit, and find the minimum.

        `diagnostics` hold the rank correlation of held-out predictions with the runs' losses
        (`heldout_spearman`, absent if either is constant), the predicted and the best measured loss
        (nats/token), how many runs were read and how many the Olmix paper advises, and the domains at their
        cap.

        Raises:
            UserError: the caps leave less than a whole mixture.
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        x, y, of_rows = self.rows(inputs, names)
        counts = np.array([float(inputs.token_counts[d]) for d in names])
        natural, most = counts / counts.sum(), params["repetitions"]
        caps = None if most is None else epoch_caps(counts, inputs.token_budget, most)
        if len(x) < MINIMUM_RUNS:
            best = x[y.mean(axis=1).argmin()]
            return inputs.answer(best, {"law": "none: too few runs", "runs": len(x)})
        shuffle = generator(inputs.seed, "law", "folds")
        found, diagnostics = minimum(self.name, self.law, x, y, natural, caps, params, shuffle)
        tight = [] if caps is None else np.flatnonzero(found >= caps - 1e-9).tolist()
        diagnostics |= of_rows
        diagnostics["at_cap"] = [names[i] for i in tight]
        return inputs.answer(found, diagnostics)

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray | None:
        """Return the laws' mean loss; None where there are too few runs."""
        x, y, _ = self.rows(inputs, inputs.names)
        if len(x) < MINIMUM_RUNS:
            return None
        found: np.ndarray = np.mean([law.predict(mixtures) for law in fitted(self.law, x, y)], axis=0)
        return found
