"""Which hidden state embeds a domain, and the mean over its windows: the last step to a domain embedding.

Numpy only; used by the embedding stage, reads and writes nothing.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def middle(n_layer: int) -> int:
    """Return the middle entry of the n_layer + 1 hidden states, as the reference code counts.

    Entry i is the output of block i (0: the embeddings); for even n_layer this is block n_layer // 2.
    """
    return (n_layer + 1) // 2


def domain_mean(rows: ArrayLike) -> NDArray[np.float64]:
    """Return x̄ = (1/n) Σ_j h_j over the different windows of one domain.

    Exactly equal rows count once, as in the reference code: text that a corpus repeats word for
    word (licence headers, templates) would otherwise pull the embedding towards itself. The sum is exact up
    to its last rounding, so the result does not depend on the order of the windows.

    Args:
        rows: n x d, one embedding per window, in units of the hidden state.

    Returns:
        d values, in the same units.

    Raises:
        ValueError: not an n x d matrix of finite numbers with n, d >= 1.
    """
    array = np.asarray(rows, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"rows must be a matrix that is not empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"rows hold {np.count_nonzero(~np.isfinite(array))} NaN or infinite values")
    array = np.unique(array, axis=0)
    return np.array([math.fsum(column) for column in array.T]) / len(array)
