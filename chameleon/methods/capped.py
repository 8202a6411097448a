"""Mixtures below caps: the simplex cut by a largest weight per domain. Pure functions of arrays."""

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


def gap(point: np.ndarray, slope: np.ndarray, caps: np.ndarray) -> float:
    """Return how far a convex function of gradient `slope` at `point` may lie above its minimum there.

    Its tangent is nowhere above it (the Frank-Wolfe gap).
    """
    return max(0.0, float(slope @ (point - lowest(slope, caps))))
