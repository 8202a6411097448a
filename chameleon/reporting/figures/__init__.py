"""Figures of the results: ranks, perplexity, learning curves, weights, few-shot, quality against compute.

Last stage of the flow. Reads the tidy files; writes each figure as `{scenario}_{name}.png` and `.pdf`. One
file a subject; this one knows which name is drawn by what.
"""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from chameleon.reporting import catalogue
from chameleon.reporting.figures.costs import quality_cost
from chameleon.reporting.figures.curves import learning_curves, learning_curves_domains
from chameleon.reporting.figures.distance import distance
from chameleon.reporting.figures.domains import affinity, krls, pca
from chameleon.reporting.figures.fewshot import fewshot
from chameleon.reporting.figures.perplexity import forgetting, relative_perplexity
from chameleon.reporting.figures.ranks import ranks
from chameleon.reporting.figures.style import method_style, own_look, save, statement
from chameleon.reporting.figures.weights import weights, weights_over_time
from chameleon.reporting.records import tidy
from chameleon.reporting.records.missing import Gaps, parts_of, short_note
from chameleon.reporting.records.tidy import Frames

__all__ = ["DRAWINGS", "make_figures", "method_style"]

#: Figure -> what draws it from the scenario's name and tidy frames.
DRAWINGS: dict[str, Callable[[str, Frames], Figure]] = {
    drawing.__name__: drawing
    for drawing in (ranks, distance, relative_perplexity, learning_curves, learning_curves_domains,
                    forgetting, weights, weights_over_time, affinity, krls, pca, fewshot, quality_cost)
}  # fmt: skip


def make_figures(results: Path, out: Path, scenarios: Mapping[str, str]) -> None:
    """Draw every figure of every scenario into `out`.

    A figure that a scenario has no data for is still written, as a sentence that says so.

    Args:
        results: folder of the tidy files.
        out: folder to write to; `chameleon.reporting.catalogue` says the file names.
        scenarios: {name: kind}, in reading order.

    Raises:
        UserError: a tidy file is missing or malformed, or holds no row of a scenario.
    """
    frames = tidy.of_scenarios(Path(results), scenarios)
    for stem, (name, scenario) in catalogue.figure_stems(scenarios).items():
        with own_look():
            note = short_note(frames[scenario], parts_of(name))
            save(of_scenario(name, scenario, frames[scenario]), Path(out) / stem, note)


def of_scenario(name: str, scenario: str, frames: Frames) -> Figure:
    """Return a figure of a scenario; where runs are missing, one that cannot be drawn is a sentence."""
    if not Gaps(frames):
        return DRAWINGS[name](scenario, frames)
    if frames["metrics"].empty:
        return statement(f"No run of scenario {scenario} is there.")
    try:
        drawn = DRAWINGS[name](scenario, frames)
        # Some layouts fail only when they are worked out.
        drawn.draw_without_rendering()
    except Exception:
        traceback.print_exc()
        return statement(f"The runs of scenario {scenario} that are there do not suffice for this figure.")
    if not drawn.axes:
        drawn = statement(f"{drawn.texts[0].get_text()} That is of the runs that are there.")
    return drawn
