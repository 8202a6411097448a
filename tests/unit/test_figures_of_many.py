"""Figures of more methods than lines or bars of one panel can tell apart."""

import numpy as np
import pytest
from test_figures import draw, moving, texts
from tidy_results import DOMAINS, frames, perplexity

from chameleon.reporting.figures import DRAWINGS


def many(rows, files=None):
    """Give natural twelve more names, a to l, in the tidy files named (None: all)."""
    for file in files or tuple(rows):
        natural = [r for r in rows[file] if r["method"] == "natural"]
        rows[file] += [{**r, "method": label} for label in "abcdefghijkl" for r in natural]
    return rows


def test_many_learning_curves_get_a_panel_each_the_lowest_first(tmp_path):
    rows = many(frames())
    panels = draw("learning_curves", tmp_path, rows).axes
    shown = [axes.get_title() for axes in panels if axes.get_visible()]
    # Natural and its names alike, in their order; chameleon is above uniform or below it.
    end = np.mean([np.log(perplexity("chameleon", d, s) / perplexity("uniform", d, s))
                   for d in DOMAINS for s in (0, 1, 2)])  # fmt: skip
    same = np.mean([np.log(perplexity("natural", d, s) / perplexity("uniform", d, s))
                    for d in DOMAINS for s in (0, 1, 2)])  # fmt: skip
    names = ["natural", *"abcdefghijkl"]
    assert shown == (["chameleon", *names] if end < same else [*names, "chameleon"])
    mine = panels[shown.index("chameleon")]
    assert mine.lines[-1].get_ydata()[-1] == pytest.approx(end) and len(mine.collections) == 1
    low, high = mine.get_ylim()
    assert low < min(end, same) and high > max(end, same), "no mean is cut off"
    figure = draw("learning_curves_domains", tmp_path, rows)
    assert "12 lowest of 14 methods" in texts(figure)
    assert len(figure.legends[0].get_texts()) == 13, "and uniform"


def test_weights_of_many_methods_are_a_table_of_differences_to_equal_ones(tmp_path):
    (axes,) = draw("weights", tmp_path, many(frames())).axes
    assert [t.get_text() for t in axes.get_yticklabels()][:2] == ["uniform", "natural"]
    shown = {t.get_position(): t for t in axes.texts}
    # Natural holds half of its tokens from the first of three domains; chameleon's share moves by seed.
    assert shown[0, 1].get_text() == "+16.7" and shown[0, 1].get_fontweight() == "bold"
    chameleon = [t.get_text() for t in axes.get_yticklabels()].index("chameleon")
    assert shown[0, chameleon].get_text() == "−3.3" and shown[0, chameleon].get_fontweight() == "normal"
    assert axes.images[0].get_array()[1, 0] > 0, "more is blue"


def test_many_methods_whose_weights_move_get_a_row_each(tmp_path):
    rows = many(moving(frames()), files=("weights", "curves"))
    figure = draw("weights_over_time", tmp_path, rows)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 13 * len(DOMAINS)
    assert [axes.get_ylabel() for axes in panels[:: len(DOMAINS)]] == ["natural", *"abcdefghijkl"]
    ends = [line.get_ydata()[-1] for line in panels[0].lines if line.get_linewidth() == 1.6]
    assert ends == pytest.approx([0.75] * 3)


def test_means_far_apart_are_drawn_to_a_logarithmic_scale(tmp_path):
    rows = many(frames(), files=("metrics",))
    assert draw("relative_perplexity", tmp_path, rows).axes[0].get_xscale() == "linear"
    for row in rows["metrics"]:
        if row["metric"] == "mean_perplexity" and row["method"] in "abcdef":
            row["value"] *= 2 + "abcdef".index(row["method"])
    axes = draw("relative_perplexity", tmp_path, rows).axes[0]
    assert axes.get_xscale() == "symlog"
    assert "+100" in [t.get_text() for t in axes.get_xticklabels()]


@pytest.mark.parametrize("name", DRAWINGS)
def test_one_seed_of_many_methods_is_drawn(tmp_path, name):
    figure = draw(name, tmp_path, many(moving(frames(seeds=(0,)))))
    figure.draw_without_rendering()
    assert texts(figure)
