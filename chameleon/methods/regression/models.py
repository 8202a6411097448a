"""Regressions from mixture to loss: LightGBM and linear (RegMix), and the laws of `laws`.

Second step of mixture regression, between the swarm and the search. Pure functions of arrays; LightGBM and
scipy are imported when first used. All answer byte for byte the same for the same rows in the same
order of columns: LightGBM runs on one thread in its deterministic mode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chameleon.core.errors import UserError, choices
from chameleon.methods.regression.laws import LogLinear, PositiveFloor, shares

#: RegMix's `regression.ipynb`. It stops early on its test set, which leaks; we train all 1,000 rounds.
REFERENCE_PARAMETERS: dict[str, Any] = {
    "boosting": "gbdt", "objective": "regression", "num_iterations": 1000, "learning_rate": 0.01, "seed": 42,
    "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
#: Swarms smaller than this get `SMALL_PARAMETERS` too. LightGBM wants 20 rows in a leaf and grows 31 leaves:
#: with 64 rows it can hardly split. Rank correlation on unseen mixtures, RegMix's parameters against these,
#: one noisy target, an exponential and a power law, four seeds each: 64 runs of 7 domains 0.81 and 0.78
#: against 0.92 and 0.89; 64 runs of 15 domains 0.63 and 0.64 against 0.88 and 0.84. Small leaves alone
#: (3 rows, 31 leaves) gave 0.85, 0.84, 0.79 and 0.75. They were still ahead with 256 runs (by 0.01 to 0.04),
#: from where RegMix's own parameters are kept. 200 rounds at 0.05 are as good as 1,000 at 0.01 and a fifth of
#: the time; half of the features a tree makes the search better (the answer's loss above the optimum fell
#: by two fifths) though not the correlation.
SMALL = 256
SMALL_PARAMETERS: dict[str, Any] = {
    "num_iterations": 200, "learning_rate": 0.05, "min_data_in_leaf": 3, "num_leaves": 4,
    "feature_fraction": 0.5, "min_data_in_bin": 1,
}  # fmt: skip
#: Rows predicted at once.
CHUNK = 100_000
#: Standard deviations of the rank correlation of unrelated losses, 1/√(n − 1), that a fit must be above.
CHANCE = 2.0
#: A correlation below this orders hardly any runs, however many there are.
LEAST = 0.2


class Regression(Protocol):
    """A fitted regression."""

    name: str
    parameters: dict[str, Any]

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        """Return the n predicted losses of n x k mixtures."""
        ...

    def importance(self) -> np.ndarray:
        """Return k shares of sum 1: how much each domain's weight matters (all 0 if nothing does)."""
        ...


class LightGBM:
    """Boosted trees with RegMix's parameters, adapted for swarms of fewer than `SMALL` runs.

    `importance` is the share of the total gain of the splits on a domain.
    """

    name = "lightgbm"

    def __init__(
        self, mixtures: np.ndarray, losses: np.ndarray, runs: int | None = None, **parameters: Any
    ) -> None:
        import lightgbm

        # A fold of a swarm is fitted as the whole swarm (`runs`) is.
        small = SMALL_PARAMETERS if (runs or len(losses)) < SMALL else {}
        self.parameters = {**REFERENCE_PARAMETERS, **small, **parameters}
        data = lightgbm.Dataset(np.ascontiguousarray(mixtures), losses)
        options = dict(self.parameters)
        rounds = options.pop("num_iterations")
        self._booster = lightgbm.train(options, data, num_boost_round=rounds)

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        parts = [mixtures[i : i + CHUNK] for i in range(0, len(mixtures), CHUNK)]
        return np.concatenate([np.asarray(self._booster.predict(p, num_threads=1)) for p in parts])

    def importance(self) -> np.ndarray:
        return shares(np.asarray(self._booster.feature_importance("gain"), dtype=float))


class Linear:
    """Least squares with an intercept.

    Weights sum to one, so coefficients are defined up to a common constant: the solution of least norm is
    taken, as scikit-learn does. A linear function is lowest in a corner: it proposes nearly one domain.
    `importance` is |coefficient, less their mean over the average mixture| times the weight's deviation.
    """

    name = "linear"

    def __init__(self, mixtures: np.ndarray, losses: np.ndarray) -> None:
        self.parameters = {"ridge": 0.0}  # no penalty
        self._mean, self._spread = mixtures.mean(axis=0), mixtures.std(axis=0)
        self._level = float(losses.mean())
        x, y = mixtures - self._mean, losses - self._level
        self.coefficients = np.linalg.lstsq(x, y, rcond=None)[0]

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        return self._level + (mixtures - self._mean) @ self.coefficients

    def importance(self) -> np.ndarray:
        return shares(np.abs(self.coefficients - self._mean @ self.coefficients) * self._spread)


class Mean:
    """The mean of one regression per target, for a loss that is a mean over domains."""

    def __init__(self, parts: list[Regression]) -> None:
        self._parts = parts
        self.name, self.parameters = parts[0].name, parts[0].parameters

    def predict(self, mixtures: np.ndarray) -> np.ndarray:
        return np.mean([part.predict(mixtures) for part in self._parts], axis=0)

    def importance(self) -> np.ndarray:
        return shares(np.mean([part.importance() for part in self._parts], axis=0))


MODELS: dict[str, Callable[..., Regression]] = {
    m.name: m for m in (LightGBM, Linear, LogLinear, PositiveFloor)
}


def fit(name: str, mixtures: np.ndarray, losses: np.ndarray, **parameters: Any) -> Regression:
    """Return the regression `name` fitted to n mixtures (n x k).

    Args:
        name: one of `MODELS`.
        mixtures: n x k.
        losses: n, or n x m for m targets, whose predictions are averaged.
        parameters: of the model: LightGBM's own.

    Raises:
        UserError: an unknown name, fewer than two runs, or numbers that are not finite.
    """
    if name not in MODELS:
        raise UserError(f"regression {choices(name, MODELS)}")
    if len(losses) < 2:
        raise UserError(f"a regression needs at least two runs, got {len(losses)}")
    if not (np.isfinite(losses).all() and np.isfinite(mixtures).all()):
        raise UserError("a regression needs finite weights and losses")
    if losses.ndim == 2 and losses.shape[1] > 1:
        return Mean([MODELS[name](mixtures, column, **parameters) for column in losses.T])
    return MODELS[name](mixtures, losses.reshape(len(losses)), **parameters)


def cross_validate(
    name: str, mixtures: np.ndarray, losses: np.ndarray, folds: int, generator: np.random.Generator
) -> np.ndarray:
    """Return each run's loss (n) as predicted by a regression that did not see it.

    Args:
        name: of the regression.
        mixtures, losses: as in `fit`.
        folds: parts of the runs, each left out once; n of them (leave one out) at most.
        generator: shuffles the runs.
    """
    n = len(losses)
    if n < 3:
        raise UserError(f"cross-validation needs at least three runs, got {n}")
    predicted = np.empty(n)
    chosen = {"runs": n} if name == "lightgbm" else {}
    for part in np.array_split(generator.permutation(n), min(folds, n)):
        rest = np.setdiff1d(np.arange(n), part)
        predicted[part] = fit(name, mixtures[rest], losses[rest], **chosen).predict(mixtures[part])
    return predicted


def held_out(
    name: str, mixtures: np.ndarray, losses: np.ndarray, folds: int, generator: np.random.Generator
) -> dict[str, float]:
    """Return what cross-validation says of a regression of n x m losses, for a method's diagnostics.

    `heldout_mse` (squared nats) and `heldout_spearman`, which is absent where either side is constant.
    """
    predicted, true = cross_validate(name, mixtures, losses, folds, generator), losses.mean(axis=1)
    found = {
        "heldout_mse": mean_squared_error(predicted, true),
        "heldout_spearman": spearman(predicted, true),
    }
    return {key: value for key, value in found.items() if value is not None}


def effects(model: Regression, mixtures: np.ndarray, step: float = 0.1) -> np.ndarray:
    """Return, per domain, the mean change of the predicted loss (nats/token) when a run gets more of it.

    `step` of every mixture goes to the domain; the others give it up in proportion to their weights.

    Args:
        model: fitted.
        mixtures: n x k, over which the mean is taken.
        step: share of the mixture, in (0, 1].
    """
    before = model.predict(mixtures)
    after = [model.predict((1 - step) * mixtures + step * one) for one in np.eye(mixtures.shape[1])]
    return np.array([float(np.mean(a - before)) for a in after])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1 on, of ties their mean, as `scipy.stats.rankdata` does."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]  # type: ignore[no-any-return]


def spearman(predicted: np.ndarray, true: np.ndarray) -> float | None:
    """Return the rank correlation, ties ranked by their mean; None where one side is constant."""
    a, b = _ranks(predicted), _ranks(true)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def mean_squared_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the mean of the squared differences (squared nats for losses)."""
    return float(np.mean((predicted - true) ** 2))


@dataclass(frozen=True)
class HeldOut:
    """Predictions for runs that the regression did not see: what they are, predicted and true losses."""

    what: str
    predicted: np.ndarray
    true: np.ndarray

    @property
    def spearman(self) -> float | None:
        return spearman(self.predicted, self.true)

    @property
    def mse(self) -> float:
        return mean_squared_error(self.predicted, self.true)

    @property
    def doubt(self) -> str | None:
        """Return why the regression says nothing about unseen runs; None if it does."""
        rho, n = self.spearman, len(self.true)
        if rho is None:
            return "all true or all predicted losses are equal: there is no order to predict"
        chance = max(LEAST, CHANCE / np.sqrt(max(n - 1, 1)))
        if rho >= chance:
            return None
        if chance > 1:
            return f"{n} runs are too few to tell a prediction from chance"
        return f"spearman {rho:.2f} is no better than chance (up to {chance:.2f} with {n} runs)"
