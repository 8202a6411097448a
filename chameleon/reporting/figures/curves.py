"""Figures of the base runs' training: how the difference to uniform moves with the token budget."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.grids import small_multiples
from chameleon.reporting.figures.style import (
    FAINT,
    handle,
    legend_below,
    method_style,
    seeds,
    statement,
    title,
    zero_line,
)
from chameleon.reporting.records.tidy import YARDSTICK, Frames, first_seen, method_order, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import apart, curve

#: More methods than this cannot be told apart as lines of one panel.
LINES = 12


def learning_curves(scenario: str, frames: Frames) -> Figure:
    """Difference to uniform in mean log-perplexity against training tokens, mean and interval over seeds.

    Many methods get a panel each, the lowest at the end first, with the others' means behind it.
    """
    curves = frames["curves"]
    methods = _comparable(curves)
    if not methods:
        return statement(f"Scenario {scenario} has no learning curves to compare with {YARDSTICK}.")
    domains = tested_domains(frames["metrics"])
    moved = {method: curve(curves, method, YARDSTICK, domains) for method in methods}
    if len(methods) > LINES:
        return _panel_each(scenario, curves, moved)
    figure = Figure(figsize=(7.6, 4.6))
    axes = figure.add_subplot()
    zero_line(axes)
    for method in methods:
        _line(axes, moved[method], method, band=True)
    axes.set_xlabel(f"training tokens of the base run ({_unit(curves['tokens'].max())[1]})")
    axes.set_ylabel("mean log-perplexity against uniform\n(nats/token)     below 0: better")
    title(figure, f"Difference to uniform as training goes on, {scenario} ({seeds(curves)}, paired)")
    legend_below(figure, [handle(YARDSTICK, marker=""), *(handle(m) for m in methods)])
    return figure


def learning_curves_domains(scenario: str, frames: Frames) -> Figure:
    """The same per domain, one panel each; of many methods those that are lowest at the end."""
    curves = frames["curves"]
    methods = _comparable(curves)
    if not methods:
        return statement(f"Scenario {scenario} has no learning curves to compare with {YARDSTICK}.")
    known = set(curves["domain"])
    tested = tested_domains(frames["metrics"])
    domains = [d for d in tested if d in known] or first_seen(curves["domain"])
    shown = ""
    if len(methods) > LINES:
        ends = {m: _end(curve(curves, m, YARDSTICK, tested)) for m in methods}
        lowest = set(sorted(ends, key=lambda m: ends[m])[:LINES])
        shown = f", {LINES} lowest of {len(methods)} methods"
        methods = [m for m in methods if m in lowest]
    figure, panels = small_multiples(domains, f"training tokens ({_unit(curves['tokens'].max())[1]})",
                                     "against uniform\n(nats/token)")  # fmt: skip
    for axes in panels.values():
        zero_line(axes)
    for method in methods:
        moved = apart(curves, method, YARDSTICK)
        for domain, axes in panels.items():
            if domain in moved.columns.get_level_values("domain"):
                _line(axes, moved.xs(domain, axis=1, level="domain"), method, band=False)
    title(figure, f"Log-perplexity against uniform as training goes on, {scenario} (mean of {seeds(curves)}, "
                  f"paired{shown}); below 0: better")  # fmt: skip
    legend_below(figure, [handle(YARDSTICK, marker=""), *(handle(m) for m in methods)])
    return figure


def _panel_each(scenario: str, curves: pd.DataFrame, moved: dict[str, pd.DataFrame]) -> Figure:
    """Draw a panel per method: its mean and interval, and faintly the means of all others."""
    drawn = {m: table for m, table in moved.items() if not table.empty}
    order = sorted(drawn, key=lambda m: _end(drawn[m]))
    divisor, unit = _unit(curves["tokens"].max())
    figure, panels = small_multiples(order, f"training tokens ({unit})", "against uniform\n(nats/token)", 1.5)
    for method, axes in panels.items():
        for table in drawn.values():
            axes.plot(table.columns.to_numpy(float) / divisor, table.mean(), color=FAINT, linewidth=0.8)
        zero_line(axes)
        _line(axes, drawn[method], method, band=True)
    means = np.concatenate([table.mean().to_numpy() for table in drawn.values()])
    margin = 0.06 * float(np.ptp(means)) or 0.01
    panels[order[0]].set_ylim(float(means.min()) - margin, float(means.max()) + margin)
    title(figure, f"Difference to uniform as training goes on, {scenario} ({seeds(curves)}, paired); "
                  "below 0: better")  # fmt: skip
    return figure


def _end(table: pd.DataFrame) -> float:
    """Return the mean over seeds of a curve's last point."""
    return np.inf if table.empty else float(table[table.columns[-1]].mean())


def _comparable(curves: pd.DataFrame) -> list[str]:
    methods = method_order(curves["method"])
    return [m for m in methods if m != YARDSTICK] if YARDSTICK in methods else []


def _unit(most: float) -> tuple[float, str]:
    """Return the divisor and name of a token axis that ends at `most`."""
    for size, name in ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands")):
        if most >= size:
            return size, name
    return 1.0, "tokens"


def _line(axes: Axes, table: pd.DataFrame, method: str, band: bool) -> None:
    """Draw one method's mean over seeds, and the 95 % t interval as a band."""
    if table.empty:
        return
    colour, marker = method_style(method)
    estimates = [stats.mean_interval(table[t].tolist()) for t in table.columns]
    x = np.array(table.columns, dtype=float)
    x = x / _unit(x.max())[0]
    axes.plot(x, [e.mean for e in estimates], color=colour, marker=marker, markersize=5 if band else 3,
              linewidth=1.8 if band else 1.3, zorder=3)  # fmt: skip
    low, high = [e.low for e in estimates], [e.high for e in estimates]
    if band and None not in low:
        axes.fill_between(x, np.array(low, float), np.array(high, float), color=colour, alpha=0.12,
                          linewidth=0, zorder=2)  # fmt: skip
