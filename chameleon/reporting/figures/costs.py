"""Figure of quality against compute: what a method's weights cost and what they bought; many are listed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from chameleon.reporting.figures.style import (
    BAND,
    INK,
    beyond,
    mark_names,
    method_style,
    percent_scale,
    seeds,
    statement,
    stripes,
    title,
    whisker,
    zero_line,
)
from chameleon.reporting.labels import place_labels
from chameleon.reporting.records.tidy import YARDSTICK, Frames, method_order
from chameleon.reporting.statistics.comparisons import (
    base_cost,
    seed_noise,
    series,
    to_uniform,
    weighting_cost,
)
from chameleon.reporting.statistics.stats import Estimate

#: Weights below this share of a base run (percent) count as free: they are arithmetic on token counts.
FREE = 1e-3
#: More methods than this are listed, one a row: points with names beside them run into each other.
MOST = 14
#: Height of a row of the list and of what stands around the rows, inches.
ROW, REST = 0.25, 1.5


def quality_cost(scenario: str, frames: Frames) -> Figure:
    """Mean perplexity against uniform over the compute spent on the weights; free methods in a column."""
    metrics, costs = frames["metrics"], frames["costs"]
    methods = method_order(metrics["method"])
    found = {m: to_uniform(metrics, m, "mean", "mean_perplexity") for m in methods}
    if YARDSTICK not in methods or len(methods) < 2 or not base_cost(costs, YARDSTICK):
        return statement(f"Scenario {scenario} has no method to compare with {YARDSTICK}.")
    price = {m: 100 * weighting_cost(costs, m) / (base_cost(costs, m) or np.inf) for m in methods}
    known = {m: e for m, e in found.items() if e is not None}
    bars = ", bars: 95 % intervals" if metrics["seed"].nunique() > 1 else ""
    said = f"Quality against compute, {scenario} ({seeds(metrics)}, paired{bars})"
    apart = seeds_apart(metrics)
    if len(known) > MOST:
        figure = cost_list(known, price, apart)
        title(figure, said)
        note = (
            "bold: no method is both cheaper and better; grey names: controls; filled: interval without zero"
        )
        if apart:
            note += f"\ngrey band: how far {YARDSTICK} of one seed is from another's ({apart:.1f} %)"
        figure.supxlabel(note, fontsize=8.5)
        return figure
    far, reach = beyond(known)
    names = {m: f"{m} ({known[m].mean:+.0f} %)".replace("-", "−") if m in far else m for m in known}
    # At the edge, without an interval: its number stands beside it.
    for m in far:
        known[m] = known[m]._replace(mean=float(np.copysign(1.1 * reach, known[m].mean)), low=None, high=None)
    free = [m for m in known if price[m] < FREE]
    paid = [m for m in known if price[m] >= FREE]
    places = {m: float(i) for i, m in enumerate(free)} | {m: price[m] for m in paid}
    figure = Figure(figsize=(8.6, 4.8))
    width = max(1.2, 0.7 * len(free)) if free else 0.0
    ratios = [width, 8 - width] if free and paid else [1.0]
    panels = list(np.atleast_1d(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios)))
    for axes in panels:
        zero_line(axes)
        axes.axhspan(-apart, apart, color=BAND, zorder=0)
        axes.set_xlabel(" ")
    if free:
        for m in free:
            whisker(panels[0], known[m], places[m], m, size=8, vertical=True)
        panels[0].set_xlim(-0.7, len(free) - 0.3)
        panels[0].set_xticks([])
        panels[0].set_xlabel("free")
    if paid:
        axes = panels[-1]
        axes.set_xscale("log")
        for m in paid:
            whisker(axes, known[m], places[m], m, size=8, vertical=True)
        low, high = min(price[m] for m in paid), max(price[m] for m in paid)
        axes.set_xlim(low / 2.2, high * 2.2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if high / low > 30:
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_minor_formatter(FuncFormatter(_few))
        axes.set_xlabel("FLOPs spent on the weights (% of a base run's, log scale)")
        _front(axes, [known[m].mean for m in free], sorted((price[m], known[m].mean) for m in paid))
        if free:
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
    panels[0].set_ylabel("mean perplexity against uniform (%)\n← better            worse →")
    panels[0].margins(y=0.12)
    title(figure, said)
    told = ["dotted: the best so far, as more is spent"] if paid else []
    if apart:
        told.append(f"grey: how far {YARDSTICK} of one seed is from another's ({apart:.1f} %)")
    panels[-1].text(0.99, 0.99, "\n".join(told), transform=panels[-1].transAxes, ha="right", va="top",
                    fontsize=8, color=INK)  # fmt: skip
    for axes, group in ((panels[0], free), (panels[-1], paid)):
        if group:
            points = np.array([(places[m], known[m].mean) for m in group])
            whiskers = [(places[m], end) for m in group for end in _along(known[m])]
            avoid = [np.array(whiskers)] if whiskers else []
            place_labels(figure, axes, points, [names[m] for m in group], INK, avoid=avoid)
    return figure


def seeds_apart(metrics: pd.DataFrame) -> float:
    """Return by how much uniform of one seed differs from that of another (% of its mean); 0 for one seed."""
    apart = seed_noise(metrics, "mean_perplexity")
    mean = np.mean(list(series(metrics, YARDSTICK, "mean", "mean_perplexity").values()))
    return float(100 * np.mean(apart) / mean) if apart else 0.0


def _front(axes: Axes, free: list[float], paid: list[tuple[float, float]]) -> None:
    """Draw what is the best so far as more is paid: `free` means, then (price, mean) by price."""
    low, high = axes.get_xlim()
    best = min(free, default=paid[0][1])
    xs, ys = [low if free else paid[0][0]], [best]
    for price, mean in paid:
        if mean < best:
            best = mean
            xs.append(price)
            ys.append(mean)
    axes.plot(
        [*xs, high], [*ys, best], drawstyle="steps-post", color=INK, linewidth=0.9, linestyle=":", zorder=1
    )


def _few(value: float, _: int) -> str:
    """Return labels for the ticks at 2 and 5 between powers of ten."""
    digit = value / 10 ** np.floor(np.log10(value))
    return f"{value:g}" if round(float(digit), 6) in (2.0, 5.0) else ""


def _along(estimate: Estimate) -> list[float]:
    """Return points along an interval, for labels to keep away from."""
    if estimate.low is None or estimate.high is None:
        return []
    return np.linspace(estimate.low, estimate.high, 9).tolist()


def cost_list(known: Mapping[str, Estimate], price: Mapping[str, float], apart: float) -> Figure:
    """Return the figure for many methods: one row each, the best on top.

    Args:
        known: mean perplexity against uniform (%), by method.
        price: FLOPs of the weights (% of a base run's).
        apart: how far uniform of one seed is from another's (%).
    """
    order = sorted(known, key=lambda m: known[m].mean)
    figure = Figure(figsize=(8.6, ROW * len(order) + REST))
    quality, cost = figure.subplots(1, 2, sharey=True, width_ratios=[5, 3])
    for axes in (quality, cost):
        stripes(axes, len(order), "#f8f8f8")
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
    zero_line(quality, vertical=True)
    quality.axvspan(-apart, apart, color=BAND if apart else "none", zorder=0.5)
    least = min((p for p in price.values() if p >= FREE), default=1.0)
    for y, method in enumerate(order):
        whisker(quality, known[method], y, method, size=7)
        colour, marker = method_style(method)
        x = price[method] if price[method] >= FREE else least / 10
        cost.plot(x, y, marker=marker, color=colour, markersize=7, linestyle="none")
    percent_scale(quality, [x for e in known.values() for x in (e.mean, e.low, e.high) if x is not None])
    quality.set_xlabel("← better     mean perplexity against uniform (%)     worse →")
    cost.set_xscale("log")
    decades = 10.0 ** np.arange(
        np.ceil(np.log10(least)), np.floor(np.log10(max([*price.values(), least]))) + 1
    )
    none = [least / 10] if min(price[m] for m in order) < FREE else []
    cost.set_xticks([*none, *decades], [*(["free"] if none else []), *(f"{d:g}" for d in decades)])
    cost.xaxis.set_minor_formatter(NullFormatter())
    cost.set_xlabel("FLOPs of the weights\n(% of a base run's, log scale)")
    quality.set_yticks(range(len(order)), order)
    mark_names(quality, order, _best_so_far(known, price), color=INK)
    return figure


def _best_so_far(known: Mapping[str, Estimate], price: Mapping[str, float]) -> set[str]:
    """Return the methods of which none is both cheaper and better (the Pareto front)."""
    front, best = set(), np.inf
    for method in sorted(known, key=lambda m: (price[m], known[m].mean)):
        if known[method].mean < best:
            front.add(method)
            best = known[method].mean
    return front
