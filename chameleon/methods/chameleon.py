"""Chameleon: domain weights from the kernel ridge leverage scores of domain embeddings.

A method like any other: reads the embeddings that the proxy of the scenario gave, returns a static
mixture. The equations are in `chameleon.krls`. With k domains, d features and n windows per domain the
cost beyond the proxy is one forward pass over n·k windows and O(k²d + k³), for many domains O(kd² + d³).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon import krls
from chameleon.errors import UserError, choices
from chameleon.interfaces import Method, MethodInputs, MethodResult, MixtureSchedule
from chameleon.parameters import check_flag, check_number
from chameleon.registry import register

#: Softmax temperature of each mode, those of the reference code.
TEMPERATURES = {"pretrain": 5.0, "finetune": 0.2}

#: Most domains whose affinity is computed and shown; beyond, the scores come without a k x k matrix.
SHOWN = 1000


def _temperature(params: Mapping[str, Any]) -> float:
    """Return the softmax temperature after checking the parameters (UserError)."""
    mode = params["mode"]
    if mode not in TEMPERATURES:
        raise UserError(f"method_params.chameleon.mode: {choices(mode, TEMPERATURES)}")
    for key in ("centre", "normalise"):
        check_flag(f"method_params.chameleon.{key}", params[key])
    temperature = TEMPERATURES[mode] if params["temperature"] is None else params["temperature"]
    for key, value in (("ridge", params["ridge"]), ("temperature", temperature)):
        check_number(f"method_params.chameleon.{key}", value, above=0)
    return float(temperature)


@register
class Chameleon(Method):
    """Pretraining: α = softmax(1/s/T), common domains gain; finetuning: α = softmax(s/T), rare ones do."""

    name = "chameleon"
    version = 1
    requires = frozenset({"embeddings"})
    defaults = {
        "mode": "pretrain",  # or finetune
        "ridge": 10.0,  # λ; the affinity is regularised by kλ
        "temperature": None,  # None: 5.0 to pretrain, 0.2 to finetune
        "centre": True,  # False: the paper's uncentred affinity
        "normalise": True,  # False: the paper's scores, not divided by their sum
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Raise UserError for an unknown mode, or a ridge or temperature that is not a positive number."""
        _temperature(params)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the static mixture, with scores, affinity and its eigenvalues beside kλ as diagnostics.

        Raises:
            UserError: as `check`.
            ValueError: no embeddings, or embeddings that do not fit the domains.
        """
        params = {**self.defaults, **inputs.params}
        mode, temperature = params["mode"], _temperature(params)
        k = len(inputs.domains)
        if inputs.embeddings is None or len(inputs.embeddings) != k:
            got = None if inputs.embeddings is None else np.shape(inputs.embeddings)
            raise ValueError(f"chameleon needs one embedding for each of {k} domains, got {got}")
        how = {"ridge": params["ridge"], "normalise": params["normalise"]}
        seen: dict[str, Any] = {}
        if k <= SHOWN:
            omega = krls.affinity(inputs.embeddings, centre=params["centre"])
            scores = krls.leverage_scores(omega, **how)
            seen = {"affinity": omega.tolist(), "eigenvalues": np.linalg.eigvalsh(omega)[::-1].tolist()}
        else:
            scores = krls.scores_of(inputs.embeddings, centre=params["centre"], **how)
        to_weights = krls.pretrain_weights if mode == "pretrain" else krls.finetune_weights
        alpha = to_weights(scores, temperature=temperature)
        diagnostics: dict[str, Any] = {
            "scores": dict(zip(inputs.domains, scores.tolist(), strict=True)),
            # Eigenvalues, largest first: λ means something only beside them.
            **seen,
            "k_lambda": k * float(params["ridge"]),
        }
        weights = dict(zip(inputs.domains, alpha.tolist(), strict=True))
        return MethodResult(MixtureSchedule.static(weights), diagnostics)
