"""The look of all figures: one colour and marker per method, matplotlib's settings, saving, small helpers.

The bytes depend on the numbers only: no dates, matplotlib's own defaults whatever the user's matplotlibrc
says, no pyplot state.
"""

import colorsys
import hashlib
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.colors
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox

from chameleon.core.artifacts import atomic
from chameleon.reporting.records.tidy import YARDSTICK
from chameleon.reporting.statistics.stats import Estimate

#: One colour and one marker per method in every figure: Okabe and Ito's palette, which readers with any
#: colour vision can tell apart, and two of Paul Tol's where it runs out. Markers serve print in grey.
#: Variants that the default run has keep their method's hue, lighter or darker; controls are grey.
STYLES = {
    "uniform": ("#7f7f7f", "s"), "natural": ("#56B4E9", "D"), "chameleon": ("#D55E00", "o"),
    "doremi": ("#0072B2", "^"), "doge": ("#009E73", "v"), "regmix": ("#CC79A7", "P"),
    "aioli": ("#E69F00", "X"), "temperature": ("#999933", "<"), "unimax": ("#882255", ">"),
    "fixed": ("#000000", "*"),
    "chameleon_ft": ("#D55E00", "d"), "chameleon_pt": ("#6B2F00", "H"),
    "chameleon_retrained": ("#6B2F00", "p"), "aioli_regmix": ("#8C6100", "8"),
    "chameleon_scaled": ("#F2A26B", "o"), "aioli_mean": ("#F3C766", "X"),
    "chameleon_permuted": ("#9C9C9C", "x"), "chameleon_untrained": ("#B4B4B4", "+"),
    "single_domain": ("#C8C8C8", "1"),
    # Of a kind, of a hue: what a proxy, a swarm, experts or the base run itself says.
    "in_run_shapley": ("#44AA99", "v"), "climb": ("#AA4488", "P"), "mde": ("#AA4488", "X"),
    "data_mixing_law": ("#AA4488", "p"), "mixture_reuse": ("#AA4488", "d"),
    "olmix": ("#AA4488", "h"), "utilimax": ("#332288", "h"), "mixmin": ("#332288", "p"),
    "demix": ("#332288", "d"), "skill_it": ("#B37400", "*"), "odm": ("#E69F00", "<"),
    "ado": ("#E69F00", ">"), "rnb": ("#B37400", "^"), "pike": ("#B37400", "v"),
    "datamodel": ("#44AA99", "^"), "nested_mixing_law": ("#AA4488", "*"), "modular_merge": ("#332288", "D"),
    "regmean": ("#332288", "8"), "duet": ("#332288", "s"), "medu": ("#56B4E9", "p"), "da2": ("#56B4E9", "h"),
    "chameleon_lexical": ("#8A8A8A", "2"), "chameleon_sentence": ("#8A8A8A", "4"),
    "chameleon_lexical_scaled": ("#B4B4B4", "2"), "chameleon_sentence_scaled": ("#B4B4B4", "4"),
    "swarm_best": ("#C8C8C8", "3"),
}  # fmt: skip
#: For methods that are not named above and are no variant of one; which one is a function of the name.
SPARE = (("#332288", "h"), ("#44AA99", "p"), ("#661100", "d"), ("#6699CC", "8"))
INK, FAINT, BAND = "#222222", "#d9d9d9", "#f4f4f4"
RC: Any = {
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#666666", "axes.axisbelow": True,
    "legend.frameon": False, "pdf.fonttype": 42, "savefig.dpi": 150, "figure.constrained_layout.use": True,
}  # fmt: skip


def method_style(method: str) -> tuple[str, str]:
    """Return (colour, marker) of a method, the same in every figure and every run.

    A label that continues a known name after `_` (doremi_rounds) gets that method's hue, darker,
    and a marker of its own.
    """
    if method in STYLES:
        return STYLES[method]
    digest = hashlib.sha256(method.encode()).digest()
    spare = SPARE[digest[0] % len(SPARE)]
    known = [name for name in STYLES if method.startswith(f"{name}_")]
    if not known:
        return spare
    hue, light, saturation = colorsys.rgb_to_hls(*matplotlib.colors.to_rgb(STYLES[max(known, key=len)][0]))
    return matplotlib.colors.to_hex(colorsys.hls_to_rgb(hue, 0.55 * light, saturation)), spare[1]


def is_control(method: str) -> bool:
    """Whether a method is drawn as a control: in a grey that is neither black nor the yardstick's."""
    _, light, saturation = colorsys.rgb_to_hls(*matplotlib.colors.to_rgb(method_style(method)[0]))
    return method != YARDSTICK and saturation == 0 < light


#: A mean so many times as far out as the next one is drawn at the edge of a figure, with its number.
FAR = 5


def beyond(estimates: Mapping[str, Estimate]) -> tuple[set[str], float]:
    """Return the labels whose means would leave the others no room, and how far out the others reach.

    Controls can be a hundred times as bad as any method: all else would be one line.
    """
    order = sorted(estimates, key=lambda label: abs(estimates[label].mean))
    out = set[str]()
    while len(order) > 3 and abs(estimates[order[-1]].mean) > FAR * abs(estimates[order[-2]].mean) > 0:
        out.add(order.pop())
    ends = [(estimates[m].low, estimates[m].mean, estimates[m].high) for m in order]
    return out, max((abs(x) for end in ends for x in end if x is not None), default=0.0)


@contextmanager
def own_look() -> Iterator[None]:
    """Draw with our settings: the user's matplotlibrc must not change the picture."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def save(figure: Figure, stem: Path, note: str = "") -> None:
    """Write `stem`.png and `stem`.pdf, free of dates and versions; a note gets a strip of its own on top."""
    look: Any = {"bbox_inches": _above(figure, note)} if note else {}
    for suffix, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "ModDate": None})):
        with atomic(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata, **look)
        # Worked out once: a tenth of the time of a figure.
        figure.set_layout_engine("none")


def _above(figure: Figure, note: str) -> Bbox:
    """Write a note above a figure and return what to save, in inches; the layout stays as it is."""
    width, height = figure.get_size_inches()
    # A letter of this size is about 0.066 inches wide, a line 0.14 inches high.
    lines = textwrap.wrap(note, max(20, int((width - 0.3) / 0.066)))
    figure.text(
        0.1 / width, 1 + 0.06 / height, "\n".join(lines), fontsize=8, color=INK, ha="left", va="bottom"
    )
    return Bbox([[0, 0], [width, height + 0.14 * len(lines) + 0.12]])


def statement(text: str) -> Figure:
    """Return a figure that holds one sentence: there is nothing to draw, and why."""
    figure = Figure(figsize=(7, 1.6))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=INK)
    return figure


def seeds(frame: pd.DataFrame) -> str:
    """Return how many seeds the rows have, in words."""
    n = frame["seed"].nunique()
    return "1 seed" if n == 1 else f"{n} seeds"


def handle(method: str, **look: Any) -> Line2D:
    """Return a method's legend entry: its marker on its line."""
    colour, marker = method_style(method)
    return Line2D([], [], **{"color": colour, "marker": marker, "label": method, **look})


def legend_below(figure: Figure, handles: list[Any], columns: int = 5) -> None:
    """Put one legend for the whole figure below it, in rows of nearly equal length that fit its width."""
    # A letter is about 0.085 inches wide, the line and the gaps of an entry 0.7 inches.
    entry = 0.7 + 0.085 * max(len(h.get_label()) for h in handles)
    columns = max(1, min(columns, int(figure.get_figwidth() / entry)))
    rows = -(-len(handles) // columns)
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // rows))


def title(figure: Figure, text: str) -> None:
    """Put a title above several panels, where a single panel has its own: at the left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, fontweight="bold")


def zero_line(axes: Axes, vertical: bool = False) -> None:
    """Draw the line of no difference to uniform, in uniform's colour."""
    (axes.axvline if vertical else axes.axhline)(0, color=method_style(YARDSTICK)[0], linewidth=1.5, zorder=1)


#: Differences in percent are drawn to a linear scale up to here, and to a logarithmic one beyond.
LINEAR = 5.0


def percent_scale(
    axes: Axes, values: Iterable[float], vertical: bool = False, steps: Iterable[int] | None = None
) -> None:
    """Give an axis the scale of differences in percent, with ticks where their labels have room.

    Args:
        axes: whose axis, y if `vertical` and x otherwise.
        values: what is drawn, percent.
        steps: ticks on both sides of zero; None: as many as a wide axis holds.
    """
    ends = list(values)
    (axes.set_yscale if vertical else axes.set_xscale)("symlog", linthresh=LINEAR)
    if steps is None:
        # With decades on both sides of zero, the numbers between them run into each other.
        steps = (10, 100) if min(ends) < -100 else (5, 10, 30, 100, 300)
    ticks = [t for t in sorted((0, *steps, *(-s for s in steps))) if min(ends) <= t <= max(ends) or t == 0]
    axis = axes.yaxis if vertical else axes.xaxis
    axis.set_ticks(ticks, [f"{t:+d}".replace("-", "−") if t else "0" for t in ticks])
    axis.set_minor_locator(NullLocator())


def stripes(axes: Axes, rows: int, colour: str = BAND) -> None:
    """Shade every other row of a figure whose rows stand at 0, 1, …"""
    for y in range(0, rows, 2):
        axes.axhspan(y - 0.5, y + 0.5, color=colour, zorder=0)


def mark_names(axes: Axes, methods: Sequence[str], bold: Collection[str], **look: Any) -> None:
    """Mark the names of rows, one a method: those in `bold` stand out, controls are grey and slanted."""
    for label, method in zip(axes.get_yticklabels(), methods, strict=True):
        if method in bold:
            label.set(weight="bold", **look)
        elif is_control(method):
            label.set(color="#777777", style="italic")


def point(axes: Axes, x: float, y: float, method: str, size: float, filled: bool) -> None:
    """Draw a method's marker, filled where it is decided."""
    colour, marker = method_style(method)
    axes.plot(x, y, marker=marker, color=colour, markersize=size, zorder=3, markeredgewidth=1.4,
              markerfacecolor=colour if filled else "white")  # fmt: skip


def whisker(
    axes: Axes, estimate: Estimate, at: float, method: str, size: float, vertical: bool = False
) -> None:
    """Draw a method's mean and interval at a place across; filled where the interval excludes zero."""
    decided = estimate.excludes_zero or method == YARDSTICK
    if estimate.low is not None and estimate.high is not None:
        ends = [estimate.low, estimate.high], [at, at]
        axes.plot(*(ends[::-1] if vertical else ends), color=method_style(method)[0], linewidth=1.6, zorder=2)
    x, y = (at, estimate.mean) if vertical else (estimate.mean, at)
    point(axes, x, y, method, size, decided)


def rounded(value: float, decimals: int, sign: bool = False) -> str:
    """Return a number with a real minus; what rounds to zero has no sign."""
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    return f"{0:.{decimals}f}" if float(text) == 0 else text.replace("-", "−")
