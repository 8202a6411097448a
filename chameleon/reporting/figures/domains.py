"""Figures of why Chameleon weighs as it does: affinity, leverage scores beside kλ, map of the embeddings.

Of several methods that compute them (variants of Chameleon), the first in reading order is shown.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from chameleon.reporting.figures.bars import bar_panels
from chameleon.reporting.figures.style import FAINT, INK, method_style, seeds, statement
from chameleon.reporting.labels import place_labels
from chameleon.reporting.records.tidy import Frames, diagnostic, first_seen, method_order


def affinity(scenario: str, frames: Frames) -> Figure:
    """Heat map of the affinity between domains, mean over seeds, centred at 0."""
    found = diagnostic(frames, "affinity")
    if found.empty:
        return statement(f"No method of scenario {scenario} computes an affinity between domains.")
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
    axes.set_title(f"Affinity of the domains, {scenario} (mean of {seeds(found)})")
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("affinity (hidden-state units squared)")
    bar.outline.set_visible(False)
    return figure


def krls(scenario: str, frames: Frames) -> Figure:
    """Bars of the leverage scores with one dot per seed; kλ against the eigenvalues beside them."""
    scores = diagnostic(frames, "score")
    if scores.empty:
        return statement(f"No method of scenario {scenario} computes leverage scores.")
    methods, domains = method_order(scores["method"]), first_seen(scores["domain"])
    figure, panels, side = bar_panels(scores, "value", methods, domains, height=3.6, side=2.6)
    for axes in panels:
        axes.set_ylabel("leverage score (high: distinctive)")
    panels[0].set_title(f"Leverage scores, {scenario} ({seeds(scores)})")
    if len(methods) > 1:
        panels[0].legend()
    method = methods[0]
    values = diagnostic(frames, "eigenvalue", method)
    k_lambda = diagnostic(frames, "k_lambda", method)["value"]
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


def pca(scenario: str, frames: Frames) -> Figure:
    """Map of the domain embeddings: first seed solid and labelled, the others faint and aligned to it."""
    found = diagnostic(frames, "embedding_pc")
    if found.empty:
        return statement(f"No method of scenario {scenario} computes domain embeddings.")
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
    shares = diagnostic(frames, "embedding_pc_share", method).groupby("other")["value"].mean()
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


def align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return `points` rotated and mirrored onto `target`, about the origin, without scaling.

    Principal components have no sign, and near-equal ones no direction: two seeds can show one map turned.
    The orthogonal Procrustes solution: R = UVᵀ of the SVD of pointsᵀ target.

    Args:
        points, target: k x 2, row i of both is the same domain.
    """
    u, _, vt = np.linalg.svd(points.T @ target)
    return points @ u @ vt


def _coordinates(rows: pd.DataFrame, domains: list[str]) -> np.ndarray:
    """Return k x 2: the first two principal components; 0 for one that does not exist (k = 1)."""
    table = rows.pivot(index="domain", columns="other", values="value")
    return table.reindex(index=domains, columns=["1", "2"], fill_value=0.0).to_numpy(dtype=float)
