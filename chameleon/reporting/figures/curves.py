"""Figures of the base runs' training: how the difference to uniform moves with the token budget."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.grids import small_multiples
from chameleon.reporting.figures.style import (
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


def learning_curves(scenario: str, frames: Frames) -> Figure:
    """Difference to uniform in mean log-perplexity against training tokens, mean and interval over seeds."""
    curves = frames["curves"]
    methods = _comparable(curves)
    if not methods:
        return statement(f"Scenario {scenario} has no learning curves to compare with {YARDSTICK}.")
    figure = Figure(figsize=(7.6, 4.6))
    axes = figure.add_subplot()
    zero_line(axes, method_style(YARDSTICK)[0])
    domains = tested_domains(frames["metrics"])
    for method in methods:
        _line(axes, curve(curves, method, YARDSTICK, domains), method, band=True)
    axes.set_xlabel(f"training tokens of the base run ({_unit(curves['tokens'].max())[1]})")
    axes.set_ylabel("mean log-perplexity against uniform\n(nats/token)     below 0: better")
    title(figure, f"Difference to uniform as training goes on, {scenario} ({seeds(curves)}, paired)")
    legend_below(figure, [handle(YARDSTICK, marker=""), *(handle(m) for m in methods)])
    return figure


def learning_curves_domains(scenario: str, frames: Frames) -> Figure:
    """The same per domain, one panel each."""
    curves = frames["curves"]
    methods = _comparable(curves)
    if not methods:
        return statement(f"Scenario {scenario} has no learning curves to compare with {YARDSTICK}.")
    known = set(curves["domain"])
    domains = [d for d in tested_domains(frames["metrics"]) if d in known] or first_seen(curves["domain"])
    figure, panels = small_multiples(domains, f"training tokens ({_unit(curves['tokens'].max())[1]})",
                                     "against uniform\n(nats/token)")  # fmt: skip
    for axes in panels.values():
        zero_line(axes, method_style(YARDSTICK)[0])
    for method in methods:
        moved = apart(curves, method, YARDSTICK)
        for domain, axes in panels.items():
            if domain in moved.columns.get_level_values("domain"):
                _line(axes, moved.xs(domain, axis=1, level="domain"), method, band=False)
    title(figure, f"Log-perplexity against uniform as training goes on, {scenario} (mean of {seeds(curves)}, "
                  "paired); below 0: better")  # fmt: skip
    legend_below(figure, [handle(YARDSTICK, marker=""), *(handle(m) for m in methods)])
    return figure


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
