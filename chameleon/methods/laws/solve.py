"""From a swarm to the minimum of the laws fitted to it, with what a reader needs to judge the fit.

What Data Mixing Laws, Olmix and mixture reuse have in common. Columns of arrays are domains, or for mixture
reuse what stands in their place.
"""

from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.laws import exact
from chameleon.methods.regression import models
from chameleon.methods.regression.laws import LogLinear

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
    law: str,
    x: np.ndarray,
    y: np.ndarray,
    natural: np.ndarray,
    divergence: float,
    caps: np.ndarray | None,
    folds: int,
    shuffle: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the mixture where the mean of the laws is lowest, and diagnostics.

    These are the rank correlation of held-out predictions with the runs' losses (`heldout_spearman`, absent
    if either is constant), their squared error, the predicted and the best measured loss (nats/token), how
    many runs were read and how many the Olmix paper advises.

    Args:
        law, x, y: as for `fitted`.
        natural, divergence, caps: as for `exact.minimise`.
        folds: of the cross-validation.
        shuffle: draws them.

    Raises:
        UserError: fewer than MINIMUM_RUNS runs, or the caps leave less than a whole mixture.
    """
    if len(x) < MINIMUM_RUNS:
        raise UserError(f"{len(x)} runs; a law needs at least {MINIMUM_RUNS}")
    laws = fitted(law, x, y)
    found = exact.minimise(np.array([one.exponents for one in laws]), natural, divergence, caps)
    held_out = models.cross_validate(law, x, y, folds, shuffle)
    correlation = models.spearman(held_out, y.mean(axis=1))
    return found, {
        "law": law,
        "runs": len(x),
        "runs_advised": 3 * (x.shape[1] + 1),
        "predicted_loss": float(np.mean([one.predict(found[None])[0] for one in laws])),
        "best_swarm_loss": float(y.mean(axis=1).min()),
        "heldout_mse": models.mean_squared_error(held_out, y.mean(axis=1)),
        **({} if correlation is None else {"heldout_spearman": correlation}),
    }
