"""Mixtures between bounds so narrow that draws from a Dirichlet distribution hardly ever fall between them.

Used by `chameleon.methods.regression.mixtures` where too few draws are left, as for a swarm whose runs are
all close to one mixture. Pure functions of bounds and a generator; read and write nothing.

A draw from Dirichlet(q · s) is Σ_j w_j e_(i_j): weights w broken off a stick (Beta(1, s)) of corners e_i of
the simplex that are picked in proportion to q (Sethuraman 1994). Between bounds the corners of what is left
of the simplex take the place of e_i: every domain at its lower bound, then domains raised to their upper
bounds in an order that q draws, until the weights sum to one. So every draw lies between the bounds, whatever
they are, and without bounds this is the Dirichlet distribution again.
"""

import numpy as np

from chameleon.core.errors import UserError

#: Corners drawn in advance, of which every mixture is made.
CORNERS = 8192
#: Corners in a mixture: what is left of the stick after so many breaks is below 1e-7 of it, at strength 1.
BREAKS = 24
#: Mixtures made at once.
CHUNK = 20_000
#: Bounds that miss a sum of one by less than this miss it by rounding.
ROUNDING = 1e-9


def mixtures_within(
    prior: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    number: int,
    generator: np.random.Generator,
    levels: np.ndarray,
) -> np.ndarray:
    """Return `number` mixtures p with low ≤ p ≤ high: number x k.

    Args:
        prior: k shares of sum 1; a domain of share 0 is raised last.
        low, high: k bounds on the weights.
        number: mixtures asked for.
        generator: source of the draws.
        levels: strengths, of which each mixture has one at random.

    Raises:
        UserError: no mixture lies between the bounds.
    """
    if (low > high).any() or high.sum() < 1 - ROUNDING or low.sum() > 1 + ROUNDING:
        raise UserError(
            f"no mixture lies within the bounds: the lowest weights sum to {low.sum():.4g}, "
            f"the highest to {high.sum():.4g}"
        )
    corners = _corners(prior, low, high, min(CORNERS, 8 * number), generator)
    found = np.empty((number, len(prior)))
    for start in range(0, number, CHUNK):
        size = min(CHUNK, number - start)
        strength = levels[generator.integers(len(levels), size=size)]
        breaks = 1 - generator.random((size, BREAKS)) ** (1 / strength)[:, None]  # Beta(1, s)
        breaks[:, -1] = 1
        left = np.cumprod(np.concatenate([np.ones((size, 1)), 1 - breaks[:, :-1]], axis=1), axis=1)
        p = np.zeros((size, len(prior)))
        for weight in (breaks * left).T:
            p += weight[:, None] * corners[generator.integers(len(corners), size=size)]
        found[start : start + size] = p
    # Sums of rounded numbers may pass a bound by the last digit.
    return np.clip(found / found.sum(axis=1, keepdims=True), low, high)


def _corners(
    prior: np.ndarray, low: np.ndarray, high: np.ndarray, number: int, generator: np.random.Generator
) -> np.ndarray:
    """Return corners of {p: low ≤ p ≤ high, Σ p = 1}: number x k."""
    # Exponential clocks of rate q ring in an order that is drawn in proportion to q.
    clocks = generator.exponential(size=(number, len(prior)))
    order = np.argsort(clocks / np.maximum(prior, 1e-300), axis=1, kind="stable")
    room = (high - low)[order]
    before = np.cumsum(room, axis=1) - room
    raised = np.clip(1 - low.sum() - before, 0, room)
    corners = np.empty_like(raised)
    np.put_along_axis(corners, order, low[order] + raised, axis=1)
    return corners
