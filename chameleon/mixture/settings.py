"""Chameleon's settings as users write them, and the weights that they make of given embeddings.

Shared by the benchmark's method and by `chameleon weigh`. Numbers as in the paper's code, or two forms that
keep their meaning elsewhere: λ as a share of the affinity's trace (whatever the size of a model's hidden
states), T in proportion to the number of domains (scores sum to one, so 1/s grows with k).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chameleon import krls
from chameleon.core.errors import UserError
from chameleon.mixing.parameters import check_flag, check_number, check_whole, check_word

Array = NDArray[np.float64]

#: Softmax temperature of each mode, those of the reference code.
TEMPERATURES = {"pretrain": 5.0, "finetune": 0.2}


def temperature_of(given: Any, mode: Any, k: int, where: str) -> float:
    """Return the softmax temperature for k domains.

    Args:
        given: a number, `{at: 5.0, of: 7}`, or None for the mode's own.
        mode: `pretrain` or `finetune`.
        k: number of domains.
        where: what the keys `mode` and `temperature` stand in, for messages.

    Raises:
        UserError: another mode, or neither of these.
    """
    check_word(f"{where}mode", mode, TEMPERATURES)
    given, key = TEMPERATURES[mode] if given is None else given, f"{where}temperature"
    if not isinstance(given, Mapping):
        check_number(key, given, above=0)
        return float(given)
    if set(given) != {"at", "of"}:
        raise UserError(f"{key}: {dict(given)!r} is neither a number nor {{at: a number, of: domains}}")
    check_number(f"{key}.at", given["at"], above=0)
    check_whole(f"{key}.of", given["of"], 1)
    return float(given["at"]) * k / int(given["of"])


def check_ridge(given: Any, where: str) -> None:
    """Refuse (UserError) what is neither a positive number nor `{of_trace: share}`."""
    key = f"{where}ridge"
    if not isinstance(given, Mapping):
        check_number(key, given, above=0)
    elif set(given) != {"of_trace"}:
        raise UserError(f"{key}: {dict(given)!r} is neither a number nor {{of_trace: a number}}")
    else:
        check_number(f"{key}.of_trace", given["of_trace"], above=0)


def ridge_of(given: Any, embeddings: np.ndarray, centre: bool) -> float:
    """Return λ for k x d embeddings.

    A share of the trace is of the affinity's, ‖X‖² (taken as 1 for domains that do not differ at all): kλ is
    that share.
    """
    if not isinstance(given, Mapping):
        return float(given)
    x = np.asarray(embeddings, dtype=np.float64)
    trace = float(((x - x.mean(axis=0)) ** 2).sum() if centre else (x**2).sum())
    return float(given["of_trace"]) * (trace if trace > 0 else 1.0) / len(x)


@dataclass(frozen=True)
class Settings:
    """How scores and weights are made.

    Attributes:
        mode: `pretrain` (common domains gain) or `finetune` (distinctive ones do).
        ridge: λ, a number or {of_trace: share}.
        temperature: T, a number, {at: 5.0, of: 7}, or None for the mode's own.
        centre, normalise: as of `chameleon.krls`; the paper's formulas have neither.
    """

    mode: str = "pretrain"
    ridge: Any = 10.0
    temperature: Any = None
    centre: bool = True
    normalise: bool = True

    def check(self, where: str = "", k: int = 2) -> None:
        """Raise UserError for another mode, a ridge, a temperature or a switch that is none.

        Args:
            where: what the keys stand in, for messages.
            k: number of domains.
        """
        temperature_of(self.temperature, self.mode, k, where)
        check_flag(f"{where}centre", self.centre)
        check_flag(f"{where}normalise", self.normalise)
        check_ridge(self.ridge, where)


@dataclass(frozen=True)
class Weighed:
    """Scores and weights of k domains, their affinity (k x k; empty: not formed), and λ and T behind them."""

    scores: Array
    weights: Array
    affinity: Array
    ridge: float
    temperature: float


def weigh(embeddings: np.ndarray, settings: Settings, affinity: bool = True) -> Weighed:
    """Return scores and weights of k x d embeddings, as the reference code computes them.

    Without the affinity, scores come without a k x k matrix, for many domains.
    """
    temperature = temperature_of(settings.temperature, settings.mode, len(embeddings), "")
    ridge = ridge_of(settings.ridge, embeddings, settings.centre)
    if affinity:
        omega = krls.affinity(embeddings, centre=settings.centre)
        scores = krls.leverage_scores(omega, ridge, settings.normalise)
    else:
        omega = np.zeros((0, 0))
        scores = krls.scores_of(embeddings, ridge, settings.centre, settings.normalise)
    to_weights = krls.pretrain_weights if settings.mode == "pretrain" else krls.finetune_weights
    return Weighed(scores, to_weights(scores, temperature), omega, ridge, temperature)
