"""From the windows of every domain to embeddings, and to weights of a thousand resampled sets at once.

The point estimate is `chameleon.mixture.settings.weigh`, as in the benchmark. The many sets of a bootstrap go
through one batched form of the same equations.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from chameleon import krls
from chameleon.embedding.layers import domain_mean
from chameleon.mixture.settings import Settings, temperature_of

Array = NDArray[np.float64]


def means(rows: Mapping[str, np.ndarray]) -> Array:
    """Return the embeddings of the domains, k x d, from their windows (n_i x d each)."""
    return np.stack([domain_mean(windows) for windows in rows.values()])


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
