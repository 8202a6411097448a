"""Figures of the weights: what each method chose, and how weights moved while they were found or played."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chameleon.reporting.figures.bars import bar_panels
from chameleon.reporting.figures.grids import cell, heat, small_multiples
from chameleon.reporting.figures.style import INK, handle, legend_below, method_style, seeds, statement, title
from chameleon.reporting.records.tidy import Frames, diagnostic, first_seen, method_order
from chameleon.reporting.statistics.comparisons import average_weights
from chameleon.reporting.statistics.stats import mean_interval

#: More methods than this cannot be told apart as bars.
BARS = 12
#: More methods whose weights move than this cannot be told apart in one panel.
MOVERS = 4
DASHES: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3))}


def weights(scenario: str, frames: Frames) -> Figure:
    """Grouped bars: mean weight per domain and method, one dot per seed; of many methods a coloured table."""
    table = frames["weights"]
    methods, domains = method_order(table["method"]), first_seen(table["domain"])
    if len(methods) > BARS:
        return _table(scenario, frames, methods, domains)
    figure, panels, _ = bar_panels(average_weights(frames), "weight", methods, domains, height=3.2)
    for axes in panels:
        axes.axhline(1 / len(domains), zorder=1.5, **DASHES)
        axes.set_ylabel("domain weight\n(share of tokens)")
    panels[0].set_title(f"Domain weights, {scenario} ({seeds(table)})")
    handles: list[Any] = list(panels[0].get_legend_handles_labels()[0])
    handles.append(Line2D([], [], label="equal weights, 1/k", **DASHES))
    if table["seed"].nunique() > 1:
        handles.append(Line2D([], [], color=INK, marker="o", markersize=3, linestyle="", label="one seed"))
    legend_below(figure, handles, columns=6)
    return figure


def _table(scenario: str, frames: Frames, methods: list[str], domains: list[str]) -> Figure:
    """How far each method's mean weights are from equal ones, in percentage points."""
    points = 100 * (average_weights(frames).set_index(["method", "domain"])["weight"] - 1 / len(domains))
    found = points.groupby(level=[0, 1])
    cells = [[cell(mean_interval(found.get_group((m, d)).tolist())) for d in domains] for m in methods]
    figure = Figure(figsize=(2.8 + 0.6 * len(domains), 1.6 + 0.27 * len(methods)))
    heat(figure.add_subplot(), cells, methods, domains, higher_is_better=True)
    title(figure, f"Domain weights less equal ones, {scenario} ({seeds(frames['weights'])}; points)")
    figure.supxlabel("blue: more than 1/k, red: less; grey on white: undecided", fontsize=9)
    return figure


def weights_over_time(scenario: str, frames: Frames) -> Figure:
    """Per domain, how weights moved: in the base run (online methods) or in the run that found them.

    More methods than `MOVERS` get a row of panels each.
    """
    table, paths = frames["weights"], diagnostic(frames, "trajectory")
    stages = table.groupby("method")["step"].nunique()
    online = method_order(m for m in stages.index if stages[m] > 1)
    found = [m for m in method_order(paths["method"]) if m not in online]
    if not online and not found:
        return statement(f"No method of scenario {scenario} moves its weights during a run.")
    domains = first_seen(table["domain"])
    many = len(online) + len(found) > MOVERS
    if many:
        figure, panels = _rows([*found, *online], domains)
    else:
        figure, shared = small_multiples(domains, "training step", "domain weight\n(share of tokens)")
        panels = {(method, domain): shared[domain] for method in [*found, *online] for domain in domains}
    for axes in dict.fromkeys(panels.values()):
        axes.axhline(1 / len(domains), zorder=1, **DASHES)
    for (method, domain), axes in panels.items():
        if method in online:
            _played(axes, frames, method, domain)
            continue
        mine = paths[(paths["method"] == method) & (paths["domain"] == domain)]
        for _, part in mine.groupby("seed"):
            axes.plot(part["other"].astype(int), part["value"], color=method_style(method)[0], linewidth=1.2)
    title(figure, f"How the weights moved, {scenario} ({seeds(table)}, a line each)")
    look: dict[str, Any] = {"marker": "", "linewidth": 1.6}
    if many:
        said = f"share so far; of {', '.join(found)}: weight in its own run" if found else "share so far"
        handles: list[Any] = [Line2D([], [], color=INK, label=said, **look)]
    else:
        handles = [handle(m, label=f"{m}, in its own run", **look) for m in found]
        handles += [handle(m, label=f"{m}, in the base run: share so far", **look) for m in online]
    if online:
        handles.append(Line2D([], [], color=INK, label="the same, as played", linewidth=0.6, alpha=0.6))
    handles.append(Line2D([], [], label="equal weights, 1/k", **DASHES))
    legend_below(figure, handles, columns=3)
    return figure


def _rows(methods: list[str], domains: list[str]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Return a figure with a row of panels per method and a column per domain, all on the same axes."""
    figure = Figure(figsize=(1.4 * len(domains) + 1.2, 1.1 * len(methods) + 1.4))
    grid = figure.subplots(len(methods), len(domains), sharex=True, sharey=True, squeeze=False)
    panels = {}
    for (row, column), axes in np.ndenumerate(grid):
        axes.tick_params(labelsize=8)
        if row == 0:
            axes.set_title(domains[column], fontsize=9.5, fontweight="normal")
        if column == 0:
            axes.set_ylabel(methods[row], fontsize=8.5, rotation=0, ha="right", va="center")
        if row == len(methods) - 1:
            axes.set_xlabel("training step", fontsize=8.5)
        panels[methods[row], domains[column]] = axes
    return figure, panels


def _played(axes: Axes, frames: Frames, method: str, domain: str) -> None:
    """Draw what an online method played, thin, and the share of the tokens so far."""
    table, curves = frames["weights"], frames["curves"]
    colour = method_style(method)[0]
    mine = table[(table["method"] == method) & (table["domain"] == domain)]
    last = curves[curves["method"] == method]["step"].max()
    for _, part in mine.groupby("seed"):
        part = part.sort_values("step")
        start = part["step"].max()
        edges = np.array([*part["step"], last if last > start else start + 1], dtype=float)
        played = part["weight"].to_numpy(dtype=float)
        axes.step(edges, [*played, played[-1]], where="post", color=colour, linewidth=0.6, alpha=0.4)
        so_far = np.cumsum(played * np.diff(edges)) / (edges[1:] - edges[0])
        axes.plot(edges[1:], so_far, color=colour, linewidth=1.6)
