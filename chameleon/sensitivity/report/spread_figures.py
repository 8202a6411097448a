"""Figures of the study on seeds: proxies with draws, what averaging is worth, eigenvalues against kλ.

Drawn by `sensitivity.figures`. Also the look of a domain, the same in all figures of the study.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from chameleon.reporting.figures.style import FAINT, INK, statement
from chameleon.reporting.records.tidy import first_seen
from chameleon.sensitivity.measure import order

Spec = Mapping[str, Any]
Frames = dict[str, pd.DataFrame]
#: Okabe and Ito's palette without its yellow, which is too faint for lines; then Paul Tol's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933")
MARKERS = "osD^vPX<>"


def domain_style(domains: list[str], domain: str) -> tuple[str, str]:
    """Return (colour, marker) of a domain by its place; both together differ for 81 domains."""
    i = domains.index(domain)
    return COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def _look(i: int) -> dict[str, Any]:
    """Return the colour and marker of the i-th of several lines."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def seeds(spec: Spec, frames: Frames) -> Figure:
    """Left every proxy with every draw, per domain; right the variance of each domain by its source."""
    weights = frames["sensitivity"]
    weights = weights[weights["factor"] == "seed"]
    parts = frames["sensitivity_variance"]
    if parts.empty:
        return statement("One proxy or one draw of windows shows no spread over seeds.")
    domains = list(spec["domains"])
    proxies = first_seen(weights["proxy_seed"])
    figure = Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    step = 0.8 / len(proxies)
    for p, seed in enumerate(proxies):
        for i, domain in enumerate(domains):
            mine = weights[(weights["proxy_seed"] == seed) & (weights["domain"] == domain)]["weight"]
            x = i + (p - (len(proxies) - 1) / 2) * step
            left.plot(np.full(len(mine), x), mine, **_look(p), linestyle="", markersize=4.5, alpha=0.75,
                      label=f"proxy seed {seed:.0f}" if i == 0 else None)  # fmt: skip
    left.set_xticks(range(len(domains)), domains, rotation=30, ha="right", rotation_mode="anchor")
    left.set_xlabel("domain")
    left.set_ylabel("domain weight (one mark per draw)")
    left.set_ylim(bottom=0)
    left.set_title("Every proxy with every draw of windows")
    left.grid(axis="y", color=FAINT, linewidth=0.6)
    bottom = np.zeros(len(domains) + 1)
    names = [*domains, "all"]
    for component, label, colour, hatch in (
        ("proxy", "proxy", "#0072B2", ""), ("windows", "windows", "#E69F00", "//"),
        ("both", "windows, differently per proxy", "#CC79A7", ".."),
    ):  # fmt: skip
        share = parts[parts["component"] == component].set_index("domain")["share"].reindex(names).to_numpy()
        right.barh(range(len(names)), 100 * share, left=100 * bottom, color=colour, hatch=hatch,
                   edgecolor="white", linewidth=0.5, label=label)  # fmt: skip
        bottom += share
    right.set_yticks(range(len(names)), names)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.axhline(len(domains) - 0.5, color=INK, linewidth=0.8)
    right.set_xlabel("share of the variance (%)")
    right.set_ylabel("domain")
    right.set_title("Where the spread comes from")
    handles = left.get_legend_handles_labels()[0] + right.get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))
    return figure


def averaging(spec: Spec, frames: Frames) -> Figure:
    """Repetition of every recipe against its cost in proxy steps."""
    found = frames["sensitivity_averaging"]
    found = found[found["repetition"].notna() & (found["how"] != "components of variance")]
    if found.empty:
        return statement("One proxy shows no spread, so averaging has nothing to show.")
    figure = Figure(figsize=(8.2, 5))
    axes = figure.add_subplot()
    looks = {key: i for i, key in enumerate(dict.fromkeys(zip(found["recipe"], found["how"], strict=True)))}
    for (recipe, how), i in looks.items():
        rows = found[(found["recipe"] == recipe) & (found["how"] == how)]
        axes.plot(rows["total_steps"], rows["repetition"], **_look(i), markersize=7, linewidth=0.8)
    # Recipes of one cost lie above each other: one label for them all, above the highest.
    for (proxies, steps), rows in found.groupby(["proxies", "steps"]):
        top = (rows["total_steps"].iloc[0], rows["repetition"].max())
        axes.annotate(f"{proxies:.0f} x {steps:.0f}", top, xytext=(0, 7), textcoords="offset points",
                      fontsize=8, color=INK, ha="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    axes.set_xscale("log")
    ticks = sorted(set(found["total_steps"]))
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", rotation=30)
    axes.margins(x=0.1, y=0.12)
    axes.set_ylim(bottom=0)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_xlabel("cost: proxy steps in all (log scale; labels: proxies x steps each)")
    axes.set_ylabel("total variation distance between\ntwo users who follow the recipe")
    axes.set_title("What averaging is worth")
    handles = [Line2D([], [], **_look(i), linestyle="", label=f"{recipe} ({how})")
               for (recipe, how), i in looks.items()]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=1, fontsize=8.5)
    return figure


def eigenvalues(spec: Spec, frames: Frames) -> Figure:
    """Eigenvalues of the affinity by rank for layers and proxies, against kλ of the default ridge."""
    found = frames["sensitivity_eigenvalues"]
    titles = {"layer": "By embedding layer", "proxy_steps": "By proxy steps", "proxy_scale": "By proxy size"}
    groups = [(factor, title) for factor, title in titles.items() if factor in set(found["factor"])]
    if not groups:
        return statement("The study has no eigenvalues to show.")
    figure = Figure(figsize=(3.7 * len(groups) + 0.6, 4.4))
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (factor, title) in zip(panels, groups, strict=True):
        mine = found[found["factor"] == factor]
        if factor != "layer":
            own = found[found["factor"] == "default"].assign(setting=spec["defaults"][factor])
            mine = pd.concat([mine, own])
        for i, setting in enumerate(sorted(set(mine["setting"]), key=lambda s: order(s, spec["scales"]))):
            mean = mine[mine["setting"] == setting].groupby("rank")["eigenvalue"].mean()
            # Centring makes the last eigenvalue zero; a log axis has no place for it.
            mean = mean[mean > 1e-9 * mean.max()]
            label = f"{setting} (default)" if setting == spec["defaults"][factor] else setting
            axes.plot(mean.index, mean, **_look(i), markersize=5, linewidth=1.2, label=label)
        axes.axhline(found["k_lambda"].iloc[0], color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="kλ")
        axes.set_yscale("log")
        axes.set_xlabel("rank")
        axes.set_title(title)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.legend(fontsize=7.5)
    panels[0].set_ylabel("eigenvalue of the affinity\n(mean over proxies, log scale)")
    return figure
