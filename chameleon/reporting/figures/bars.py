"""Grouped bars per domain and method, wrapped into as many rows as keep them readable."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.style import FAINT, INK, method_style

BARS_PER_ROW = 70


def bar_panels(
    rows: pd.DataFrame, value: str, methods: list[str], domains: list[str], height: float, side: float = 0.0
) -> tuple[Figure, list[Axes], Axes]:
    """Return a figure with grouped bars per domain, wrapped into as many rows as keep bars readable.

    Args:
        rows: columns method, domain, seed and `value`; a bar is the mean, a dot one seed.
        value: column to draw.
        methods, domains: in order.
        height: of one row, inches.
        side: width of a further panel to the right, inches; 0: none (the first axes are returned for it).
    """
    per_row = math.ceil(len(domains) / math.ceil(len(domains) * len(methods) / BARS_PER_ROW))
    chunks = [domains[i : i + per_row] for i in range(0, len(domains), per_row)]
    width = min(11.0, max(6.6 if side else 7.0, per_row * (0.13 * len(methods) + 0.45) + 1))
    figure = Figure(figsize=(width + side, height * len(chunks) + 0.5))
    grid = figure.add_gridspec(len(chunks), 2 if side else 1, width_ratios=(width, side) if side else None)
    panels: list[Axes] = []
    for number, chunk in enumerate(chunks):
        axes = figure.add_subplot(grid[number, 0], sharey=panels[0] if panels else None)
        panels.append(axes)
        for position, method in enumerate(methods):
            _bars(axes, rows[rows["method"] == method], value, chunk, method, position, len(methods))
        axes.set_xticks(range(len(chunk)), chunk)
        # A letter is about 0.085 inches wide.
        if max(map(len, chunk)) * 0.085 > (width - 1) / per_row:
            axes.set_xticks(range(len(chunk)), chunk, rotation=30, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.6, per_row - 0.4)
        axes.set_xlabel("domain")
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
    return figure, panels, figure.add_subplot(grid[:, 1]) if side else panels[0]


def _bars(
    axes: Axes, rows: pd.DataFrame, value: str, domains: list[str], method: str, position: int, count: int
) -> None:
    """Draw one method's bar in every domain's group: the mean, and a dot per seed where seeds differ."""
    width = 0.8 / count
    offset = (position - (count - 1) / 2) * width
    for i, domain in enumerate(domains):
        values = rows[rows["domain"] == domain][value].to_numpy()
        if not len(values):
            continue
        axes.bar(i + offset, values.mean(), 0.92 * width, color=method_style(method)[0],
                 label=method if i == 0 else None)  # fmt: skip
        if np.ptp(values) > 1e-9:
            spread = np.linspace(-0.22, 0.22, len(values)) * width
            axes.scatter(i + offset + spread, values, s=6, color=INK, linewidths=0, zorder=3)
