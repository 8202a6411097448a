"""The search of mixture regression: simulate mixtures, predict their losses, average the best.

Last step, after the regression is fitted. Pure functions; read and write nothing.
"""

import numpy as np

from chameleon.methods.regression.models import Regression

#: RegMix's notebook: the mean of the best 128 of 100,000 (its paper: 100 of 1,000,000).
TOP = 128
CANDIDATES = 100_000


def propose(model: Regression, candidates: np.ndarray, top: int) -> tuple[np.ndarray, float]:
    """Return the mean of the `top` candidates of lowest predicted loss (k weights of sum 1), and its own.

    Candidates of equal prediction are taken in the order in which they were drawn. Bounds that every
    candidate keeps are kept by the mean.

    Args:
        model: a fitted regression.
        candidates: n x k mixtures.
        top: candidates to average; all of them if there are fewer.
    """
    losses = model.predict(candidates)
    best = candidates[np.argsort(losses, kind="stable")[:top]].mean(axis=0)
    mixture = best / best.sum()
    return mixture, float(model.predict(mixture[None])[0])
