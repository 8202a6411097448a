"""Figure of quality against distance: how far from uniform a method's mixture is, and what became of it."""

from collections.abc import Mapping

import numpy as np
import scipy.stats
from matplotlib.figure import Figure

from chameleon.reporting.figures.style import (
    INK,
    method_style,
    percent_scale,
    point,
    seeds,
    statement,
    zero_line,
)
from chameleon.reporting.labels import place_labels
from chameleon.reporting.records.tidy import YARDSTICK, Frames, method_order
from chameleon.reporting.statistics.comparisons import differences, from_uniform, to_uniform

#: A rank correlation over fewer methods than this says nothing.
LEAST = 5
#: Size of the methods' names, points: three dozen find room.
NAMES = 7.5

#: By seed.
Values = dict[int, float]


def distance(scenario: str, frames: Frames) -> Figure:
    """Mean perplexity against uniform over the distance (total variation) of the weights from uniform.

    Distances are of the weights as played, averaged over training. Where this alone orders the methods, what
    a method has found out about the domains plays no visible part.
    """
    metrics, far = frames["metrics"], from_uniform(frames)
    found = {m: to_uniform(metrics, m, "mean", "mean_perplexity") for m in method_order(metrics["method"])}
    known = {m: e for m, e in found.items() if e is not None and m in far and m != YARDSTICK}
    if YARDSTICK not in found or not known:
        return statement(f"Scenario {scenario} has no method to compare with {YARDSTICK}.")
    x = {m: float(np.mean(list(far[m].values()))) for m in known}
    moved = {m: differences(metrics, m, YARDSTICK, "mean", "mean_perplexity") for m in known}
    figure = Figure(figsize=(8.6, 5.6))
    axes = figure.subplots()
    zero_line(axes)
    for m in known:
        # An interval of a few seeds may be as high as the figure: the seeds themselves tell as much.
        seed = [s for s in moved[m] if s in far[m]]
        axes.plot([far[m][s] for s in seed], [moved[m][s] for s in seed], linestyle="none", marker=".",
                  markersize=3.5, color=method_style(m)[0], zorder=2)  # fmt: skip
        point(axes, x[m], known[m].mean, m, size=7, filled=known[m].excludes_zero)
    percent_scale(axes, [y for one in moved.values() for y in one.values()], vertical=True)
    # Room for the names at the ends.
    axes.margins(x=0.16, y=0.06)
    axes.set_xlabel("distance of the weights from uniform (total variation: share of the tokens that moved)")
    axes.set_ylabel("mean perplexity against uniform (%)\n← better            worse →")
    axes.set_title(f"Quality against distance from uniform, {scenario} ({seeds(metrics)}, paired)")
    text = []
    if told := order({m: far[m] for m in known}, moved):
        over = f" ({min(told):.2f} to {max(told):.2f} over seeds)" if len(told) > 1 else ""
        text.append(f"rank correlation over {len(known)} methods: {np.mean(told):.2f}{over}")
    if metrics["seed"].nunique() > 1:
        text.append("dots: single seeds; filled: 95 % interval without zero")
    axes.text(0.01, 0.99, "\n".join(text), transform=axes.transAxes, ha="left", va="top", fontsize=8.5,
              color=INK)  # fmt: skip
    points = np.array([(x[m], known[m].mean) for m in known])
    place_labels(figure, axes, points, list(known), INK, avoid=[], size=NAMES)
    return figure


def order(far: Mapping[str, Values], moved: Mapping[str, Values]) -> list[float]:
    """Return by seed the rank correlation of how far methods are from uniform and what became of them.

    Over the seeds that all methods have; empty for fewer than `LEAST` methods, or if one of the two does not
    vary.

    Args:
        far, moved: {method: {seed: distance, or difference in mean perplexity}}, of the same methods.
    """
    shared = set.intersection(*(set(far[m]) & set(moved[m]) for m in far)) if len(far) >= LEAST else set()
    both = [([far[m][s] for m in far], [moved[m][s] for m in far]) for s in sorted(shared)]
    return [float(scipy.stats.spearmanr(a, b).statistic) for a, b in both if len(set(a)) > 1 < len(set(b))]
