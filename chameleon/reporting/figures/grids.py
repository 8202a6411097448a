"""Forms that scale to many methods and domains: a table of coloured numbers, one small panel per domain."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.style import INK, rounded
from chameleon.reporting.statistics.stats import Estimate

#: Blue is better, white is no difference, red is worse; safe for colour-blind readers.
COLOURS = "RdBu"
UNDECIDED = "#8a8a8a"
Cell = tuple[float, bool] | None


def heat(
    axes: Axes,
    cells: Sequence[Sequence[Cell]],
    rows: Sequence[str],
    columns: Sequence[str],
    higher_is_better: bool = False,
    decimals: int = 1,
    rule_before: int | None = None,
) -> None:
    """Draw a table of numbers on colours: bold where decided, grey on white where not.

    Colour saturates at the 90th percentile of the sizes, so that one extreme cell does not pale the others.

    Args:
        axes: to draw on.
        cells: rows x columns of (number, whether its interval decides); None is left empty.
        rows, columns: names.
        higher_is_better: the sign that is shown in blue.
        decimals: of the numbers.
        rule_before: column before which a line stands, where means follow domains.
    """
    means = np.array([[np.nan if c is None else c[0] for c in row] for row in cells], dtype=float)
    sure = np.array([[c is not None and c[1] for c in row] for row in cells], dtype=bool)
    known = np.abs(means[np.isfinite(means)])
    top = max(float(np.quantile(known, 0.9)) if known.size else 0.0, 1e-9)
    shade = np.where(sure, means if higher_is_better else -means, np.where(np.isfinite(means), 0.0, np.nan))
    axes.imshow(shade, cmap=COLOURS, vmin=-1.3 * top, vmax=1.3 * top, aspect="auto")
    for (i, j), value in np.ndenumerate(means):
        if np.isfinite(value):
            strong = sure[i, j] and abs(value) > 0.85 * top
            axes.text(j, i, rounded(value, decimals, sign=True), ha="center", va="center", fontsize=8,
                      fontweight="bold" if sure[i, j] else "normal",
                      color="white" if strong else INK if sure[i, j] else UNDECIDED)  # fmt: skip
    turned = max(map(len, columns)) > 7
    axes.set_xticks(range(len(columns)), columns, rotation=35 if turned else 0,
                    ha="right" if turned else "center", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(np.arange(-0.5, len(columns)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(rows)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if rule_before is not None:
        axes.axvline(rule_before - 0.5, color=INK, linewidth=1)


def small_multiples(
    domains: Sequence[str], x_label: str, y_label: str, height: float = 2.0
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with one panel per domain, titled with its name, all on the same axes.

    Only the outer panels carry labels.
    """
    per_row = min(5, len(domains)) if len(domains) > 8 else min(4, len(domains))
    rows = -(-len(domains) // per_row)
    figure = Figure(figsize=(max(2.4 * per_row, 5) + 0.6, height * rows + 1.1))
    grid = figure.subplots(rows, per_row, sharex=True, sharey=True, squeeze=False)
    panels = {}
    for position, axes in enumerate(grid.flat):
        if position >= len(domains):
            axes.set_visible(False)
            continue
        axes.set_title(domains[position], fontsize=9.5, fontweight="normal")
        # The panel above a gap is the last of its column.
        last = position + per_row >= len(domains)
        axes.tick_params(labelbottom=last, labelsize=8.5)
        if last:
            axes.set_xlabel(x_label, fontsize=8.5)
        if position % per_row == 0:
            axes.set_ylabel(y_label, fontsize=8.5)
        panels[domains[position]] = axes
    return figure, panels


def cell(estimate: Estimate | None) -> Cell:
    """Return a difference and whether its interval excludes zero."""
    return None if estimate is None else (estimate.mean, estimate.excludes_zero)
