"""Place text labels beside points so that they cover neither each other nor the points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

#: Where a label may stand: direction from its point, in order of preference.
DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
ALIGN = {1: "left", 0: "center", -1: "right"}, {1: "bottom", 0: "center", -1: "top"}


def place_labels(
    figure: Figure,
    axes: Axes,
    points: np.ndarray,
    labels: list[str],
    colour: str,
    avoid: list[np.ndarray],
    size: float | None = None,
) -> None:
    """Write one label beside each point, in the direction that overlaps least.

    Greedy, in the order of the points: enough for some dozens of labels, and deterministic.

    Args:
        figure: the figure of `axes`, with everything else already drawn.
        axes: where the points are.
        points: k x 2, in data units.
        labels: k texts.
        colour: of the text.
        avoid: further points not to be covered, each n x 2.
        size: of the letters, points; None: as all text.
    """
    figure.draw_without_rendering()  # settles the layout, so that data units have their final place
    renderer = FigureCanvasAgg(figure).get_renderer()
    scale = figure.dpi / 72
    taken = [Bbox.from_bounds(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale)
             for x, y in axes.transData.transform(np.concatenate([points, *avoid]))]  # fmt: skip
    inside = axes.get_window_extent(renderer)
    for point, label in zip(points, labels, strict=True):
        best, best_cost, best_box = None, np.inf, None
        for dx, dy in DIRECTIONS:
            distance = 9 if 0 in (dx, dy) else 6
            text = axes.annotate(label, point, xytext=(distance * dx, distance * dy), zorder=4, color=colour,
                                 size=size, textcoords="offset points", ha=ALIGN[0][dx],
                                 va=ALIGN[1][dy])  # fmt: skip
            box = text.get_window_extent(renderer)
            outside = box.width * box.height - _overlap(box, inside)
            cost = outside + sum(_overlap(box, other) for other in taken)
            if cost < best_cost - 1e-6:
                if best is not None:
                    best.remove()
                best, best_cost, best_box = text, cost, box
            else:
                text.remove()
        assert best_box is not None
        taken.append(best_box)


def _overlap(a: Bbox, b: Bbox) -> float:
    """Return the area that two boxes share, in square pixels."""
    shared = Bbox.intersection(a, b)
    return 0.0 if shared is None else float(shared.width * shared.height)
