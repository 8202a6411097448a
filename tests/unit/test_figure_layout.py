"""With ten methods and fifteen domains no text of a figure covers another or leaves the picture."""

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from suite_results import KINDS, suite
from tidy_results import write

from chameleon.reporting import catalogue
from chameleon.reporting.figures import DRAWINGS
from chameleon.reporting.figures.style import RC
from chameleon.reporting.records import tidy


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    results = write(tmp_path_factory.mktemp("suite"), suite(seeds=(0, 1)))
    return tidy.of_scenarios(results, KINDS)


def texts(figure: Figure) -> list[Text]:
    """Return the texts that are shown upright: of tick labels those within the axes' limits."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for minor in (False, True):
                locations = axis.get_ticklocs(minor=minor)
                labels = axis.get_ticklabels(minor=minor)
                inside = [low <= x <= high for x in locations]
                hidden |= {
                    t for t, shown in zip(labels, inside, strict=False) if not shown or not axes.get_visible()
                }
                hidden |= set(labels[len(inside) :])
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and t not in hidden
            and t.get_rotation() % 90 == 0]  # fmt: skip


#: The crowded scenario, and what a long scenario name or another kind changes.
CASES = [(name, "transfer") for name, kinds in catalogue.FIGURES.items() if "transfer" in kinds]
CASES += [(name, "finetune_languages") for name in ("learning_curves", "weights", "forgetting")]


@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_no_text_covers_another(frames, name, scenario):
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        figure = DRAWINGS[name](scenario, frames[scenario])
        figure.draw_without_rendering()
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [(t.get_text(), t.get_window_extent(renderer).padded(-1)) for t in texts(figure)]
    width, height = figure.bbox.size
    assert boxes
    for i, (text, box) in enumerate(boxes):
        assert box.x0 > -2 and box.y0 > -2 and box.x1 < width + 2 and box.y1 < height + 2, (
            f"{text!r} is cut off"
        )
        for other, second in boxes[i + 1 :]:
            assert not box.overlaps(second), f"{text!r} covers {other!r}"
