"""Figure of ranks: which methods are ahead over all domains, and which of them can be told apart."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chameleon.reporting.figures.style import (
    INK,
    mark_names,
    method_style,
    point,
    rounded,
    statement,
    stripes,
    title,
)
from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import same_mixture
from chameleon.reporting.statistics.ranking import (
    FEWEST_BLOCKS,
    Places,
    critical_difference,
    friedman,
    over_both,
    placed,
)
from chameleon.reporting.statistics.stats import Estimate

#: Height of a method's row and of what stands above and below the rows, inches.
ROW, REST = 0.25, 1.75


class _Row(NamedTuple):
    """A method's mean rank: with the interval over seeds, with that over domains too; is it not uniform's?"""

    seeds: Estimate
    both: Estimate
    decided: bool


def ranks(scenario: str, frames: Frames) -> Figure:
    """Mean rank of every method over domains and seeds, the best on top, with its intervals."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    domains, same = tested_domains(metrics), same_mixture(frames["weights"])
    found = placed(metrics, domains, same)
    if found is None:
        return statement(f"In scenario {scenario} no seed has a run of every method, so none can be ranked.")
    if len(found.mixtures) < 2:
        return statement(f"Scenario {scenario} has a single mixture, so there is nothing to rank.")
    rows = _rows(found)
    order = sorted(found.first, key=lambda m: (rows[m].seeds.mean, found.mixtures.index(found.first[m])))
    figure = Figure(figsize=(7.6, ROW * (len(order) + 1) + REST))
    axes = figure.add_subplot()
    stripes(axes, len(order))
    if YARDSTICK in rows:
        x = rows[YARDSTICK].seeds.mean
        axes.plot([x, x], [-0.5, len(order) - 0.5], color=method_style(YARDSTICK)[0], linewidth=1.5, zorder=1)
    for y, method in enumerate(order):
        _draw(axes, y, method, rows[method])
    # A mixture's further names stand with the first.
    names = [m if found.first[m] == m else f"{m} (= {found.first[m]})" for m in order]
    axes.set_yticks(range(len(order)), names)
    axes.tick_params(axis="y", length=0)
    mark_names(axes, order, {YARDSTICK})
    most = len(found.mixtures)
    axes.set_xlim(1 - 0.03 * (most - 1), most + 0.03 * (most - 1))
    axes.set_ylim(len(order) - 0.5, -1.9)
    axes.set_ylabel("method")
    axes.set_xlabel(f"← better     mean rank over {len(domains)} domains "
                    f"(1: the best of {most} mixtures)     worse →")  # fmt: skip
    _ruler(axes, found)
    n = len(found.places)
    over = gaps.fewer(n) or (f"{n} seeds" if n > 1 else "1 seed")
    title(figure, f"Mean rank in test loss, {scenario} ({len(domains)} domains, {over})")
    figure.supxlabel(_note(n, YARDSTICK in rows), fontsize=8.5)
    return figure


def _rows(found: Places) -> dict[str, _Row]:
    """Return what is drawn of every method."""
    most, where = len(found.mixtures), {m: i for i, m in enumerate(found.mixtures)}
    uniform = found.places[:, where[found.first[YARDSTICK]]] if YARDSTICK in found.first else None
    drawn: dict[str, _Row] = {}
    for mixture, i in where.items():
        mine = found.places[:, i]
        over_seeds = stats.bounded(stats.mean_interval(mine.mean(axis=1)), 1, most)
        decided = uniform is not None and over_both(mine - uniform).excludes_zero
        drawn[mixture] = _Row(over_seeds, stats.bounded(over_both(mine), 1, most), decided)
    return {method: drawn[first] for method, first in found.first.items()}


def _draw(axes: Axes, y: int, method: str, row: _Row) -> None:
    """Draw a method's mean and both its intervals, and its mean as a number at the right."""
    for estimate, width in ((row.both, 1.2), (row.seeds, 3.4)):
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [y, y], color=method_style(method)[0], linewidth=width,
                      zorder=2, solid_capstyle="butt")  # fmt: skip
    point(axes, row.seeds.mean, y, method, 7, row.decided or method == YARDSTICK)
    axes.annotate(rounded(row.seeds.mean, 1), (1, y), xycoords=("axes fraction", "data"), xytext=(4, 0),
                  textcoords="offset points", va="center", fontsize=8.5, color=INK)  # fmt: skip


def _ruler(axes: Axes, found: Places) -> None:
    """Draw the critical difference above the rows, or say why there is none."""
    most, blocks = len(found.mixtures), found.places.shape[2]
    p = friedman(found.values.mean(axis=0))
    if p is None:
        said = f"fewer than {FEWEST_BLOCKS} domains: no test of all ranks"
    elif p > 1 - stats.LEVEL:
        said = f"Friedman's test over the domains: no two can be told apart (p = {p:.2f})"
    else:
        end = 1 + critical_difference(most, blocks)
        axes.plot([1, end], [-1.2, -1.2], color=INK, linewidth=1.4, marker="|", markersize=8)
        said = "nearer than this bar: not told apart by ranks alone"
        left = end < 1 + 0.42 * (most - 1)
        axes.annotate(said, (end if left else (1 + end) / 2, -1.2), fontsize=8.5, color=INK,
                      xytext=(6, 0) if left else (0, 5), textcoords="offset points",
                      va="center" if left else "bottom", ha="left" if left else "center")  # fmt: skip
        return
    axes.annotate(said, (0, -1.2), xycoords=("axes fraction", "data"), xytext=(4, 0), va="center",
                  textcoords="offset points", fontsize=8.5, color=INK)  # fmt: skip


def _note(n: int, with_uniform: bool) -> str:
    """Return what bars and markers mean."""
    if n == 1:
        return "one seed: no intervals"
    said = "thick: 95 % interval for other seeds; thin: for other seeds and other domains"
    if with_uniform:
        said += f"\nfilled: rank differs from {YARDSTICK}'s (grey line) for sure; hollow: undecided"
        said += "; grey names: controls"
    return said
