"""Kernel ridge leverage scores (KRLS) and the Chameleon weights made from them.

Stands between the domain embeddings and the weights; numpy only, reads and writes nothing.
Notation: k domains, d features, X the k x d embeddings with one domain per row, λ the ridge.

Where the paper and its code differ (centring, scores divided by their sum), the defaults here are the
code's and the paper's formulas are `centre=False` and `normalise=False`. Every public function refuses
broken input (NaN, infinity, wrong shape, empty) with a ValueError and never returns a NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["affinity", "finetune_weights", "leverage_scores", "pretrain_weights", "scores_of"]

Array = NDArray[np.float64]

#: Added to a score before it is inverted, as in the reference code; it also keeps 1/0 finite.
EPSILON = 1e-12
#: Relative size up to which asymmetry and negative eigenvalues count as rounding (float32 input included).
ROUNDING = 1e-6
#: Domains worked on at once where there are many.
_ROWS = 8192


def affinity(embeddings: ArrayLike, centre: bool = True) -> Array:
    """Return the affinity of the domains: the linear kernel between their embeddings.

    Ω = X_c X_cᵀ with X_c = X − 1 x̄ᵀ, which equals H X Xᵀ H with H = I − 11ᵀ/k (the code's kernel
    centring); `centre=False` gives the paper's Ω = X Xᵀ. X is centred rather than the kernel: hidden
    states share a mean much longer than their differences, and subtracting it last would cancel digits.

    Args:
        embeddings: k x d, one row per domain, in units of the hidden state.
        centre: subtract the mean embedding of the domains first.

    Returns:
        k x k, exactly symmetric, in squared units of the hidden state. A domain whose distance to the
        mean embedding is rounding only gets a row of zeros; identical domains give the zero matrix.

    Raises:
        ValueError: not a k x d matrix of finite numbers with k, d >= 1, or so large that Ω overflows.
    """
    x = _centred(embeddings, centre)
    return _products(x, x.T)


def _centred(embeddings: ArrayLike, centre: bool) -> Array:
    x = _finite(embeddings, "embeddings", 2)
    if centre:
        rounding = len(x) * np.finfo(float).eps * np.abs(x).max()
        with np.errstate(over="ignore", invalid="ignore"):
            x -= x.mean(axis=0)
        x[np.abs(x).max(axis=1) <= rounding] = 0.0
    return x


def _products(left: Array, right: Array) -> Array:
    """Return left · right, a Gram matrix, exactly symmetric."""
    with np.errstate(over="ignore", invalid="ignore"):
        gram = left @ right
    _not_too_large(gram, np.abs(left).max())
    return gram / 2 + gram.T / 2


def _not_too_large(products: Array, largest: float) -> None:
    if not np.isfinite(products).all():
        raise ValueError(f"embeddings are too large, their products overflow: largest {largest:.3g}")


def scores_of(
    embeddings: ArrayLike, ridge: float = 10.0, centre: bool = True, normalise: bool = True
) -> Array:
    """Return the leverage scores of `leverage_scores(affinity(embeddings))` without the k x k matrix.

    With G = X_cᵀ X_c = Σ_j μ_j w_j w_jᵀ (d x d, the same non-zero eigenvalues as Ω),

        s_i = Σ_j (x_i · w_j)² / (μ_j + kλ),

    which takes O(kd² + d³) time and O(kd) memory: for more domains than features. With fewer, and to see the
    affinity, use `affinity` and `leverage_scores`.

    Args:
        embeddings, centre: as of `affinity`.
        ridge, normalise: as of `leverage_scores`.

    Returns:
        k scores; equal to the other way's within rounding of the largest score.

    Raises:
        ValueError: as `affinity` and `leverage_scores`.
    """
    x, ridge = _centred(embeddings, centre), _positive(ridge, "ridge")
    k, d = x.shape
    if d >= k:
        return leverage_scores(_products(x, x.T), ridge, normalise)
    size = np.abs(x).max()
    if size == 0:
        return np.full(k, 1 / k) if normalise else np.zeros(k)
    # In units of the largest entry nothing below overflows; refused is what the k x k matrix would refuse.
    x /= size
    with np.errstate(over="ignore"):
        _not_too_large(np.square(x).sum(axis=1) * size * size, size)
    mu, w = np.linalg.eigh(_products(x.T, x))
    eps = max(k, d) * np.finfo(float).eps
    real = mu > eps * mu[-1]
    with np.errstate(over="ignore", under="ignore"):
        kl = max(k * (ridge / size / size), np.finfo(float).tiny)
        scale = max(kl, 1.0)
        scores = np.zeros(k)
        for start in range(0, k, _ROWS):
            projected = x[start : start + _ROWS] @ w[:, real]
            scores[start : start + _ROWS] = projected**2 @ (1 / (mu[real] / scale + min(kl, 1.0)))
    scores = np.where(scores <= eps * scores.max(), 0.0, scores)
    return scores / scores.sum() if normalise else scores / scale


def leverage_scores(affinity: ArrayLike, ridge: float = 10.0, normalise: bool = True) -> Array:
    """Return the kernel ridge leverage score of every domain.

    s_i = [Ω (Ω + kλI)⁻¹]_ii = Σ_j v_ij² μ_j / (μ_j + kλ), with Ω = Σ_j μ_j v_j v_jᵀ. The sum over
    eigenvectors has no negative term, so small scores keep their digits. High score: a domain that the
    others do not explain; low score: a common one.

    Args:
        affinity: k x k, symmetric, positive semi-definite; squared units of the hidden state.
        ridge: λ > 0, in the units of Ω: it means something only beside Ω's eigenvalues.
        normalise: divide the scores by their sum, as the reference code does since July 2025.

    Returns:
        k scores, dimensionless, each in [0, 1); they sum to 1 if `normalise`, else to the effective
        dimension of Ω. Scores below rounding (k · 2⁻⁵² times the largest) are exactly 0. The zero matrix
        (identical domains, or k = 1 after centring) gives 1/k each if `normalise`, else zeros.

    Raises:
        ValueError: not square, not symmetric, a clearly negative eigenvalue, not finite, or λ not
            positive and finite.
    """
    omega = _finite(affinity, "affinity", 2)
    k = len(omega)
    if omega.shape != (k, k):
        raise ValueError(f"affinity must be k x k, got shape {omega.shape}")
    ridge = _positive(ridge, "ridge")
    size = np.abs(omega).max()
    if size == 0:
        return np.full(k, 1 / k) if normalise else np.zeros(k)
    # In units of Ω's largest entry nothing below overflows, however large or small the embeddings are.
    omega = omega / size
    if (skew := np.abs(omega - omega.T).max()) > ROUNDING:
        raise ValueError(f"affinity is not symmetric: entries differ by {skew * size:.3g}")
    mu, v = np.linalg.eigh((omega + omega.T) / 2)
    if mu[0] < -ROUNDING * mu[-1]:
        raise ValueError(f"affinity is not positive semi-definite: smallest eigenvalue {mu[0] * size:.3g}")
    # Centring makes one eigenvalue zero; what rounding leaves of it, of either sign, would be compared
    # with kλ and count as a direction when λ is small beside Ω.
    eps = k * np.finfo(float).eps
    mu = np.where(mu <= eps * mu[-1], 0.0, mu)
    with np.errstate(over="ignore", under="ignore"):
        kl = max(k * (ridge / size), np.finfo(float).tiny)
        # μ/(μ + kλ), where kλ dominates without the factor 1/kλ: it would underflow, and cancels below.
        scale = max(kl, 1.0)
        scores = v**2 @ (mu / (mu / scale + min(kl, 1.0)))
    scores = np.where(scores <= eps * scores.max(), 0.0, scores)
    return scores / scores.sum() if normalise else scores / scale


def pretrain_weights(scores: ArrayLike, temperature: float = 5.0) -> Array:
    """Return the pretraining weights: common domains get more.

    α = softmax(1 / (s + 1e-12) / T), elementwise, computed so that it cannot overflow.

    Args:
        scores: k leverage scores, dimensionless, >= 0 (negative by rounding only is taken as 0).
        temperature: T > 0, in the units of 1/s. Scores that sum to 1 have 1/s near k, so one T
            sharpens the weights as k grows.

    Returns:
        k weights on the simplex. A score of 0 (a domain exactly at the centroid) has a logit beyond
        all others: such domains share the whole weight equally, the limit of the formula for s -> 0.
        All scores 0: uniform.

    Raises:
        ValueError: scores not a non-empty vector of finite non-negative numbers, or T not positive.
    """
    return _softmax(1.0 / (_scores(scores) + EPSILON), _positive(temperature, "temperature"))


def finetune_weights(scores: ArrayLike, temperature: float = 0.2) -> Array:
    """Return the finetuning weights: distinctive domains get more.

    α = softmax(s / T).

    Args:
        scores: k leverage scores, dimensionless, >= 0 (negative by rounding only is taken as 0).
        temperature: T > 0, in the units of s.

    Returns:
        k weights on the simplex; equal scores give the uniform mixture.

    Raises:
        ValueError: scores not a non-empty vector of finite non-negative numbers, or T not positive.
    """
    return _softmax(_scores(scores), _positive(temperature, "temperature"))


def _softmax(values: Array, temperature: float) -> Array:
    """Return softmax(values / temperature); the shift comes before the division, so that none overflows."""
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((values - values.max()) / temperature)
    return weights / weights.sum()


def _finite(values: ArrayLike, what: str, ndim: int) -> Array:
    """Return `values` as a new float64 array of `ndim` dimensions, none empty, all entries finite."""
    shape = "a vector" if ndim == 1 else "a matrix"
    try:
        raw = np.asarray(values)
        if raw.dtype.kind not in "biuf":
            raise TypeError(f"dtype {raw.dtype}")
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be {shape} of real numbers: {error}") from error
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{what} must be {shape} that is not empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} hold {np.count_nonzero(~np.isfinite(array))} NaN or infinite values")
    return array


def _scores(values: ArrayLike) -> Array:
    """Return a vector of scores >= 0; negative ones of rounding size become 0."""
    scores = _finite(values, "scores", 1)
    if scores.min() < -ROUNDING * max(scores.max(), 0.0):
        raise ValueError(f"scores must not be negative, got {scores.min():.6g}")
    return np.maximum(scores, 0.0)


def _positive(value: float, what: str) -> float:
    """Return `value` as a float, positive and finite."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be a number, got {value!r}") from error
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{what} must be positive and finite, got {value!r}")
    return number
