"""Figures of the sensitivity study: one per factor, an overview, sources of spread, averaging, eigenvalues.

Reads the study's tidy files; writes `figures/sensitivity_{name}.png` and `.pdf`, whose bytes depend on the
numbers only. Every domain has one colour and one marker in all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from chameleon.experiment.study_settings import FACTORS
from chameleon.reporting.figures.style import BAND, FAINT, INK, own_look, save, statement
from chameleon.reporting.records.tidy import first_seen
from chameleon.sensitivity.catalogue import FIGURES
from chameleon.sensitivity.files import read_all
from chameleon.sensitivity.report.spread_figures import averaging, domain_style, eigenvalues, seeds

Spec = Mapping[str, Any]
Frames = dict[str, pd.DataFrame]
OURS, OTHER = "#D55E00", "#0072B2"
#: Factors whose settings are numbers over several powers of ten or two.
LOGARITHMIC = ("ridge", "temperature", "windows", "window_length", "proxy_steps")


def make_figures(spec: Spec, results: Path, names: Sequence[str] = FIGURES) -> None:
    """Draw the figures of the study (all of them by default); one without data is a sentence that says so.

    Raises:
        UserError: a tidy file is missing or malformed.
    """
    frames = read_all(results)
    for name in names:
        with own_look():
            save(_DRAWINGS[name](spec, frames), results / "figures" / f"sensitivity_{name}")


def _axis(axes: Axes, factor: str, settings: list[str]) -> np.ndarray:
    """Set up the axis of a factor; return where settings stand: at their value if numbers, else in order."""
    try:
        at = np.array([float(s) for s in settings])
    except ValueError:
        at = np.arange(len(settings), dtype=float)
    if factor in LOGARITHMIC:
        axes.set_xscale("log")
    names = [s.replace("_", "\n") if factor == "proxy_scale" else s for s in settings]
    axes.set_xticks(at, names)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(FACTORS[factor])
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    return at


def _factor(factor: str, spec: Spec, frames: Frames) -> Figure:
    """Left the weights along the factor, right their distance to the default's and between two proxies."""
    weights = frames["sensitivity"]
    weights = weights[weights["factor"] == factor]
    far = frames["sensitivity_distances"]
    far = far[far["factor"] == factor]
    settings = first_seen(far["setting"])
    if len(settings) < 2:
        return statement(f"The study has one setting of {FACTORS[factor]} only.")
    domains = list(spec["domains"])
    figure = Figure(figsize=(10, 4.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    at = dict(zip(settings, _axis(left, factor, settings), strict=True))
    handles = []
    for domain in domains:
        colour, marker = domain_style(domains, domain)
        mine = weights[weights["domain"] == domain]
        mean = mine.groupby("setting")["weight"].mean()
        x = [at[s] for s in settings]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
        left.plot(x, [mean[s] for s in settings], linewidth=1.6, **look)
        left.scatter(mine["setting"].map(at), mine["weight"], s=7, color=colour, alpha=0.45, linewidths=0)
        handles.append(Line2D([], [], label=domain, **look))
    _mark_default(left, at, spec["defaults"][factor])
    left.axhline(1 / len(domains), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    left.set_ylim(bottom=0)
    left.set_ylabel("domain weight (share of tokens)")
    left.set_title(f"Weights along {FACTORS[factor]}")
    _axis(right, factor, settings)
    _mark_default(right, at, spec["defaults"][factor])
    for quantity, label, colour, marker in (
        ("to_default", "to the default's weights (95 % interval)", OURS, "o"),
        ("between_seeds", "between two proxies (range)", OTHER, "s"),
        ("between_draws", "between two draws of windows, same proxy", "#009E73", "D"),
        ("to_uniform", "to equal weights", "#7f7f7f", "^"),
    ):
        rows = far[far["quantity"] == quantity]
        if rows.empty:
            continue
        ends = ("minimum", "maximum") if quantity == "between_seeds" else ("low", "high")
        x = rows["setting"].map(at)
        right.plot(x, rows["mean"], color=colour, marker=marker, markersize=5, linewidth=1.4, label=label)
        if quantity != "to_uniform":
            right.vlines(x, rows[ends[0]].clip(lower=0), rows[ends[1]], color=colour, linewidth=1, alpha=0.7)
    right.set_ylim(bottom=0)
    right.set_ylabel("total variation distance")
    right.set_title("How far they move")
    handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="equal weights"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=9)
    figure.legend(handles=right.get_legend_handles_labels()[0], loc="outside lower right", fontsize=9)
    return figure


def _mark_default(axes: Axes, at: Mapping[str, float], default: str) -> None:
    if default in at:
        axes.axvline(at[default], color=FAINT, linewidth=6, zorder=0)


def _overview(spec: Spec, frames: Frames) -> Figure:
    """Dot and whisker: distance of every setting of every factor to the default's weights."""
    far = frames["sensitivity_distances"]
    rows: list[tuple[str, str, pd.Series]] = []
    for factor, title in FACTORS.items():
        mine = far[(far["factor"] == factor) & (far["quantity"] == "to_default") & ~far["default"]]
        rows += [(title, row["setting"], row) for _, row in mine.iterrows()]
    rows += [("seeds", row["setting"], row) for _, row in far[far["factor"] == "seed"].iterrows()]
    if not rows:
        return statement("The study varies nothing.")
    figure = Figure(figsize=(8.2, 0.24 * len(rows) + 1.4))
    axes = figure.add_subplot()
    titles = first_seen(title for title, _, _ in rows)
    for y, (title, _, row) in enumerate(rows):
        colour = OTHER if title == "seeds" else OURS
        low, high = (row["minimum"], row["maximum"]) if title == "seeds" else (row["low"], row["high"])
        if titles.index(title) % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color=BAND, zorder=0, linewidth=0)
        if not pd.isna(low):
            axes.hlines(y, max(0.0, low), high, color=colour, linewidth=1.4)
        axes.plot(row["mean"], y, marker="s" if title == "seeds" else "o", color=colour, markersize=5)
    default = far[far["default"] & (far["quantity"] == "to_uniform")]["mean"]
    if len(default):
        axes.axvline(default.iloc[0], color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    names = [
        f"{title.split(' (')[0]} = {setting}" if title != "seeds" else setting for title, setting, _ in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_ylabel("setting that is not at its default")
    axes.set_xlabel("total variation distance between sets of weights")
    axes.set_title("What moves Chameleon's weights")
    figure.legend(
        handles=[
            Line2D([], [], color=OURS, marker="o", label="to the default's weights (95 % interval)"),
            Line2D([], [], color=OTHER, marker="s", label="between two seeds (range)"),
            Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="default to equal weights"),
        ],
        loc="outside lower center", ncols=3, fontsize=8,
    )  # fmt: skip
    return figure


_DRAWINGS: dict[str, Callable[[Spec, Frames], Figure]] = {
    "overview": _overview, **{factor: partial(_factor, factor) for factor in FACTORS}, "seeds": seeds,
    "averaging": averaging, "eigenvalues": eigenvalues,
}  # fmt: skip
