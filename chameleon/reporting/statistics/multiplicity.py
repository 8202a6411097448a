"""Several intervals, one claim: Holm's step-down procedure, and the side of zero of each mean after it.

Pure functions beside `chameleon.reporting.statistics.stats`, used by the verdicts. Holm (1979), "A simple
sequentially rejective multiple test procedure": whatever the tests' dependence, the probability of one false
alarm or more among those without effect (the family-wise error) is at most the level.
"""

from collections.abc import Sequence

import numpy as np

from chameleon.reporting.statistics import stats


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: reject those that are at most the level.

    With p_(1) <= ... <= p_(m): adjusted p_(i) = max over j <= i of min(1, (m − j + 1) · p_(j)).

    Args:
        p_values: m numbers in [0, 1], of one family.

    Raises:
        ValueError: a number outside [0, 1] or NaN.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie between 0 and 1, got {p_values!r}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(x) for x in adjusted]


def sides(samples: Sequence[Sequence[float]], level: float = stats.LEVEL) -> list[int]:
    """Return on which side of zero each sample's true mean surely lies after Holm: −1, +1, or 0 if unsure.

    The p-values are two-sided, from the t statistic that the interval of `stats.mean_interval` is made of, so
    a sample alone is decided exactly where its interval excludes zero. One correction serves both sides: a
    false alarm on either counts.

    Args:
        samples: one family; each holds paired differences, one per seed. A sample of fewer than two values
            decides nothing but counts in the family.
        level: one minus the family-wise error.
    """
    found = [stats.two_sided_p(values) if len(values) > 1 else None for values in samples]
    adjusted = holm([1.0 if p is None else p for p in found])
    # 1e-12 forgives the rounding of 1 - level.
    return [
        int(np.sign(stats.mean_interval(values).mean)) if p <= 1 - level + 1e-12 else 0
        for values, p in zip(samples, adjusted, strict=True)
    ]
