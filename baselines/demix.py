"""DeMix: proxies that are not trained but merged, from one expert per domain.

arXiv 2602.00747 (ICML 2026). The scenario's uniform proxy is branched: expert i goes on from it on a share
β of general text (all domains alike) and 1 − β of domain i. The proxy for a mixture p is θ(p) = Σ_i p_i θ_i,
which costs a validation pass. Mixtures are searched for in rounds, as in CLIMB: a regression learns the loss
from the merged proxies so far, the next ones are drawn from the candidates that it likes best. The answer is
the mean of the candidates of lowest predicted loss.

Its claim is that merged proxies rank mixtures as trained ones do: `foretell` says the loss of any mixture's
merged proxy, to be held against models that were trained on it. Means of parameters are meaningful only
between models that are close: `delta` in the diagnostics says how close (in the paper about 0.1).

`general: 0` leaves the experts nothing but their domain (modular merging, the paper's weaker form).

Costs the uniform proxy, k experts, and as many validation passes as there are merged proxies.

Known differences from the paper:
- The experts' data is drawn β / k from every domain, 1 − β more from its own; the paper's general text is a
  corpus of its own.
- The target is the mean validation loss over domains; the paper's is a mean rank over groups of tasks.
- How long experts train is ours (`steps`): a quarter of the default proxy's 400. They start the scale's
  learning-rate schedule anew.
- The regression is fitted as RegMix's for small swarms. Candidates are drawn as RegMix's, around uniform;
  the paper's redistribute what lies above a cap.
- Only linear merging is here, which the paper finds best.

Known differences from its code:
- The function that searches is called there, but not part of it.
- It averages the best 1,280 candidates, the paper the best 128, as here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.regression import models
from chameleon.methods.regression.propose import CANDIDATES, TOP, propose
from chameleon.methods.rounds import around, check_rounds, next_round
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    MixtureSchedule,
    RunSpec,
    UserError,
    check_number,
    check_whole,
    choices,
    register,
)
from chameleon.mixing.types import REFERENCE

if TYPE_CHECKING:
    from chameleon.methods.merging import Experts


@register
class DeMix(Method):
    """The mixture of the best merged proxies."""

    name = "demix"
    version = 1
    kind = "experts"
    sees = ("validation losses",)
    cost = "6 n d + 6 k n d_s + 2 K n v"
    requires = frozenset({"validation"})
    foretells = True
    defaults = {
        "general": 0.5,  # β
        "steps": 100,  # of an expert; None: as many as the scenario's proxy
        "rounds": [64, 32, 16],  # merged proxies of each
        "regression": "lightgbm",  # one of models.MODELS
        "candidates": CANDIDATES,  # simulated mixtures
        "top": TOP,  # of lowest predicted loss, averaged
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse numbers out of range and an unknown regression."""
        check_number("method demix: general", params["general"], least=0, below=1)
        check_whole("method demix: steps", params["steps"], 1, optional=True)
        check_rounds("method demix: rounds", params["rounds"])
        if params["regression"] not in (*models.MODELS,):
            raise UserError(f"method demix: regression: {choices(params['regression'], models.MODELS)}")
        check_whole("method demix: candidates", params["candidates"], sum(params["rounds"]), most=10_000_000)
        check_whole("method demix: top", params["top"], 1)

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return one expert per domain; one domain leaves nothing to choose."""
        k, general = len(domains), params["general"]
        if k == 1:
            return []
        return [
            RunSpec(
                run_id=f"expert_{own}",
                weights={d: general / k + (1 - general) * (d == own) for d in domains},
                steps=params["steps"],
                after=(REFERENCE,),
                start=REFERENCE,
            )
            for own in sorted(domains)
        ]

    def validation_passes(self, params: Mapping[str, Any]) -> int:
        return int(sum(params["rounds"]))

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Search over merged proxies.

        Diagnostics: `delta` (domain -> δ of its expert), `proxies` merged, the `best_merged_loss` and the
        `predicted_loss` of the answer (nats/token).
        """
        names, params = sorted(inputs.domains), inputs.params
        if len(names) == 1:
            return MethodResult(MixtureSchedule.static({names[0]: 1.0}))
        experts = _experts(inputs, names)
        first, *later = params["rounds"]
        draw = generator(inputs.seed, "demix", "candidates")
        candidates = around(len(names), params["candidates"], draw)
        x = around(len(names), first, generator(inputs.seed, "demix", "mixtures"))
        y = _measured(inputs, names, experts, x)
        for number, count in enumerate(later, 2):
            model = models.fit(params["regression"], x, y)
            drawn = next_round(
                model, candidates, x, count, None, generator(inputs.seed, "demix", "round", number)
            )
            x = np.concatenate([x, drawn])
            y = np.concatenate([y, _measured(inputs, names, experts, drawn)])
        found = propose(models.fit(params["regression"], x, y), candidates, params["top"])
        diagnostics = {
            "delta": {name: inputs.runs[f"expert_{name}"].moved for name in names},
            "proxies": len(x),
            "best_merged_loss": float(y.mean(axis=1).min()),
            "predicted_loss": found.predicted,
        }
        weights = dict(zip(names, found.mixture.tolist(), strict=True))
        return MethodResult(MixtureSchedule.static({d: weights[d] for d in inputs.domains}), diagnostics)

    def foretell(self, inputs: MethodInputs, mixtures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return the mean loss of the mixtures' merged proxies: of small models, only their order counts."""
        names = sorted(inputs.domains)
        if len(names) == 1:
            return {}
        x = np.array([[mixture.get(d, 0.0) for d in names] for mixture in mixtures.values()])
        losses = _measured(inputs, names, _experts(inputs, names), x).mean(axis=1)
        return dict(zip(mixtures, losses.tolist(), strict=True))


def _experts(inputs: MethodInputs, names: list[str]) -> "Experts":
    from chameleon.methods.merging import Experts

    folders = [inputs.runs[f"expert_{name}"].model_dir for name in names]
    return Experts([folder for folder in folders if folder is not None])


def _measured(inputs: MethodInputs, names: list[str], experts: "Experts", x: np.ndarray) -> np.ndarray:
    """Return the losses (nats/token, n x k) of the merged proxies of n mixtures."""
    assert inputs.validation_losses is not None
    found = [inputs.validation_losses(experts.merged(p)) for p in x]
    return np.array([[losses[d] for d in names] for losses in found])
