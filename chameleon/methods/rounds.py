"""Search of a mixture in rounds: the candidates, and the draw of a round from its best. CLIMB's and DeMix's.

Pure functions of arrays whose columns are the domains sorted by name; read and write nothing.
"""

from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.regression.mixtures import candidate_mixtures, upper_bounds
from chameleon.methods.regression.models import Regression

#: A later round's mixtures are drawn from the square of their number, but at least so many candidates.
LEAST_POOL = 128
#: Mixtures that differ by less in every weight are the same.
SAME = 1e-9
#: Least runs of the first round, for a regression to be fitted to, and most of all rounds: the jobs of the
#: last one name all runs before them on their command line.
LEAST, MOST = 3, 1000


def check_rounds(where: str, rounds: Any) -> None:
    """Refuse what is no list of numbers of runs."""
    whole = isinstance(rounds, list | tuple) and all(type(n) is int and n >= 1 for n in rounds)
    if not whole or not rounds or rounds[0] < LEAST or sum(rounds) > MOST:
        raise UserError(
            f"{where}: {rounds!r} is not a list of numbers of runs, at least {LEAST} in the first round, 1 "
            f"in each later one, and {MOST} in all"
        )


def next_round(
    model: Regression,
    candidates: np.ndarray,
    trained: np.ndarray,
    number: int,
    pool: int | None,
    draw: np.random.Generator,
) -> np.ndarray:
    """Return `number` mixtures, drawn without replacement from the candidates of lowest predicted loss.

    Candidates of equal prediction come in the order in which they were drawn: a model that tells none apart
    leaves a random draw.

    Args:
        model: fitted to the runs so far.
        candidates: n x k, more than there are runs in all.
        trained: mixtures of the runs so far, which are not drawn again.
        number: mixtures asked for.
        pool: candidates to draw from; None: the square of `number`, but at least LEAST_POOL.
        draw: source of the draw.
    """
    unseen = np.ones(len(candidates), dtype=bool)
    for mixture in trained:
        unseen &= np.abs(candidates - mixture).max(axis=1) > SAME
    ranked = np.argsort(model.predict(candidates), kind="stable")
    best = ranked[unseen[ranked]][: max(number**2, LEAST_POOL) if pool is None else pool]
    return candidates[draw.choice(best, size=number, replace=False)]


def around(k: int, number: int, draw: np.random.Generator) -> np.ndarray:
    """Return the candidates: mixtures of k domains around the uniform one, within RegMix's bounds."""
    prior = np.full(k, 1 / k)
    return candidate_mixtures(prior, upper_bounds(prior), number, draw)
