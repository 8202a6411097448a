"""The two pictures of `python -m chameleon regress`: how well the regression predicts, what matters to it.

Reads arrays, writes PNG files. The bytes depend on the numbers only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chameleon.core.artifacts import atomic

if TYPE_CHECKING:
    from chameleon.methods.regression.models import HeldOut
    from chameleon.methods.regression.tables import Swarm

#: Okabe and Ito: told apart with any colour vision; hatching serves print in grey.
BLUE, VERMILION, GREY, INK = "#0072B2", "#D55E00", "#999999", "#222222"
RC: Any = {
    "font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666", "axes.axisbelow": True,
    "legend.frameon": False, "savefig.dpi": 150, "figure.constrained_layout.use": True,
    "hatch.color": "white",
}  # fmt: skip
#: More bars than this are not read.
MOST_BARS = 30
#: Effects smaller than this share of the largest have no direction worth a colour.
FLAT = 0.01
NAMES = {
    "lightgbm": "LightGBM",
    "linear": "linear regression",
    "log_linear": "log-linear law",
    "olmix": "log-linear law, positive floor",
}


def draw_fit(path: Path, target: str, model: str, held_out: "HeldOut") -> None:
    """Write the scatter of predicted against true losses, with the diagonal where both agree."""
    predicted, true = held_out.predicted, held_out.true
    with _style():
        figure = Figure(figsize=(5.6, 5.4))
        axes = figure.add_subplot()
        low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
        pad = 0.04 * (high - low) or 0.1
        if true.min() <= predicted.max() and predicted.min() <= true.max():
            axes.plot([low - pad, high + pad], [low - pad, high + pad], color=INK, linewidth=0.9,
                      linestyle=(0, (4, 3)), label="predicted = true", zorder=1)  # fmt: skip
            axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect="equal")
            axes.legend(loc="lower right")
        else:
            # Runs of another size: their level is not predicted, their order is.
            axes.text(0.98, 0.03, "other level of loss than the fitted runs:\nonly the order is comparable",
                      transform=axes.transAxes, ha="right", color=INK, fontsize=10)  # fmt: skip
        axes.scatter(true, predicted, s=22, color=BLUE, alpha=0.65, linewidths=0, zorder=2)
        axes.grid(color="#e5e5e5", linewidth=0.7)
        axes.set_xlabel("true loss of a held-out run")
        axes.set_ylabel(f"loss predicted by {NAMES.get(model, model)}")
        rho = held_out.spearman
        said = "undefined" if rho is None else f"{rho:.3f}"
        axes.text(0.03, 0.97, f"Spearman {said}\nMSE {held_out.mse:.3g}\n{len(true)} runs",
                  transform=axes.transAxes, va="top", color=INK)  # fmt: skip
        figure.suptitle(_fold(target), x=0.02, ha="left", fontweight="bold", fontsize=12)
        axes.set_title(_fold(held_out.what), fontweight="normal", fontsize=10)
        _save(figure, path)


def draw_importance(
    path: Path, swarm: "Swarm", model: str, importance: np.ndarray, effects: np.ndarray
) -> None:
    """Write bars, longest first: each domain's share of importance, coloured by whether it helps or hurts."""
    order = np.argsort(-importance, kind="stable")[:MOST_BARS]
    flat = FLAT * float(np.abs(effects).max())
    looks = {
        "helps": (BLUE, "", "more of it lowers the loss"),
        "hurts": (VERMILION, "///", "more of it raises the loss"),
        "flat": (GREY, "...", "neither, on average"),
    }
    kinds = ["flat" if abs(e) <= flat else "helps" if e < 0 else "hurts" for e in effects]
    with _style():
        figure = Figure(figsize=(7.2, 1.8 + 0.3 * len(order)))
        axes = figure.add_subplot()
        for place, i in enumerate(order):
            colour, hatch, _ = looks[kinds[i]]
            axes.barh(place, importance[i], color=colour, hatch=hatch, height=0.75)
            axes.text(importance[i], place, f" {_percent(importance[i])}", va="center", fontsize=9, color=INK)
        axes.set_yticks(range(len(order)), [swarm.domains[i] for i in order])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, max(1.12 * float(importance.max()), 0.05))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        axes.grid(axis="x", color="#e5e5e5", linewidth=0.7)
        what = "gain of all splits" if model == "lightgbm" else "coefficient x spread of the weights"
        axes.set_xlabel(f"importance of the domain's weight to {NAMES.get(model, model)}\n(share of {what})")
        left = len(importance) - len(order)
        rest = f" ({left} lesser domains not shown)" if left else ""
        figure.suptitle(f"What {_fold(swarm.target)} depends on{rest}", x=0.02, ha="left",
                        fontweight="bold", fontsize=12)  # fmt: skip
        shown = [look for kind, look in looks.items() if kind in {kinds[i] for i in order}]
        handles = [Patch(facecolor=colour, hatch=hatch, label=label) for colour, hatch, label in shown]
        axes.legend(handles=handles, loc="lower right")
        _save(figure, path)


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib's own defaults and ours: the user's matplotlibrc plays no part."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def _percent(share: float) -> str:
    return "< 1%" if 0 < share < 0.005 else f"{share:.0%}"


def _fold(text: str) -> str:
    return text if len(text) <= 60 else f"...{text[-57:]}"


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
