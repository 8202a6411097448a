"""Random mixtures for a swarm of small runs: RegMix's Dirichlet sampling, and candidates under its bounds.

First step of mixture regression. Pure functions of a prior, bounds and a generator; read and write nothing.
All arrays are ordered as the prior is: a caller that wants the same draw whatever the order of its domains
sorts them by name first.
"""

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods.regression.within import mixtures_within

#: RegMix's constants (arXiv 2407.01492 and its `synthesize_mixture.py`).
TEMPERATURE = 0.5
STRENGTHS = (0.1, 5.0)
NUM_STRENGTHS = 15
MAXIMUM_USAGE = 15.0
MINIMUM = 2e-4
SAMPLE_MULTIPLIER = 100
#: Draws per mixture asked for, after which a swarm's mixtures are made within the bounds. The reference stops
#: at 100 and then fails if too few are left.
MAXIMUM_MULTIPLIER = 2000
#: Draws per mixture (at most a chunk) after which it is clear whether that many can do at all.
TRIAL_MULTIPLIER = 500
#: Mixtures made within the bounds per mixture asked for: some of them are equal once they are rounded.
MADE_MULTIPLIER = 20
#: Mixtures drawn at once.
CHUNK = 50_000
#: Share of a chunk's draws within the bounds below which one in twenty will not be reached.
HOPELESS = 0.01


def upper_bounds(prior: np.ndarray, maximum_usage: float = MAXIMUM_USAGE) -> np.ndarray:
    """Return u_i = min(maximum_usage · q_i, 1): no domain is repeated more often than that.

    Of the prior as it is: RegMix tempers only what the Dirichlet is centred on.
    """
    return np.minimum(maximum_usage * _normalised(prior), 1.0)


def tempered(prior: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """Return q_i^temperature / Σ_j q_j^temperature; 1 leaves the prior, 0 makes it uniform."""
    return _normalised(_normalised(prior) ** temperature)


def strengths(low: float, high: float) -> np.ndarray:
    """Return concentrations of the Dirichlet, evenly spaced on a logarithmic scale."""
    return np.logspace(np.log10(low), np.log10(high), NUM_STRENGTHS)


def swarm_mixtures(
    prior: np.ndarray,
    number: int,
    generator: np.random.Generator,
    temperature: float = TEMPERATURE,
    strength: tuple[float, float] = STRENGTHS,
    maximum_usage: float = MAXIMUM_USAGE,
) -> np.ndarray:
    """Return mixtures for a swarm (n x k) as RegMix samples them.

    Many Dirichlet(q̃ · s) draws with q̃ the tempered prior and s one of 15 strengths; draws beyond the upper
    bounds are dropped; weights below `MINIMUM` become 0; the rest is rescaled and rounded to multiples of
    `MINIMUM`; of the distinct ones, `number` are chosen at random.

    Where this differs from the reference code: it draws under all 15 strengths and picks one of the draws, we
    pick the strength and draw once (the same distribution). A rounded mixture is rescaled to sum to one and
    held against the bounds again, which the reference does not do (its rows sum to 0.999 to 1.001). Where
    too few mixtures are left, the reference crashes; we draw on, at most `MAXIMUM_MULTIPLIER` times `number`.
    Where that is not enough either, as for more than a hundred domains, all mixtures are made within the
    bounds (`chameleon.methods.regression.within`). Fewer are returned only if no more are different.

    Args:
        prior: k positive shares, of any sum.
        number: mixtures asked for, at least 1.
        generator: source of the draws.
        temperature: exponent on the prior.
        strength: lowest and highest concentration.
        maximum_usage: bound on a weight, in multiples of the prior.

    Raises:
        UserError: no mixture lies within the bounds.
    """
    q = _normalised(prior)
    if len(q) == 1:
        return np.ones((1, 1))
    bounds, centre = upper_bounds(q, maximum_usage), tempered(q, temperature)
    steps = np.empty((0, len(q)), dtype=np.int64)
    drawn = accepted = 0
    while drawn < MAXIMUM_MULTIPLIER * number and (drawn < SAMPLE_MULTIPLIER * number or len(steps) < number):
        tried = drawn >= min(TRIAL_MULTIPLIER * number, CHUNK)
        if tried and accepted * MAXIMUM_MULTIPLIER * 4 < drawn:
            break
        missing = SAMPLE_MULTIPLIER * number - drawn
        size = min(CHUNK, missing if missing > 0 else SAMPLE_MULTIPLIER * number)
        p = _dirichlet(centre, strengths(*strength), size, generator)
        p = p[(p <= bounds).all(axis=1)]
        drawn, accepted = drawn + size, accepted + len(p)
        steps = np.unique(np.concatenate([steps, _steps(p, bounds)]), axis=0)
    if len(steps) < number:
        low, size = np.zeros(len(q)), MADE_MULTIPLIER * number
        p = mixtures_within(centre, low, bounds, size, generator, strengths(*strength))
        made = np.unique(_steps(p, bounds), axis=0)
        steps = made if len(made) >= number else np.unique(np.concatenate([steps, made]), axis=0)
    if not len(steps):
        raise UserError(f"no mixture keeps every weight below {maximum_usage:g} times its prior")
    if len(steps) > number:
        steps = steps[generator.choice(len(steps), size=number, replace=False)]
    rows: np.ndarray = steps / steps.sum(axis=1, keepdims=True)
    return rows


def _steps(p: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return mixtures rounded to whole numbers of `MINIMUM`, without those that then break the bounds."""
    p = np.where(p < MINIMUM, 0.0, p)
    p = p[p.sum(axis=1) > 0]
    # Whole numbers, so that "the same mixture" is exact; sorted by the way, as the reference sorts.
    found = np.rint(p / p.sum(axis=1, keepdims=True) / MINIMUM).astype(np.int64)
    total = found.sum(axis=1, keepdims=True)
    return found[(found <= bounds * total).all(axis=1)]


def candidate_mixtures(
    prior: np.ndarray,
    bounds: np.ndarray,
    number: int,
    generator: np.random.Generator,
    least: np.ndarray | None = None,
) -> np.ndarray:
    """Return `number` mixtures from Dirichlet(prior) within the bounds.

    RegMix's notebook simulates with the prior too, and without bounds, so that its optimum may
    repeat a domain more often than any run of the swarm did. Draws beyond the upper bounds are dropped. Where
    they leave too few of 20 draws per candidate, the bounds are narrow: then all candidates are made within
    them (`chameleon.methods.regression.within`), and `least` is kept too.

    Args:
        prior: k positive shares, of any sum.
        bounds: k upper bounds; a domain with bound 0 gets nothing.
        number: candidates asked for.
        generator: source of the draws.
        least: k lower bounds of narrow bounds; None: 0.

    Raises:
        UserError: no mixture lies within the bounds.
    """
    q = _normalised(prior)
    if len(q) == 1:
        return np.ones((1, 1))
    levels = np.ones(1)
    kept: list[np.ndarray] = []
    found = drawn = 0
    while found < number and drawn < 20 * number and not (drawn >= CHUNK and found < HOPELESS * drawn):
        size = min(CHUNK, 20 * number - drawn)
        p = _dirichlet(q, levels, size, generator)
        p = p[(p <= bounds).all(axis=1)][: number - found]
        kept.append(p)
        found, drawn = found + len(p), drawn + size
    if found < number:
        low = np.zeros(len(q)) if least is None else least
        return mixtures_within(q, low, bounds, number, generator, levels)
    return np.concatenate(kept)


def _dirichlet(
    centre: np.ndarray, levels: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """Return draws (at most size x k) from Dirichlet(centre · s), s uniform over `levels`.

    Domains of centre 0 get 0.
    """
    present = centre > 0
    which = generator.integers(len(levels), size=size)
    p = np.zeros((size, len(centre)))
    for level, s in enumerate(levels):
        rows = np.flatnonzero(which == level)
        p[np.ix_(rows, np.flatnonzero(present))] = generator.dirichlet(centre[present] * s, size=len(rows))
    # Concentrations near zero can underflow to 0/0.
    return p[np.isfinite(p).all(axis=1)]


def _normalised(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"expected a vector of non-negative shares, got {values!r}")
    if values.sum() <= 0:
        raise ValueError("all shares are zero")
    return values / values.sum()
