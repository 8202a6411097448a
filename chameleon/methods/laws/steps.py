"""The law of training steps under the law of mixtures: what runs of several lengths say of a longer one.

    L_ij(S) = E_ij + B_ij · (S / S_max)^-α,   E, B ≥ 0

for mixture i and the loss of domain j, S optimizer steps. The exponent α is one for all of them: three
lengths a mixture hold no more. Pure functions of arrays.
"""

import numpy as np

#: Where the exponent is looked for.
LEAST, MOST = 0.02, 3.0


def extrapolate(steps: np.ndarray, losses: np.ndarray, target: float) -> tuple[np.ndarray, float, float]:
    """Return the losses at `target` steps (n x m), α, and the fit's root mean square error (nats/token).

    Least squares: for a given α, E and B of every mixture and domain follow at once; α minimises their sum,
    found among the values of a grid and then between its neighbours.

    Args:
        steps: l lengths, different, at least 3.
        losses: l x n x m (nats/token), of runs of these lengths, each with its own whole schedule.
        target: steps of the run that is foretold.
    """
    from scipy.optimize import minimize_scalar

    longest = float(steps.max())
    ratio = steps / longest

    def squares(alpha: float) -> float:
        floor, height = _fitted(ratio, losses, alpha)
        off = floor + height * (ratio**-alpha)[:, None, None] - losses
        return float((off**2).sum())

    grid = np.geomspace(LEAST, MOST, 41)
    at = int(np.argmin([squares(alpha) for alpha in grid]))
    between = (grid[max(0, at - 1)], grid[min(len(grid) - 1, at + 1)])
    found = minimize_scalar(squares, bounds=between, method="bounded", options={"xatol": 1e-6})
    alpha = float(found.x) if found.fun < squares(grid[at]) else float(grid[at])
    floor, height = _fitted(ratio, losses, alpha)
    return floor + height * (target / longest) ** -alpha, alpha, float(np.sqrt(squares(alpha) / losses.size))


def _fitted(ratio: np.ndarray, losses: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return E and B (each n x m) of least squares, neither below 0."""
    x = (ratio**-alpha)[:, None, None]
    middle, mean = x.mean(), losses.mean(axis=0)
    height = ((x - middle) * losses).sum(axis=0) / ((x - middle) ** 2).sum()
    floor = mean - height * middle
    # A bound that is passed holds, and the other coefficient is fitted alone.
    height = np.where(floor < 0, (x * losses).sum(axis=0) / (x**2).sum(), height)
    floor = np.where(height < 0, mean, np.maximum(floor, 0.0))
    return floor, np.maximum(height, 0.0)
