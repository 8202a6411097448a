"""What the methods share that fit a law to a swarm and take its minimum: Data Mixing Laws, Olmix."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.capped import epoch_caps
from chameleon.methods.laws.solve import MINIMUM_RUNS, check_law, fitted, minimum
from chameleon.methods.rows import MEAN, rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    MixtureSchedule,
    check_label,
)


class LawMethod(Method):
    """The mixture where the mean of one law per domain is lowest, fitted to another method's swarm.

    A divergence from the natural shares may be added to the mean, and caps on passes over a domain.
    """

    #: Key of `models.MODELS`.
    law = ""
    foretells = True
    defaults: Mapping[str, Any] = {
        "swarm": "regmix",  # label of the method of the same scenario whose runs are read
        "target": MEAN,  # or a domain
        "divergence": 0.0,  # λ of the Kullback-Leibler divergence from the shares of the tokens at hand
        "repetitions": None,  # most passes over a domain's train split in the base run; None: no cap
        "folds": 8,  # of the cross-validation
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for an unknown target and numbers out of range."""
        check_label(f"method {self.name}: swarm", params["swarm"])
        check_law(self.name, params, domains)

    def reads(self, params: Mapping[str, Any]) -> list[str]:
        return [params["swarm"]]

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
        names, params = sorted(inputs.domains), inputs.params
        if len(names) == 1:
            return MethodResult(MixtureSchedule.static({names[0]: 1.0}))
        x, y, of_rows = self.rows(inputs, names)
        counts = np.array([float(inputs.token_counts[d]) for d in names])
        natural, most = counts / counts.sum(), params["repetitions"]
        caps = None if most is None else epoch_caps(counts, inputs.token_budget, most)
        if len(x) < MINIMUM_RUNS:
            best = dict(zip(names, x[y.mean(axis=1).argmin()].tolist(), strict=True))
            schedule = MixtureSchedule.static({d: best[d] for d in inputs.domains})
            return MethodResult(schedule, {"law": "none: too few runs", "runs": len(x)})
        shuffle = generator(inputs.seed, "law", "folds")
        found, diagnostics = minimum(self.name, self.law, x, y, natural, caps, params, shuffle)
        tight = [] if caps is None else np.flatnonzero(found >= caps - 1e-9).tolist()
        diagnostics |= of_rows
        diagnostics["at_cap"] = [names[i] for i in tight]
        weights = dict(zip(names, found.tolist(), strict=True))
        return MethodResult(MixtureSchedule.static({d: weights[d] for d in inputs.domains}), diagnostics)

    def foretell(self, inputs: MethodInputs, mixtures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return the laws' mean loss of other mixtures; nothing where one domain's loss is the target."""
        names, params = sorted(inputs.domains), inputs.params
        if len(names) == 1:
            return {}
        x, y, _ = self.rows(inputs, names)
        if len(x) < MINIMUM_RUNS or params["target"] != MEAN:
            return {}
        asked = np.array([[mixture.get(d, 0.0) for d in names] for mixture in mixtures.values()])
        expected = np.mean([law.predict(asked) for law in fitted(self.law, x, y)], axis=0)
        return dict(zip(mixtures, expected.tolist(), strict=True))
