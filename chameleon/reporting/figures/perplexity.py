"""Figures of test perplexity against uniform, and of what finetuning gains and forgets."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.grids import cell, heat
from chameleon.reporting.figures.style import (
    FAINT,
    INK,
    beyond,
    handle,
    legend_below,
    method_style,
    percent_scale,
    rounded,
    seeds,
    statement,
    stripes,
    title,
    whisker,
    zero_line,
)
from chameleon.reporting.labels import place_labels
from chameleon.reporting.records.tidy import YARDSTICK, Frames, method_order, perplexities
from chameleon.reporting.statistics.comparisons import to_uniform
from chameleon.reporting.statistics.stats import Estimate

#: With more methods than this, whiskers side by side are too many: the domains become a table of colours.
WHISKERS = 4
#: Beyond so many points from the lowest to the highest, a linear scale shows the extremes alone.
WIDE = 200
#: Size of a mean's marker.
DOT = 6.5


def relative_perplexity(scenario: str, frames: Frames) -> Figure:
    """Paired difference to uniform in percent, per domain and for the means."""
    metrics = frames["metrics"]
    methods = [m for m in method_order(metrics["method"]) if m != YARDSTICK]
    if YARDSTICK not in set(metrics["method"]) or not methods:
        return statement(f"Scenario {scenario} has no method to compare with {YARDSTICK}.")
    rows = [(d, m, name) for d, m, name in perplexities(metrics) if m != "mean_log_perplexity"]
    draw = _whiskers if len(methods) <= WHISKERS else _table
    return draw(scenario, metrics, methods, rows)


def _note(metrics: pd.DataFrame, decided: str, undecided: str) -> str:
    if metrics["seed"].nunique() == 1:
        return "one seed: no intervals"
    return f"{decided}: the 95 % interval excludes 0; {undecided}: undecided"


def _at_the_edge(axes: Axes, mean: float, edge: float, y: float, method: str) -> None:
    """Draw a mean that is too far out as its number, at the edge."""
    whisker(axes, Estimate(float(np.copysign(edge, mean)), None, None, None, 1), y, method, DOT)
    text = f"{mean:+.0f} % ".replace("-", "−")
    axes.annotate(text, (np.copysign(edge, mean), y), xytext=(-8 * np.sign(mean), 0), fontsize=8, color=INK,
                  textcoords="offset points", ha="right" if mean > 0 else "left", va="center")  # fmt: skip


def _whiskers(
    scenario: str, metrics: pd.DataFrame, methods: list[str], rows: list[tuple[str, str, str]]
) -> Figure:
    """Dot and whisker, a group of methods per domain."""
    step = 0.8 / len(methods)
    figure = Figure(figsize=(7, len(rows) * max(0.42, 0.14 * len(methods)) + 1.6))
    axes = figure.add_subplot()
    stripes(axes, len(rows))
    zero_line(axes, vertical=True)
    for position, method in enumerate(methods):
        for row, (domain, metric, _) in enumerate(rows):
            estimate = to_uniform(metrics, method, domain, metric)
            if estimate is not None:
                whisker(axes, estimate, row + (position - (len(methods) - 1) / 2) * step, method, DOT)
    axes.axhline(sum(m == "perplexity" for _, m, _ in rows) - 0.5, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for *_, name in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("test domain")
    axes.set_xlabel("← better          perplexity relative to uniform (%)          worse →\n"
                    f"{_note(metrics, 'filled', 'hollow')}")  # fmt: skip
    axes.set_title(f"Perplexity against uniform, {scenario} ({seeds(metrics)}, paired)")
    handles = [handle(YARDSTICK, marker=""), *(handle(m) for m in methods)]
    legend_below(figure, handles)
    return figure


def _table(
    scenario: str, metrics: pd.DataFrame, methods: list[str], rows: list[tuple[str, str, str]]
) -> Figure:
    """Means with whiskers to the left, the domains as a table of colours to the right."""
    domains = [(d, m) for d, m, _ in rows if m == "perplexity"]
    means = [(d, m, name) for d, m, name in rows if m != "perplexity"]
    figure = Figure(figsize=(4.2 + 1.3 * (len(means) - 1) + 0.52 * len(domains), 0.42 * len(methods) + 2.3))
    widths = [*(2.4 if i == 0 else 1.5 for i in range(len(means))), 0.52 * len(domains)]
    panels = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    for axes, (domain, metric, name) in zip(panels, means, strict=False):
        found = {m: e for m in methods if (e := to_uniform(metrics, m, domain, metric)) is not None}
        far, reach = beyond(found)
        zero_line(axes, vertical=True)
        stripes(axes, len(methods))
        for y, method in enumerate(methods):
            if method in far:
                _at_the_edge(axes, found[method].mean, 1.1 * reach, y, method)
            elif method in found:
                whisker(axes, found[method], y, method, DOT)
        axes.set_title(name.replace(", ", ",\n"), fontsize=10)
        axes.set_xlabel("difference (%)")
        axes.tick_params(axis="y", length=0)
    # One scale for all means, so that lengths compare.
    ends = [axes.get_xlim() for axes in panels[:-1]]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    for number, axes in enumerate(panels[:-1]):
        if high - low > WIDE:
            percent_scale(axes, (low, high), steps=(100,) if number or high > 300 else (10, 100))
        axes.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    cells = [[cell(to_uniform(metrics, method, d, m)) for d, m in domains] for method in methods]
    heat(panels[-1], cells, methods, [d for d, _ in domains])
    panels[-1].set_title("per test domain (%)", fontsize=10)
    panels[-1].set_xlabel("test domain")
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    panels[0].set_ylabel("method")
    note = _note(metrics, "filled or on colour", "hollow or grey on white")
    title(figure, f"Perplexity against uniform, {scenario} ({seeds(metrics)}, paired); left and blue: better")
    figure.supxlabel(note, fontsize=9)
    return figure


def forgetting(scenario: str, frames: Frames) -> Figure:
    """Gain on the finetuning domains against forgetting of the pretraining domains, both against uniform."""
    metrics = frames["metrics"]
    methods = method_order(metrics[metrics["metric"] == "mean_forgetting"]["method"])
    if YARDSTICK not in methods or len(methods) < 2:
        return statement(f"Scenario {scenario} has no forgetting to compare with {YARDSTICK}.")
    colour = method_style(YARDSTICK)[0]
    figure = Figure(figsize=(6.6, 5.2))
    axes = figure.add_subplot()
    axes.axhline(0, color=FAINT, linewidth=1, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
    axes.plot(0, 0, marker=method_style(YARDSTICK)[1], color=colour, markersize=8, zorder=3)
    names, points, whiskers = [YARDSTICK], [(0.0, 0.0)], []
    for method in methods:
        x = to_uniform(metrics, method, "mean", "mean_forgetting")
        y = to_uniform(metrics, method, "mean", "mean_log_perplexity")
        if method == YARDSTICK or x is None or y is None:
            continue
        colour, marker = method_style(method)
        if x.low is not None and x.high is not None and y.low is not None and y.high is not None:
            for xs, ys in (((x.low, x.high), (y.mean, y.mean)), ((x.mean, x.mean), (y.low, y.high))):
                axes.plot(xs, ys, color=colour, linewidth=1.6, zorder=2)
                whiskers += list(zip(np.linspace(*xs, 9), np.linspace(*ys, 9), strict=True))
        axes.plot(x.mean, y.mean, marker=marker, color=colour, markersize=8, zorder=3)
        names.append(method)
        points.append((x.mean, y.mean))
    own = metrics[(metrics["method"] == YARDSTICK) & (metrics["metric"] == "mean_forgetting")]["value"].mean()
    axes.margins(0.15)
    axes.set_xlabel("← forgets less     mean forgetting against uniform (nats/token)\n"
                    f"uniform itself forgets {rounded(own, 3)} nats/token")  # fmt: skip
    axes.set_ylabel("← learns more     mean log-perplexity of the\n"
                    "finetuning domains against uniform (nats/token)")  # fmt: skip
    title(figure, f"Gain against forgetting, {scenario} ({seeds(metrics)}, paired)")
    place_labels(figure, axes, np.array(points), names, INK, avoid=[np.array(whiskers)] if whiskers else [])
    return figure
