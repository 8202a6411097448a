"""The search of mixture regression: simulate mixtures, predict their losses, average the best.

Last step, after the regression is fitted. Pure functions; read and write nothing.
"""

from dataclasses import dataclass

import numpy as np

from chameleon.methods.regression.models import Regression

#: RegMix's notebook: the mean of the best 128 of 100,000 (its paper: 100 of 1,000,000).
TOP = 128
CANDIDATES = 100_000


@dataclass(frozen=True)
class Proposal:
    """What the search answers.

    Attributes:
        mixture: k weights of sum 1.
        predicted: the regression's loss at `mixture`.
    """

    mixture: np.ndarray
    predicted: float


def propose(model: Regression, candidates: np.ndarray, top: int = TOP) -> Proposal:
    """Return the mean of the `top` candidates of lowest predicted loss.

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
    return Proposal(mixture, float(model.predict(mixture[None])[0]))
