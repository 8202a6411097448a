"""Ranks: by hand, anew for the methods shown, their tests, and the figure with few and with many methods."""

import matplotlib
import numpy as np
import pytest
import scipy.stats
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from tidy_results import DOMAINS, frames, of_scenario, write

from chameleon.reporting.figures.ranks import ranks as figure_of_ranks
from chameleon.reporting.figures.style import RC, is_control
from chameleon.reporting.statistics.ranking import (
    critical_difference,
    friedman,
    over_both,
    placed,
    ranks,
)
from chameleon.reporting.statistics.stats import mean_interval


def toy(tmp_path, rows=None):
    return of_scenario(write(tmp_path, rows or frames()), "toy")


def many(count: int, same: bool = False) -> dict:
    """Return results with further methods, each some percent off natural (or its very mixture)."""
    rows = frames()
    for i in range(count):
        for name, column in (("metrics", "value"), ("weights", "weight")):
            for r in [r for r in rows[name] if r["method"] == "natural"]:
                moved = r[column] if same or name == "weights" else r[column] * (1 + (7 * i % count) / 99)
                rows[name].append({**r, "method": f"variant_number_{i:02d}", column: moved})
    if not same:
        for r in rows["weights"]:
            if r["method"].startswith("variant"):
                r["weight"] += (int(r["method"][-2:]) + 1) * 1e-6
    return rows


def test_ranks_are_anew_of_the_methods_shown(tmp_path):
    metrics = toy(tmp_path)["metrics"]
    every = ranks(metrics, DOMAINS)
    fewer = ranks(metrics[metrics["method"] != "chameleon"], DOMAINS)
    assert set(fewer) == {"uniform", "natural"} and placed(metrics, DOMAINS).places.max() == 3
    # Without chameleon, natural is first on papers, ties on books, and code goes one each and a tie.
    assert fewer["natural"].mean == pytest.approx((1 + 1.5 + 1.5) / 3)
    assert fewer["uniform"].mean == pytest.approx(3 - (1 + 1.5 + 1.5) / 3)
    assert every["natural"].mean != fewer["natural"].mean


def test_an_interval_for_other_seeds_and_domains():
    values = np.array([[1.0, 3.0, 2.0], [2.0, 3.0, 1.0], [1.0, 2.0, 2.0]])
    both = over_both(values)
    halves = [mean_interval(values.mean(axis=axis)).half_width for axis in (0, 1)]
    assert (both.high - both.low) / 2 == pytest.approx(np.hypot(*halves))
    assert both.mean == pytest.approx(values.mean())
    assert over_both(values[:1]).low is None and over_both(values[:, :1]).half_width is not None


def test_friedman_against_scipy_with_ties():
    values = np.random.default_rng(3).integers(0, 6, size=(4, 9)).astype(float)
    chi2 = scipy.stats.friedmanchisquare(*values).statistic
    expected = scipy.stats.f.sf(8 * chi2 / (9 * 3 - chi2), 3, 24)
    assert friedman(values) == pytest.approx(expected)
    assert friedman(np.tile([[1.0], [2.0]], 5)) == 0 and friedman(np.ones((3, 6))) == 1
    assert friedman(values[:, :4]) is None and friedman(values[:1]) is None


def test_critical_difference_by_the_printed_table():
    """Demšar (2006), table 5: q of 2, 3 and 10 classifiers at 0.05 is 1.960, 2.343 and 3.164."""
    for k, q in ((2, 1.960), (3, 2.343), (10, 3.164)):
        assert critical_difference(k, 12) == pytest.approx(q * np.sqrt(k * (k + 1) / 72), abs=2e-3)


@pytest.mark.parametrize("count", [7, 27])
def test_the_figure_grows_with_the_methods_and_no_text_covers_another(tmp_path, count):
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        figure = figure_of_ranks("toy", toy(tmp_path, many(count)))
        figure.draw_without_rendering()
        renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    assert len(axes.get_yticklabels()) == count + 3 and figure.get_figheight() > 0.25 * count
    shown = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    low, high = axes.get_xlim()
    shown = [t for t in shown if t not in axes.get_xticklabels() or low <= t.get_position()[0] <= high]
    boxes = [t.get_window_extent(renderer).padded(-1) for t in shown]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :]), shown[i].get_text()


def test_the_figure_sorts_by_mean_rank_and_equal_mixtures_share_theirs(tmp_path):
    found = toy(tmp_path, many(1, same=True))
    (axes,) = figure_of_ranks("toy", found).axes
    names = [t.get_text() for t in axes.get_yticklabels()]
    alone = ranks(toy(tmp_path / "plain")["metrics"], DOMAINS)
    assert [n for n in names if "=" not in n] == sorted(alone, key=lambda m: alone[m].mean)
    (twin,) = [n for n in names if "=" in n]
    assert twin.startswith("variant_number_00 (= ") and "best of 3 mixtures" in axes.get_xlabel()


def test_what_is_a_control():
    assert is_control("single_domain") and is_control("chameleon_permuted") and is_control("swarm_best")
    assert not any(map(is_control, ("uniform", "fixed", "natural", "chameleon", "my_method")))


def test_what_cannot_be_ranked_is_said(tmp_path):
    one = figure_of_ranks("toy", toy(tmp_path, frames(methods=("uniform",))))
    assert not one.axes and "a single mixture" in one.texts[0].get_text()
    figure = figure_of_ranks("toy", toy(tmp_path / "b", frames(seeds=(0,))))
    assert "one seed: no intervals" in " ".join(t.get_text() for t in figure.findobj(Text))
