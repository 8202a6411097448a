"""MDE: RegMix's regression, told also what a mixture of the domains' experts makes of each domain's text.

"Mixture of Data Experts" (ACL 2025, arXiv 2502.15950). One small run per domain ("expert") gives the
probability of a text; the experts' mixture with shares p gives each target domain a loss F_j(p) without a
training run. F_1 … F_k stand beside p as inputs of the regression that learns losses from a swarm; the rest
is RegMix's: candidates are simulated, those of lowest predicted loss averaged.

Reads the runs of two other methods of the scenario (`swarm`, `experts`) and adds none; costs both.

Known differences from the paper:
- The experts are mixed block by block (blocks of their context), not token by token: what is kept of a run
  is its loss on every block. F is MixMin's (`chameleon.methods.likelihood`).
- `features: log` is a control: the features are functions of p, so others such as log p, for which no expert
  is needed, may do as well. On the swarm that ships with the suite they nearly do (docs/METHODS.md).
- The regression and its settings for few runs are RegMix's here, and the target is the mean validation loss.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods import likelihood
from chameleon.methods.regression import models
from chameleon.methods.regression.propose import CANDIDATES, TOP, propose
from chameleon.methods.rounds import around
from chameleon.methods.rows import rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    UserError,
    one_of,
    register,
    runs_of,
    target,
    whole,
)

FEATURES = ("experts", "log")
#: Added to shares before their logarithm is taken, as a share may be zero.
SMALLEST = 0.01


@register
class Mde(Method):
    """RegMix's search with the experts' losses beside the weights."""

    name = "mde"
    kind = "swarm"
    sees = ("validation losses",)
    cost = "6 K n_s d_s + 6 k n_s d_s"
    foretells = True
    parameters = {
        "swarm": runs_of("regmix"),  # the method of the same scenario whose runs are read
        "experts": runs_of("single_domain"),  # the method with one run per domain
        # "log": log p in their place, which no expert is needed for; a control.
        "features": one_of("experts", FEATURES),
        "target": target(),
        "regression": one_of("lightgbm", models.MODELS),
        "candidates": whole(CANDIDATES, 1, most=10_000_000),  # simulated mixtures
        "top": whole(TOP, 1, most=10_000_000),  # of lowest predicted loss, averaged
        "folds": whole(8, 2, most=10_000_000),  # of the cross-validation
    }

    def reads(self, params: Mapping[str, Any]) -> list[str]:
        experts = [params["experts"]] if params["features"] == "experts" else []
        return list(dict.fromkeys([params["swarm"], *experts]))

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Fit, simulate, average; diagnostics as RegMix's, for the regression with its features.

        Raises:
            UserError: fewer than three runs, a domain without an expert.
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        x, y = _rows(inputs, names)
        model = Featured(inputs, names)
        candidates = around(len(names), params["candidates"], generator(inputs.seed, "mde", "candidates"))
        found, predicted = propose(model, candidates, params["top"])
        folds = generator(inputs.seed, "mde", "folds")
        diagnostics = {
            "regression": model.name,
            "runs": len(x),
            "predicted_loss": predicted,
            "best_swarm_loss": float(y.mean(axis=1).min()),
            **models.held_out(params["regression"], model.features(x), y, params["folds"], folds),
        }
        return inputs.answer(found, diagnostics)

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray:
        """Return what the regression expects."""
        return Featured(inputs, inputs.names).predict(mixtures)


class Featured:
    """The regression as a function of mixtures: puts the experts' losses beside the weights first."""

    def __init__(self, inputs: MethodInputs, names: list[str]) -> None:
        self._blocks: np.ndarray | None = None
        if inputs.params["features"] == "experts":
            label = inputs.params["experts"]
            where = f"method mde: experts: {label!r}"
            self._blocks, self._length = likelihood.expert_blocks(inputs.read[label], names, names, where)
        x, y = _rows(inputs, names)
        self._fitted = models.fit(inputs.params["regression"], self.features(x), y)
        self.name, self.parameters = self._fitted.name, self._fitted.parameters

    def features(self, mixtures: np.ndarray) -> np.ndarray:
        """Return p and F_1 … F_k (or log p) of n mixtures: n x 2k."""
        if self._blocks is None:
            return np.column_stack([mixtures, np.log(mixtures + SMALLEST)])
        columns = [likelihood.of_mixtures(blocks, self._length, mixtures) for blocks in self._blocks]
        return np.column_stack([mixtures, *columns])

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        return self._fitted.predict(self.features(mixtures))

    def importance(self) -> np.ndarray:
        return self._fitted.importance()


def _rows(inputs: MethodInputs, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the swarm's mixtures and losses; of at least three runs."""
    label = inputs.params["swarm"]
    x, y = rows(inputs.read[label], names, inputs.params["target"])
    if len(x) < 3:
        raise UserError(f"method mde: swarm: {label!r} has {len(x)} runs; a regression needs at least three")
    return x, y
