"""A swarm as arrays: what every method reads that learns from mixtures and their losses."""

from collections.abc import Mapping, Sequence

import numpy as np

from chameleon.mixing.parameters import MEAN
from chameleon.mixing.types import RunResult


def rows(
    runs: Mapping[str, RunResult], names: Sequence[str], target: str = MEAN
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mixtures (n x k, columns as `names`) and validation losses (n x m) of the runs, by run id.

    Args:
        runs: by run id.
        names: k domains.
        target: a domain (m = 1), or MEAN: every domain's loss, in the order of `names` (m = k).
    """
    found = [runs[key] for key in sorted(runs)]
    x = np.array([[run.weights.get(d, 0.0) for d in names] for run in found])
    y = np.array([[run.losses[d] for d in (names if target == MEAN else [target])] for run in found])
    return x, y
