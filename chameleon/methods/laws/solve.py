"""From a swarm to the minimum of the laws fitted to it, with what a reader needs to judge the fit.

What Data Mixing Laws, Olmix and mixture reuse have in common. Columns of arrays are domains, or for mixture
reuse what stands in their place.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.laws import exact
from chameleon.methods.regression import models
from chameleon.methods.regression.laws import LogLinear
from chameleon.mixing import number, target, whole

#: What is asked of a method that takes a law's minimum.
PARAMETERS: dict[str, Any] = {
    "target": target(),
    # λ of the Kullback-Leibler divergence from the shares of the tokens at hand.
    "divergence": number(0.0, least=0),
    # Most passes over a domain's train split in the base run; None: no cap.
    "repetitions": number(None, above=0),
    "folds": whole(8, 2, most=10_000),  # of the cross-validation
}
#: Fewer runs than this cannot be fitted and checked.
MINIMUM_RUNS = 3


def fitted(law: str, x: np.ndarray, y: np.ndarray) -> list[LogLinear]:
    """Return a law for every column of `y`.

    Args:
        law: key of `models.MODELS`.
        x: n x k mixtures.
        y: n x m losses (nats/token).
    """
    found = [models.fit(law, x, column) for column in y.T]
    return [one for one in found if isinstance(one, LogLinear)]


def minimum(
    name: str,
    law: str,
    x: np.ndarray,
    y: np.ndarray,
    natural: np.ndarray,
    caps: np.ndarray | None,
    params: Mapping[str, Any],
    shuffle: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the mixture where the mean of the laws is lowest, and diagnostics.

    These are the rank correlation of held-out predictions with the runs' losses (`heldout_spearman`, absent
    if either is constant), their squared error, the predicted and the best measured loss (nats/token), how
    many runs were read and how many the Olmix paper advises.

    Args:
        name: of the method, for messages.
        law, x, y: as for `fitted`; at least MINIMUM_RUNS runs.
        natural, caps: as for `exact.minimise`.
        params: `divergence`, `repetitions` (from which the caps are), `folds` of the cross-validation.
        shuffle: draws these.

    Raises:
        UserError: the caps leave less than a whole mixture.
    """
    laws = fitted(law, x, y)
    try:
        found = exact.minimise(np.array([one.exponents for one in laws]), natural, params["divergence"], caps)
    except UserError as error:
        raise UserError(f"method {name}: repetitions: {params['repetitions']!r}: {error}") from error
    return found, {
        "law": law,
        "runs": len(x),
        "runs_advised": 3 * (x.shape[1] + 1),
        "predicted_loss": float(np.mean([one.predict(found[None])[0] for one in laws])),
        "best_swarm_loss": float(y.mean(axis=1).min()),
        **models.held_out(law, x, y, params["folds"], shuffle),
    }
