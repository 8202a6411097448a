"""Figure of quality against compute: what a method's weights cost and what they bought."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from chameleon.reporting.figures.cost_list import cost_list
from chameleon.reporting.figures.style import (
    BAND,
    INK,
    beyond,
    interval_note,
    method_style,
    seeds,
    statement,
    title,
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
#: More methods than this are listed, one a row.
MOST = 14


def quality_cost(scenario: str, frames: Frames) -> Figure:
    """Mean perplexity against uniform over the compute spent on the weights; free methods in a column."""
    metrics, costs = frames["metrics"], frames["costs"]
    methods = method_order(metrics["method"])
    found = {m: to_uniform(metrics, m, "mean", "mean_perplexity") for m in methods}
    if YARDSTICK not in methods or len(methods) < 2 or not base_cost(costs, YARDSTICK):
        return statement(f"Scenario {scenario} has no method to compare with {YARDSTICK}.")
    price = {m: 100 * weighting_cost(costs, m) / (base_cost(costs, m) or np.inf) for m in methods}
    known = {m: e for m, e in found.items() if e is not None}
    said = f"Quality against compute, {scenario} ({seeds(metrics)}, paired{interval_note(metrics)})"
    if len(known) > MOST:
        apart = seeds_apart(metrics)
        figure = cost_list(known, price, apart, FREE)
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
    figure = Figure(figsize=(8.6, 4.8))
    width = max(1.2, 0.7 * len(free)) if free else 0.0
    ratios = [width, 8 - width] if free and paid else [1.0]
    panels = list(np.atleast_1d(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios)))
    apart = seeds_apart(metrics)
    for axes in panels:
        zero_line(axes, method_style(YARDSTICK)[0])
        axes.axhspan(-apart, apart, color=BAND, zorder=0)
        axes.set_xlabel(" ")
    if free:
        _points(panels[0], free, [float(i) for i in range(len(free))], known)
        panels[0].set_xlim(-0.7, len(free) - 0.3)
        panels[0].set_xticks([])
        panels[0].set_xlabel("free")
    if paid:
        axes = panels[-1]
        axes.set_xscale("log")
        _points(axes, paid, [price[m] for m in paid], known)
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
    for axes, group, xs in ((panels[0], free, [float(i) for i in range(len(free))]),
                            (panels[-1], paid, [price[m] for m in paid])):  # fmt: skip
        if group:
            points = np.array([(x, known[m].mean) for x, m in zip(xs, group, strict=True)])
            avoid = [(x, end) for x, m in zip(xs, group, strict=True) for end in _along(known[m])]
            place_labels(
                figure, axes, points, [names[m] for m in group], INK, avoid=[np.array(avoid)] if avoid else []
            )
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


def _points(axes: Axes, methods: list[str], xs: list[float], known: dict[str, Estimate]) -> None:
    """Draw each method's mean and interval; filled where the interval excludes zero."""
    for method, x in zip(methods, xs, strict=True):
        estimate = known[method]
        colour, marker = method_style(method)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([x, x], [estimate.low, estimate.high], color=colour, linewidth=1.6, zorder=2)
        decided = estimate.excludes_zero or method == YARDSTICK
        axes.plot(x, estimate.mean, marker=marker, color=colour, markersize=8, zorder=3, markeredgewidth=1.4,
                  markerfacecolor=colour if decided else "white")  # fmt: skip
