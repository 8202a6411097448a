"""The search for a mixture over merged proxies, in rounds: what DeMix and RegMean share, but for the merging.

`baselines/demix.py` says how it goes. Reads the experts' checkpoints; imports torch when first used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.methods.regression import models
from chameleon.methods.regression.propose import CANDIDATES, TOP, propose
from chameleon.methods.rounds import around, check_rounds, next_round
from chameleon.mixing.method import Method
from chameleon.mixing.parameters import check_whole, one_of, whole
from chameleon.mixing.types import MethodInputs, MethodResult, RunResult

if TYPE_CHECKING:
    from chameleon.methods.merging import Experts

#: The parameters of the search.
SEARCH: dict[str, Any] = {
    "rounds": [64, 32, 16],  # merged proxies of each
    "regression": one_of("lightgbm", models.MODELS),
    "candidates": CANDIDATES,  # simulated mixtures
    "top": whole(TOP, 1),  # of lowest predicted loss, averaged
}


class MergedSearch(Method):
    """The mixture of the best merged proxies; a subclass says which experts, and how they are merged."""

    kind = "experts"
    sees = ("validation losses",)
    cost = "6 n d + 6 k n d_s + 2 K n v"
    requires = frozenset({"validation"})
    foretells = True
    parameters = SEARCH

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse rounds too that are none, and fewer candidates than are drawn from them."""
        super().check(params, domains, facts)
        check_rounds(f"method {self.name}: rounds", params["rounds"])
        least = sum(params["rounds"])
        check_whole(f"method {self.name}: candidates", params["candidates"], least, most=10_000_000)

    def validation_passes(self, params: Mapping[str, Any], domains: Sequence[str]) -> int:
        return int(sum(params["rounds"]))

    def expert_runs(self, inputs: MethodInputs) -> list[RunResult]:
        """Return the run of each domain's expert, in the order of `inputs.names`."""
        raise NotImplementedError

    def experts(self, inputs: MethodInputs) -> "Experts":
        """Return the experts, to be merged."""
        from chameleon.methods.merging import Experts

        return Experts(folders(self.expert_runs(inputs)))

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Search over merged proxies.

        Diagnostics: `delta` (domain -> δ of its expert), `proxies` merged, the `best_merged_loss` and the
        `predicted_loss` of the answer (nats/token).
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        experts = self.experts(inputs)
        first, *later = params["rounds"]
        draw = generator(inputs.seed, self.name, "candidates")
        candidates = around(len(names), params["candidates"], draw)
        x = around(len(names), first, generator(inputs.seed, self.name, "mixtures"))
        y = measured(inputs, experts, x)
        for number, count in enumerate(later, 2):
            model = models.fit(params["regression"], x, y)
            drawn = next_round(
                model, candidates, x, count, None, generator(inputs.seed, self.name, "round", number)
            )
            x = np.concatenate([x, drawn])
            y = np.concatenate([y, measured(inputs, experts, drawn)])
        found, predicted = propose(models.fit(params["regression"], x, y), candidates, params["top"])
        diagnostics = {
            "delta": far(names, self.expert_runs(inputs)),
            "proxies": len(x),
            "best_merged_loss": float(y.mean(axis=1).min()),
            "predicted_loss": predicted,
        }
        return inputs.answer(found, diagnostics)

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray:
        """Return the losses of the mixtures' merged proxies: of small models, only their order counts."""
        return measured(inputs, self.experts(inputs), mixtures).mean(axis=1)


def measured(
    inputs: MethodInputs, experts: "Experts", x: np.ndarray, targets: list[str] | None = None
) -> np.ndarray:
    """Return the losses (nats/token, n x m) of the merged proxies of n mixtures.

    Args:
        inputs: of a method that requires `validation`.
        experts: in the order of `inputs.names`.
        x: n x k, columns likewise.
        targets: m domains whose text is looked at; None: all, in that order.
    """
    assert inputs.validation_losses is not None
    found = [inputs.validation_losses(experts.merged(p), domains=targets) for p in x]
    return np.array([[losses[d] for d in targets or inputs.names] for losses in found])


def read_experts(inputs: MethodInputs, label: str, where: str) -> list[RunResult]:
    """Return the runs of another method that are the domains' experts, in the order of `inputs.names`.

    Args:
        inputs: of a method that reads the runs of `label`.
        label: of the other method.
        where: the parameter that holds it, as the user wrote it.

    Raises:
        UserError: not one run per domain that has most of it, or runs that left no model.
    """
    largest: dict[str, RunResult] = {}
    runs = inputs.read[label]
    for key in sorted(runs):
        first, *rest = sorted(runs[key].weights.items(), key=lambda pair: -pair[1])
        if runs[key].model_dir is not None and (not rest or first[1] > rest[0][1]):
            largest[first[0]] = runs[key]
    if len(runs) != len(inputs.names) or set(largest) != set(inputs.names):
        raise UserError(
            f"{where}: {label!r} has not left one model per domain; valid: a method such as demix"
        )
    return [largest[name] for name in inputs.names]


def folders(runs: list[RunResult]) -> list[Path]:
    """Return the checkpoints of runs that have one."""
    return [run.model_dir for run in runs if run.model_dir is not None]


def far(names: list[str], runs: list[RunResult]) -> dict[str, float]:
    """Return domain -> δ of its expert: means of parameters are meaningful only between close models."""
    return {name: run.moved for name, run in zip(names, runs, strict=True)}
