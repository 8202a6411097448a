"""From a swarm to the minimum of the laws fitted to it, with what a reader needs to judge the fit.

What Data Mixing Laws, Olmix and mixture reuse have in common. Columns of arrays are domains, or for mixture
reuse what stands in their place.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.errors import UserError, choices
from chameleon.methods.laws import exact
from chameleon.methods.regression import models
from chameleon.methods.regression.laws import LogLinear
from chameleon.methods.rows import MEAN
from chameleon.mixing import check_number, check_whole

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


def check_law(name: str, params: Mapping[str, Any], domains: Sequence[str]) -> None:
    """Refuse what a method that takes a law's minimum cannot work with.

    Args:
        name: of the method.
        params: `target`, `divergence`, `repetitions` and `folds` among them.
        domains: of the scenario.
    """
    if params["target"] not in (MEAN, *domains):
        raise UserError(f"method {name}: target: {choices(params['target'], [MEAN, *domains])}")
    check_number(f"method {name}: divergence", params["divergence"], least=0)
    check_number(f"method {name}: repetitions", params["repetitions"], above=0, optional=True)
    check_whole(f"method {name}: folds", params["folds"], 2, most=10_000)


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
    held_out = models.cross_validate(law, x, y, params["folds"], shuffle)
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
