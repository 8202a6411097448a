"""The mixture of lowest loss under a law, exactly: a convex problem over the simplex, with caps.

    minimise  mean_i exp(t_i · p) + λ KL(p ‖ q)   over p ≥ 0, Σp = 1, p ≤ cap

An exponential of a linear function is convex, so is their mean, and the divergence makes it strictly so. The
answer is accepted only with a small duality gap: how much a linear lower bound leaves to be gained over the
same set (the Frank-Wolfe gap). Pure functions.
"""

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.capped import descend, gap, project

#: What a solution may leave to be gained (nats/token), in multiples of the objective where that is above one.
GAP = 1e-6
#: Below this a weight counts as this in a logarithm.
FLOOR = 1e-12


def minimise(
    exponents: np.ndarray, natural: np.ndarray, strength: float = 0.0, caps: np.ndarray | None = None
) -> np.ndarray:
    """Return the k weights.

    Args:
        exponents: m x k, t_i of every target.
        natural: q, k weights of sum 1 (Olmix: shares of the tokens at hand).
        strength: λ.
        caps: most of each weight; None: 1.

    Raises:
        UserError: the caps leave less than a whole mixture.
        ArithmeticError: no solution within GAP was found.
    """
    k = exponents.shape[1]
    upper = np.ones(k) if caps is None else np.minimum(caps, 1.0)
    if upper.sum() < 1:
        raise UserError(f"the caps on the weights sum to {upper.sum():.3g}: less than a whole mixture")
    q = np.maximum(natural, FLOOR)

    def value(p: np.ndarray) -> float:
        safe = np.maximum(p, FLOOR)
        return float(np.exp(exponents @ p).mean() + strength * (p * np.log(safe / q)).sum())

    def slope(p: np.ndarray) -> np.ndarray:
        towards: np.ndarray = (np.exp(exponents @ p)[:, None] * exponents).mean(axis=0)
        return towards + strength * (np.log(np.maximum(p, FLOOR) / q) + 1)

    starts = (project(start, upper) for start in (q / q.sum(), np.full(k, 1 / k)))
    ends = [descend(lambda p: (value(p), slope(p)), start, upper, 1e-14) for start in starts]
    best = min(ends, key=value)
    if (left := gap(best, slope(best), upper)) > GAP * max(1.0, value(best)):
        raise ArithmeticError(f"the search for the best mixture ended {left:.2g} nats/token above a bound")
    return best
