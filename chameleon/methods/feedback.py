"""Bayesian optimisation of a mixture: a Gaussian process on the losses so far says which mixture comes next.

`baselines/duet.py` says what is measured. Pure functions of arrays and a generator whose columns are the
domains sorted by name; scikit-learn is imported when first used.
"""

import warnings
from collections.abc import Callable

import numpy as np

from chameleon.methods.rounds import SAME

#: Kernel: the range of its length (distances on the simplex reach √2) and of its height (the losses have
#: variance 1), and what stands beside the variance: merged models' losses have no noise, but rounding.
LENGTHS, HEIGHTS, ROUNDING = (0.05, 10.0), (0.05, 50.0), 1e-6
#: Starts of the search for the kernel, beside the first.
RESTARTS = 2


def search(
    measure: Callable[[np.ndarray], float],
    k: int,
    initial: int,
    iterations: int,
    beta: float,
    least: float,
    candidates: int,
    draw: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mixtures (n x k) in the order in which they were measured, and their n losses.

    First uniform, then `initial` draws from the whole simplex, then the proposals. Where no candidate is left
    that was not measured yet, the search ends early.

    Args:
        measure: returns the loss of k weights.
        k: domains, at least 2.
        initial: random mixtures, at least 1.
        iterations: proposals.
        beta: of the lower confidence bound μ − √β σ, whose lowest candidate is next.
        least: smaller weights become zero; at most 1/k is zeroed, so that something is left.
        candidates: mixtures that a proposal is chosen from.
        draw: source of all draws.
    """
    x = np.concatenate([np.full((1, k), 1 / k), _kept(draw.dirichlet(np.ones(k), initial), least)])
    y = np.array([measure(p) for p in x])
    for _ in range(iterations):
        pool = _pool(x[y.argmin()], candidates, least, draw)
        for seen in x:
            pool = pool[np.abs(pool - seen).max(axis=1) > SAME]
        if not len(pool):
            break
        mean, deviation = posterior(x, y, pool, int(draw.integers(2**31)))
        chosen = pool[(mean - beta**0.5 * deviation).argmin()]
        x, y = np.concatenate([x, chosen[None]]), np.append(y, measure(chosen))
    return x, y


def posterior(x: np.ndarray, y: np.ndarray, at: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of the loss at m mixtures, in deviations of the n losses from their mean.

    A Matérn 5/2 kernel of one length for all domains; length and height of the highest marginal likelihood.

    Args:
        x: n x k, measured.
        y: n losses.
        at: m x k.
        seed: of the further starts.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern
    from threadpoolctl import threadpool_limits

    kernel = ConstantKernel(1.0, HEIGHTS) * Matern(0.5, LENGTHS, nu=2.5)
    model = GaussianProcessRegressor(kernel, alpha=ROUNDING, n_restarts_optimizer=RESTARTS, random_state=seed)
    # Matrices of some dozens of rows: threads only wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Said of lengths and heights at the ends of their ranges.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, (y - y.mean()) / (y.std() or 1.0))
        mean, deviation = model.predict(at, return_std=True)
    return np.asarray(mean), np.asarray(deviation)


def _pool(best: np.ndarray, number: int, least: float, draw: np.random.Generator) -> np.ndarray:
    """Return candidates: half from the whole simplex, half on the way from the best so far to such draws."""
    found = draw.dirichlet(np.ones(len(best)), number)
    near = number // 2
    way = draw.random((near, 1))
    found[:near] = (1 - way) * best + way * found[:near]
    return _kept(found, least)


def _kept(mixtures: np.ndarray, least: float) -> np.ndarray:
    """Return the mixtures with small weights set to zero, of sum 1 again."""
    low = min(least, 1 / mixtures.shape[1])
    # The largest stays: rounding may put it below 1/k.
    small = (mixtures < low) & (mixtures < mixtures.max(axis=1, keepdims=True))
    found = np.where(small, 0.0, mixtures)
    kept: np.ndarray = found / found.sum(axis=1, keepdims=True)
    return kept
