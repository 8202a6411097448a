"""From the windows of every domain to weights, for one set of windows or for a thousand resampled ones.

The point estimate takes the functions of `chameleon.krls` and `domain_mean`, as the benchmark does. The many
sets of a bootstrap go through one batched form of the same equations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chameleon import krls
from chameleon.embedding.layers import domain_mean
from chameleon.mixture.settings import check_ridge, ridge_of, temperature_of

Array = NDArray[np.float64]


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

    def check(self) -> None:
        """Raise UserError for another mode, a ridge or temperature that is none."""
        temperature_of(self.temperature, self.mode, 2, "")
        check_ridge(self.ridge, "")


@dataclass(frozen=True)
class Weighed:
    """Scores and weights of k domains, their affinity (k x k), and λ and T that made them."""

    scores: Array
    weights: Array
    affinity: Array
    ridge: float
    temperature: float


def means(rows: Mapping[str, np.ndarray]) -> Array:
    """Return the embeddings of the domains, k x d, from their windows (n_i x d each)."""
    return np.stack([domain_mean(windows) for windows in rows.values()])


def weigh(embeddings: np.ndarray, settings: Settings) -> Weighed:
    """Return scores and weights of k x d embeddings, as the benchmark's Chameleon computes them."""
    temperature = temperature_of(settings.temperature, settings.mode, len(embeddings), "")
    ridge = ridge_of(settings.ridge, embeddings, settings.centre)
    omega = krls.affinity(embeddings, centre=settings.centre)
    scores = krls.leverage_scores(omega, ridge, settings.normalise)
    to_weights = krls.pretrain_weights if settings.mode == "pretrain" else krls.finetune_weights
    return Weighed(scores, to_weights(scores, temperature), omega, ridge, temperature)


def weigh_many(embeddings: Array, settings: Settings) -> Array:
    """Return the weights of B sets of embeddings (B x k x d) at once: B x k.

    The equations of `weigh`, batched: no diagnostics, and no set is refused.
    """
    batch, k, _ = embeddings.shape
    x = embeddings - embeddings.mean(axis=1, keepdims=True) if settings.centre else embeddings
    mu, v = np.linalg.eigh(x @ x.transpose(0, 2, 1))
    trace = np.einsum("bkd,bkd->b", x, x)
    share = settings.ridge["of_trace"] if isinstance(settings.ridge, Mapping) else None
    k_lambda = np.full(batch, k * float(settings.ridge)) if share is None else share * trace
    k_lambda = np.where(k_lambda > 0, k_lambda, 1.0)[:, None]
    mu = np.where(mu <= k * np.finfo(float).eps * mu[:, -1:], 0.0, mu)
    scores = np.einsum("bij,bj->bi", v**2, mu / (mu + k_lambda))
    if settings.normalise:
        total = scores.sum(axis=1, keepdims=True)
        scores = np.where(total > 0, scores / np.where(total > 0, total, 1.0), 1.0 / k)
    temperature = temperature_of(settings.temperature, settings.mode, k, "")
    logits = (1 / (scores + krls.EPSILON) if settings.mode == "pretrain" else scores) / temperature
    weights: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
