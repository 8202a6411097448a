"""Quality against compute for many methods: one row each, what its weights bought beside what they cost.

Points with names beside them, as `costs` draws them, run into each other from about fifteen methods on.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from chameleon.reporting.figures.style import BAND, INK, is_control, method_style, zero_line
from chameleon.reporting.records.tidy import YARDSTICK
from chameleon.reporting.statistics.stats import Estimate

#: Height of a row and of what stands around the rows, inches; up to here (%) the scale is linear.
ROW, REST, LINEAR = 0.25, 1.5, 5.0


def cost_list(known: Mapping[str, Estimate], price: Mapping[str, float], apart: float, free: float) -> Figure:
    """Return the figure, the best method on top.

    Args:
        known: mean perplexity against uniform (%), by method.
        price: FLOPs of the weights (% of a base run's).
        apart: how far uniform of one seed is from another's (%).
        free: below this price a method is free.
    """
    order = sorted(known, key=lambda m: known[m].mean)
    figure = Figure(figsize=(8.6, ROW * len(order) + REST))
    quality, cost = figure.subplots(1, 2, sharey=True, width_ratios=[5, 3])
    for axes in (quality, cost):
        for y in range(0, len(order), 2):
            axes.axhspan(y - 0.5, y + 0.5, color="#f8f8f8", zorder=0)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
    zero_line(quality, method_style(YARDSTICK)[0], vertical=True)
    quality.axvspan(-apart, apart, color=BAND if apart else "none", zorder=0.5)
    least = min((p for p in price.values() if p >= free), default=1.0)
    for y, method in enumerate(order):
        _draw(quality, y, method, known[method])
        colour, marker = method_style(method)
        x = price[method] if price[method] >= free else least / 10
        cost.plot(x, y, marker=marker, color=colour, markersize=7, linestyle="none")
    quality.set_xscale("symlog", linthresh=LINEAR)
    ends = [x for e in known.values() for x in (e.mean, e.low, e.high) if x is not None]
    ticks = [t for t in (-100, -30, -10, -5, 0, 5, 10, 30, 100, 300) if min(ends) <= t <= max(ends) or t == 0]
    quality.set_xticks(ticks, [f"{t:+d}".replace("-", "−") if t else "0" for t in ticks])
    quality.xaxis.set_minor_locator(NullLocator())
    quality.set_xlabel("← better     mean perplexity against uniform (%)     worse →")
    cost.set_xscale("log")
    decades = 10.0 ** np.arange(
        np.ceil(np.log10(least)), np.floor(np.log10(max([*price.values(), least]))) + 1
    )
    none = [least / 10] if min(price[m] for m in order) < free else []
    cost.set_xticks([*none, *decades], [*(["free"] if none else []), *(f"{d:g}" for d in decades)])
    cost.xaxis.set_minor_formatter(NullFormatter())
    cost.set_xlabel("FLOPs of the weights\n(% of a base run's, log scale)")
    _name_rows(quality, order, _best_so_far(known, price))
    return figure


def _draw(axes: Axes, y: int, method: str, estimate: Estimate) -> None:
    """Draw a method's mean and interval; filled where the interval excludes zero."""
    colour, marker = method_style(method)
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.6, zorder=2)
    decided = estimate.excludes_zero or method == YARDSTICK
    axes.plot(estimate.mean, y, marker=marker, color=colour, markersize=7, zorder=3, markeredgewidth=1.4,
              markerfacecolor=colour if decided else "white")  # fmt: skip


def _best_so_far(known: Mapping[str, Estimate], price: Mapping[str, float]) -> set[str]:
    """Return the methods of which none is both cheaper and better (the Pareto front)."""
    front, best = set(), np.inf
    for method in sorted(known, key=lambda m: (price[m], known[m].mean)):
        if known[method].mean < best:
            front.add(method)
            best = known[method].mean
    return front


def _name_rows(axes: Axes, order: list[str], front: set[str]) -> None:
    axes.set_yticks(range(len(order)), order)
    for label, method in zip(axes.get_yticklabels(), order, strict=True):
        if method in front:
            label.set(weight="bold", color=INK)
        elif is_control(method):
            label.set(color="#777777", style="italic")
