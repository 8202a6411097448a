"""Figures of the results: weights, affinity, leverage scores, map of the domains, perplexity against uniform.

Last stage of the flow. Reads the tidy files metrics.csv, weights.csv and diagnostics.csv; writes each figure
as `{scenario}_{name}.png` and `.pdf`. The bytes depend on the numbers only: no dates, matplotlib's own
defaults whatever the user's matplotlibrc says, no pyplot state.
"""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from chameleon import tidy
from chameleon.artifacts import atomic
from chameleon.catalogue import FIGURES
from chameleon.labels import place_labels
from chameleon.tidy import YARDSTICK, first_seen, method_order

__all__ = ["FIGURES", "make_figures", "method_style"]

Frames = dict[str, pd.DataFrame]
#: One colour and one marker per method in every figure: Okabe and Ito's palette, which readers with any
#: colour vision can tell apart, and two of Paul Tol's where it runs out. Markers serve print in grey.
STYLES = {
    "uniform": ("#7f7f7f", "s"), "natural": ("#56B4E9", "D"), "chameleon": ("#D55E00", "o"),
    "doremi": ("#0072B2", "^"), "doge": ("#009E73", "v"), "regmix": ("#CC79A7", "P"),
    "aioli": ("#E69F00", "X"), "temperature": ("#999933", "<"), "unimax": ("#882255", ">"),
    "fixed": ("#000000", "*"),
}  # fmt: skip
#: For methods that are not named above; which one is a function of the name.
SPARE = (("#332288", "h"), ("#44AA99", "p"), ("#661100", "d"), ("#6699CC", "8"))
INK, FAINT = "#222222", "#d9d9d9"
BARS_PER_ROW = 70
RC: Any = {
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666", "axes.axisbelow": True,
    "legend.frameon": False, "pdf.fonttype": 42, "savefig.dpi": 150, "figure.constrained_layout.use": True,
}  # fmt: skip


def make_figures(results: Path, out: Path, scenarios: list[str]) -> None:
    """Draw every figure of every scenario into `out`.

    A figure that a scenario has no data for is still written, as a sentence that says so.

    Raises:
        UserError: a tidy file is missing or malformed, or holds no row of a scenario.
    """
    for scenario in scenarios:
        frames = tidy.of_scenario(Path(results), scenario)
        for name in FIGURES:
            # The user's matplotlibrc must not change the picture.
            with matplotlib.rc_context():
                matplotlib.rcdefaults()
                matplotlib.rcParams.update(RC)
                figure = _DRAWINGS[name](scenario, frames)
                _save(figure, Path(out) / f"{scenario}_{name}")


def method_style(method: str) -> tuple[str, str]:
    """Return (colour, marker) of a method, the same in every figure and every run."""
    digest = hashlib.sha256(method.encode()).digest()
    return STYLES.get(method, SPARE[digest[0] % len(SPARE)])


def _save(figure: Figure, stem: Path) -> None:
    for suffix, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "ModDate": None})):
        with atomic(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata)


def _statement(text: str) -> Figure:
    """Return a figure that holds one sentence: there is nothing to draw, and why."""
    figure = Figure(figsize=(7, 1.6))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=INK)
    return figure


def _weights(scenario: str, frames: Frames) -> Figure:
    """Grouped bars: mean weight per domain and method, one dot per seed."""
    weights = frames["weights"]
    methods, domains = method_order(weights["method"]), first_seen(weights["domain"])
    # Of weights that move during training: those of the last stage.
    last = weights.groupby(["method", "seed"])["step"].transform("max")
    figure, panels, _ = _bar_panels(weights[weights["step"] == last], "weight", methods, domains, height=3.2)
    dashes: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3))}
    for axes in panels:
        axes.axhline(1 / len(domains), zorder=1.5, **dashes)
        axes.set_ylabel("domain weight\n(share of tokens)")
    panels[0].set_title(f"Domain weights, {scenario} ({_seeds(weights)})")
    handles = list(panels[0].get_legend_handles_labels()[0])
    handles.append(Line2D([], [], label="equal weights, 1/k", **dashes))
    if weights["seed"].nunique() > 1:
        handles.append(Line2D([], [], color=INK, marker="o", markersize=3, linestyle="", label="one seed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _affinity(scenario: str, frames: Frames) -> Figure:
    """Heat map of the affinity between domains, mean over seeds, centred at 0."""
    found = _diagnostic(frames, "affinity")
    if found.empty:
        return _statement(f"No method of scenario {scenario} computes an affinity between domains.")
    found = found[found["method"] == method_order(found["method"])[0]]
    domains = first_seen(found["domain"])
    matrix = found.groupby(["domain", "other"])["value"].mean().unstack().loc[domains, domains].to_numpy()
    k, top = len(domains), max(float(np.abs(matrix).max()), np.finfo(float).tiny)
    figure = Figure(figsize=(max(5.0, 0.62 * k + 2.2), max(4.0, 0.5 * k + 1.6)))
    axes = figure.add_subplot()
    image = axes.imshow(matrix, cmap="RdBu_r", norm=TwoSlopeNorm(0, -top, top), aspect="auto")
    if k <= 16:
        decimals = 0 if top >= 100 else 1 if top >= 10 else 2
        for (i, j), value in np.ndenumerate(matrix):
            text = f"{value:.{decimals}f}".replace("-", "−")
            axes.text(j, i, text, ha="center", va="center", fontsize=9 if k <= 10 else 7,
                      color="white" if abs(value) > 0.6 * top else INK)  # fmt: skip
    axes.set_xticks(range(k), domains, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(k), domains)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("domain")
    axes.set_ylabel("domain")
    axes.set_title(f"Affinity of the domains, {scenario} (mean of {_seeds(found)})")
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("affinity (hidden-state units squared)")
    bar.outline.set_visible(False)
    return figure


def _krls(scenario: str, frames: Frames) -> Figure:
    """Bars of the leverage scores with one dot per seed; kλ against the eigenvalues beside them."""
    scores = _diagnostic(frames, "score")
    if scores.empty:
        return _statement(f"No method of scenario {scenario} computes leverage scores.")
    methods, domains = method_order(scores["method"]), first_seen(scores["domain"])
    figure, panels, side = _bar_panels(scores, "value", methods, domains, height=3.6, side=2.6)
    for axes in panels:
        axes.set_ylabel("leverage score (high: distinctive)")
    panels[0].set_title(f"Leverage scores, {scenario} ({_seeds(scores)})")
    if len(methods) > 1:
        panels[0].legend()
    method = methods[0]
    values = _diagnostic(frames, "eigenvalue")
    values = values[values["method"] == method]
    k_lambda = _diagnostic(frames, "k_lambda")
    k_lambda = k_lambda[k_lambda["method"] == method]["value"]
    colour, marker = method_style(method)
    spectrum = values.assign(rank=values["other"].astype(int) + 1)
    # Centring makes the last eigenvalue zero; a log axis has no place for it.
    spectrum = spectrum[spectrum["value"] > 1e-9 * spectrum["value"].max()]
    look: dict[str, Any] = {"color": colour, "marker": marker, "linewidths": 0, "alpha": 0.7}
    side.scatter(spectrum["rank"], spectrum["value"], s=16, **look)
    if len(k_lambda):
        level = float(k_lambda.iloc[0])
        side.axhline(level, color=INK, linewidth=1)
        # Eigenvalues fall from left to right: the corner between the axis and the line is free.
        below = level < spectrum["value"].max()
        side.annotate(f"kλ = {level:.4g}", (0.03, level), xycoords=("axes fraction", "data"), color=INK,
                      xytext=(0, -4 if below else 3), textcoords="offset points",
                      va="top" if below else "bottom")  # fmt: skip
    if len(spectrum):
        side.set_yscale("log")
        # Few decades need ticks between the powers of ten; many have no room for them.
        span = max(spectrum["value"].max(), *k_lambda) / min(spectrum["value"].min(), *k_lambda)
        subs = (1, 2, 3, 5, 7) if span < 15 else (1, 2, 5) if span < 1000 else (1,)
        side.yaxis.set_major_locator(LogLocator(subs=subs))
        side.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.yaxis.set_minor_locator(NullLocator())
    side.xaxis.set_major_locator(MaxNLocator(integer=True))
    side.set_xlabel("rank")
    side.set_ylabel("eigenvalue of the affinity (log scale)")
    side.set_title("Eigenvalues against kλ")
    return figure


def _pca(scenario: str, frames: Frames) -> Figure:
    """Map of the domain embeddings: first seed solid and labelled, the others faint and aligned to it."""
    found = _diagnostic(frames, "embedding_pc")
    if found.empty:
        return _statement(f"No method of scenario {scenario} computes domain embeddings.")
    method = method_order(found["method"])[0]
    found = found[found["method"] == method]
    domains, seeds = first_seen(found["domain"]), sorted(set(found["seed"]))
    points = {s: _coordinates(found[found["seed"] == s], domains) for s in seeds}
    first = points[seeds[0]]
    figure = Figure(figsize=(6.6, 5.4))
    axes = figure.add_subplot()
    colour, marker = method_style(method)
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
    others = [align(points[seed], first) for seed in seeds[1:]]
    for moved in others:
        for a, b in zip(first, moved, strict=True):
            axes.plot(*np.stack([a, b]).T, color=FAINT, linewidth=0.8, zorder=1)
        axes.scatter(moved[:, 0], moved[:, 1], s=22, color=colour, marker=marker, alpha=0.35,
                     linewidths=0, zorder=2)  # fmt: skip
    axes.scatter(first[:, 0], first[:, 1], s=60, color=colour, marker=marker, edgecolors="white",
                 linewidths=0.8, zorder=3)  # fmt: skip
    shares = _diagnostic(frames, "embedding_pc_share")
    shares = shares[shares["method"] == method].groupby("other")["value"].mean()
    for which, label in (("1", axes.set_xlabel), ("2", axes.set_ylabel)):
        share = f" ({100 * shares[which]:.0f} % of variance)" if which in shares.index else ""
        label(f"principal component {which}{share}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.18)
    axes.set_title(f"Map of the domain embeddings, {scenario}")
    look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": ""}
    handles = [Line2D([], [], markersize=7, label=f"seed {seeds[0]}", **look)]
    if len(seeds) > 1:
        handles.append(Line2D([], [], markersize=5, alpha=0.35, label="other seeds, rotated onto it", **look))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    place_labels(figure, axes, first, domains, INK, avoid=others)
    return figure


def _relative_perplexity(scenario: str, frames: Frames) -> Figure:
    """Dot and whisker: paired difference to uniform in percent, per domain and for the mean."""
    metrics = frames["metrics"]
    methods = [m for m in method_order(metrics["method"]) if m != YARDSTICK]
    if YARDSTICK not in set(metrics["method"]) or not methods:
        return _statement(f"Scenario {scenario} has no method to compare with {YARDSTICK}.")
    domains = first_seen(metrics[metrics["metric"] == "perplexity"]["domain_or_task"])
    rows = [(d, "perplexity") for d in domains] + [("mean", "mean_perplexity")]
    step = 0.8 / len(methods)
    figure = Figure(figsize=(7, len(rows) * max(0.42, 0.14 * len(methods)) + 1.6))
    axes = figure.add_subplot()
    for row in range(0, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4", zorder=0)
    axes.axvline(0, color=method_style(YARDSTICK)[0], linewidth=1.5, zorder=1)
    for position, method in enumerate(methods):
        colour, marker = method_style(method)
        for row, (domain, metric) in enumerate(rows):
            estimate = tidy.to_uniform(metrics, method, domain, metric)
            if estimate is None:
                continue
            y = row + (position - (len(methods) - 1) / 2) * step
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.6, zorder=2)
            fill = colour if estimate.excludes_zero else "white"
            axes.plot(estimate.mean, y, marker=marker, markersize=6.5, color=colour, zorder=3,
                      markerfacecolor=fill, markeredgewidth=1.4)  # fmt: skip
    axes.axhline(len(domains) - 0.5, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [*domains, "mean perplexity"])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("test domain")
    one = metrics["seed"].nunique() == 1
    note = "one seed: no intervals" if one else "filled: the 95 % interval excludes 0; hollow: undecided"
    axes.set_xlabel(f"← better          perplexity relative to uniform (%)          worse →\n{note}")
    axes.set_title(f"Perplexity against uniform, {scenario} ({_seeds(metrics)}, paired)")
    handles = [Line2D([], [], color=method_style(YARDSTICK)[0], label=YARDSTICK)]
    handles += [Line2D([], [], color=method_style(m)[0], marker=method_style(m)[1], label=m) for m in methods]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
    return figure


_DRAWINGS: dict[str, Callable[[str, Frames], Figure]] = {
    "weights": _weights, "affinity": _affinity, "krls": _krls, "pca": _pca,
    "relative_perplexity": _relative_perplexity,
}  # fmt: skip


def align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return `points` rotated and mirrored onto `target`, about the origin, without scaling.

    Principal components have no sign, and near-equal ones no direction: two seeds can show one map turned.
    The orthogonal Procrustes solution: R = UVᵀ of the SVD of pointsᵀ target.

    Args:
        points, target: k x 2, row i of both is the same domain.
    """
    u, _, vt = np.linalg.svd(points.T @ target)
    return points @ u @ vt


def _bar_panels(
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


def _coordinates(rows: pd.DataFrame, domains: list[str]) -> np.ndarray:
    """Return k x 2: the first two principal components; 0 for one that does not exist (k = 1)."""
    table = rows.pivot(index="domain", columns="other", values="value")
    return table.reindex(index=domains, columns=["1", "2"], fill_value=0.0).to_numpy(dtype=float)


def _diagnostic(frames: Frames, quantity: str) -> pd.DataFrame:
    diagnostics = frames["diagnostics"]
    return diagnostics[diagnostics["quantity"] == quantity]


def _seeds(frame: pd.DataFrame) -> str:
    n = frame["seed"].nunique()
    return "1 seed" if n == 1 else f"{n} seeds"
