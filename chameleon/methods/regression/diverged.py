"""Find the runs of a swarm that diverged: one such loss spoils every regression.

Used by `python -m chameleon regress`, for whatever regression is fitted. Pure functions of arrays.

A high loss alone is no sign: a domain that a run never saw has one. A run is taken to have diverged where its
loss lies far above the others', apart from them, and the mixtures of the other runs do not foretell it. They
are asked by least squares on the square roots of the weights (in which a loss that falls steeply from weight
zero is nearly a line), each run by a fit without it. Where a run's mixture is unlike any other, they cannot
tell; then only a loss that no mixture gives is taken out.

On 3,780 clean swarms of known laws (3 to 100 domains, 16 to 512 runs; exponential, power, linear, log-linear)
this left out some run in 17, nearly all of them under a power law that is steep at weight zero. Of 80 runs
with losses from 3.0 to 4.1 it found all that ended at 5.5 or more, up to eight at a time, and at 8 or more up
to 24, and spared the others (20 draws each). No run of RegMix's published tables is left out, for any domain.
"""

from dataclasses import dataclass

import numpy as np

#: Robust standard deviations above the median from which a loss is far; RegMix's published tables reach 5.0.
FAR = 5.0
#: Robust standard deviations without any loss between the far ones and the others.
APART = 3.0
#: Share of the way from the median to a far loss that the other runs must foretell for it to be believed.
FORETOLD = 0.3
#: Leverage from which a run's mixture is unlike the others'.
UNLIKE = 0.9
#: Losses this many times the median, or this part of it, come of no mixture.
ABOVE, BELOW = 3.0, 0.01
#: The scale is at least this part of the median: smaller differences are no divergence.
FLOOR = 1e-3
#: Penalty of the least squares, in mean squares of the singular values.
RIDGE = 1e-3
#: Quantiles of the deviations that the scale is read from, each with that of a normal distribution: the next
#: one where so many losses are equal that the last is zero.
QUANTILES = ((0.5, 0.6745), (0.75, 1.1503), (0.9, 1.6449))


@dataclass(frozen=True)
class Found:
    """Rows that diverged, rows as far off that may have (both sorted), and the median of the rest."""

    rows: tuple[int, ...]
    doubtful: tuple[int, ...]
    median: float


def find(mixtures: np.ndarray, losses: np.ndarray) -> Found:
    """Return the rows of the runs that diverged.

    Args:
        mixtures: n x k.
        losses: n, finite.
    """
    rest = np.arange(len(losses))
    while True:
        gone, doubtful = _once(mixtures[rest], losses[rest])
        if not gone.any():
            break
        # What is found first hides what is less far off.
        rest = rest[~gone]
    rows = np.setdiff1d(np.arange(len(losses)), rest)
    return Found(tuple(rows.tolist()), tuple(rest[doubtful].tolist()), float(np.median(losses[rest])))


def _once(mixtures: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which runs diverged and which may have: two masks."""
    none = np.zeros(len(losses), dtype=bool)
    if len(losses) < 3:
        return none, none
    median, scale = float(np.median(losses)), _scale(losses)
    too_low = losses < BELOW * median if median > 0 else none
    far = _apart(losses, median, scale) if scale > 0 else none
    if not far.any():
        return too_low, none
    limit = median + FAR * scale
    foretold, leverage = _foretold(mixtures, np.minimum(losses, limit))
    unlike = leverage >= UNLIKE
    absurd = losses > ABOVE * median if median > 0 else losses > limit
    believed = foretold - median >= FORETOLD * (losses - median)
    gone = too_low | (far & np.where(unlike, absurd, ~believed))
    return gone, far & unlike & ~gone


def _scale(losses: np.ndarray) -> float:
    """Return a robust standard deviation."""
    median = np.median(losses)
    deviations = np.abs(losses - median)
    scales = (float(np.quantile(deviations, part)) / normal for part, normal in QUANTILES)
    return max(next((scale for scale in scales if scale > 0), 0.0), FLOOR * abs(float(median)))


def _apart(losses: np.ndarray, median: float, scale: float) -> np.ndarray:
    """Return which losses lie far above the others, beyond a gap."""
    ordered = np.sort(losses)
    gaps = (np.diff(ordered) > APART * scale) & (ordered[1:] > median + FAR * scale)
    return losses > ordered[np.flatnonzero(gaps)[0]] if gaps.any() else np.zeros(len(losses), dtype=bool)


def _foretold(mixtures: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each run's loss as the others foretell it, and its leverage."""
    x = np.sqrt(np.maximum(mixtures, 0))
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    squares = values**2
    shrunk = squares / (squares + RIDGE * squares.mean()) if squares.sum() > 0 else np.zeros_like(squares)
    hat = (left * shrunk) @ left.T + 1 / len(losses)
    leverage = np.minimum(np.diag(hat), 1.0)
    own = np.maximum(1 - leverage, 1e-9)
    return (hat @ losses - leverage * losses) / own, leverage
