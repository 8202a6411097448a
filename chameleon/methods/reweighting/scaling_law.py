"""A law of every domain's training loss, L(n) = e^ε + e^a n^-α, fitted again and again while a run goes on.

What ADO (`ado`) decides by. n counts the blocks of all domains, so that laws of different domains can be
compared. Reads nothing; scipy is imported where it is used.
"""

import itertools
from dataclasses import dataclass

import numpy as np

#: Where searches start: all combinations of a, ε and α, as in the published code.
STARTS = np.array(
    list(itertools.product(np.arange(-2, 6), np.arange(-2, 2, 0.5), np.arange(8) * 0.1)), dtype=float
)
#: The searches that are followed to their end: those that start best. On noisy laws they ended where 48 did.
FOLLOWED = 8
#: Residuals (of log losses) beyond this count linearly.
HUBER = 1e-3
#: Where parameters should stay: most of a, least of ε, least and most of α.
MOST_A, LEAST_FLOOR, LEAST_ALPHA, MOST_ALPHA = 6.5, 0.5, 1e-3, 0.8
#: Order of the polynomials that losses are smoothed with.
ORDER = 3
#: Points below which nothing is fitted: there are three parameters.
FEWEST = 4


@dataclass(frozen=True)
class Fit:
    """How a law is fitted.

    Attributes:
        window: steps of the Savitzky-Golay filter, odd; shorter where fewer losses are known.
        ignore: first steps that are left out.
        sample: every how many steps of the rest a loss is taken.
        mean: whether residuals are averaged instead of summed.
        penalty: weight of the distance of a parameter from where it should stay.
    """

    window: int
    ignore: int
    sample: int
    mean: bool
    penalty: float


def smoothed(losses: np.ndarray, window: int) -> np.ndarray:
    """Return a domain's losses (T) through a Savitzky-Golay filter; as they are where T is too short."""
    from scipy.signal import savgol_filter

    length = min(window, len(losses) - 1 + len(losses) % 2)
    if length <= ORDER:
        return losses
    return np.asarray(savgol_filter(losses, length, ORDER))


def misfit(
    parameters: np.ndarray, log_n: np.ndarray, log_loss: np.ndarray, fit: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is minimised, and its slope, for many parameters at once.

    Args:
        parameters: g x 3: a, ε, α.
        log_n, log_loss: of the points, T each.

    Returns:
        g values and g x 3 slopes.
    """
    a, floor, alpha = (column[:, None] for column in parameters.T)
    rising = a - alpha * log_n
    predicted = np.logaddexp(rising, floor)
    residual = predicted - log_loss
    size = np.abs(residual)
    huber = np.where(size > HUBER, HUBER * (size - HUBER / 2), residual**2 / 2)
    pull = np.clip(residual, -HUBER, HUBER)
    reducible = pull * np.exp(rising - predicted)
    slope = np.stack([reducible.sum(1), (pull - reducible).sum(1), -(reducible * log_n).sum(1)], axis=1)
    scale = 1 / len(log_n) if fit.mean else 1.0
    a, floor, alpha = parameters.T
    outside = np.stack([
        np.maximum(a - MOST_A, 0),
        np.maximum(LEAST_FLOOR - floor, 0),
        np.maximum(alpha - MOST_ALPHA, 0) + np.maximum(LEAST_ALPHA - alpha, 0),
    ])  # fmt: skip
    push = np.stack(
        [a > MOST_A, -1.0 * (floor < LEAST_FLOOR), 1.0 * (alpha > MOST_ALPHA) - (alpha < LEAST_ALPHA)], axis=1
    )
    return scale * huber.sum(1) + fit.penalty * outside.sum(0), scale * slope + fit.penalty * push


def fitted(losses: np.ndarray, blocks: float, fit: Fit) -> np.ndarray | None:
    """Return a, ε and α of one domain's law; None where there are too few losses, or none fits.

    Args:
        losses: of every step from the first on (T), nats/token.
        blocks: of a batch.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits  # scikit-learn needs it

    kept = slice(fit.ignore, None, fit.sample)
    points = smoothed(losses, fit.window)[kept]
    if len(points) < FEWEST:
        return None
    # A filter's polynomial can leave what it follows; a loss is never below nothing.
    log_loss = np.log(np.maximum(points, 1e-6))
    log_n = np.log(blocks * np.arange(1, len(losses) + 1)[kept])

    def one(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = misfit(x[None], log_n, log_loss, fit)
        return float(value[0]), slope[0]

    first = misfit(STARTS, log_n, log_loss, fit)[0]
    best, least = None, np.inf
    # Threads for three numbers: with two, a search took thirty times as long.
    with threadpool_limits(1, user_api="blas"):
        for start in STARTS[np.argsort(first, kind="stable")[:FOLLOWED]]:
            end = minimize(one, start, jac=True, method="L-BFGS-B",
                           options={"maxiter": 200, "ftol": 1e-12, "gtol": 1e-9})  # fmt: skip
            if np.isfinite(end.x).all() and end.fun < least:
                best, least = np.asarray(end.x), float(end.fun)
    return best
