"""Mixtures below caps: the simplex cut by a largest weight per domain. Pure functions of arrays."""

from collections.abc import Callable

import numpy as np


def epoch_caps(counts: np.ndarray, budget: float, epochs: float) -> np.ndarray:
    """Return the largest weights w_i ≤ 1 with budget · w_i / counts_i ≤ epochs (tokens; k)."""
    return np.minimum(1.0, epochs * counts / budget)


def project(point: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return the nearest w with 0 ≤ w ≤ caps and sum 1; `caps` sum to at least one.

    w = clip(point − τ, 0, caps): its sum falls linearly between the τ at which an entry meets a bound.
    """
    taus = np.unique(np.concatenate([point - caps, point]))
    sums = np.clip(point - taus[:, None], 0, caps).sum(axis=1)
    return np.clip(point - np.interp(-1.0, -sums, taus), 0, caps)


def lowest(slope: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return the mixture below the caps of the least slope · w: filled up in the order of the slopes."""
    order = np.argsort(slope, kind="stable")
    filled = np.diff(np.minimum(np.cumsum(caps[order]), 1.0), prepend=0.0)
    found = np.empty_like(filled)
    found[order] = filled
    return found


def descend(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    caps: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Return the mixture below the caps at which SLSQP ends; `gap` says what that is worth.

    Args:
        value_and_slope: a smooth function of k weights, and its gradient.
        start: where to begin.
        caps: k.
        tolerance: of the value, where the search ends.
    """
    from scipy.optimize import minimize

    found = minimize(
        value_and_slope, start, jac=True, method="SLSQP", bounds=[(0.0, float(cap)) for cap in caps],
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like}],
        options={"ftol": tolerance, "maxiter": 2000},
    )  # fmt: skip
    return project(found.x, caps)


def gap(point: np.ndarray, slope: np.ndarray, caps: np.ndarray) -> float:
    """Return how far a convex function of gradient `slope` at `point` may lie above its minimum there.

    Its tangent is nowhere above it (the Frank-Wolfe gap).
    """
    return max(0.0, float(slope @ (point - lowest(slope, caps))))
