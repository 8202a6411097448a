"""Figures: files, stable bytes, alignment, label placement, what is drawn, and what is said instead."""

import colorsys
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from tidy_results import DOMAINS, POINTS, frames, of_scenario, perplexity, write

from chameleon.core.errors import UserError
from chameleon.reporting import catalogue, figures
from chameleon.reporting.figures.distance import order
from chameleon.reporting.figures.domains import align
from chameleon.reporting.figures.style import SPARE, beyond
from chameleon.reporting.labels import place_labels
from chameleon.reporting.records import tidy
from chameleon.reporting.statistics.stats import Estimate

TOY = {"toy": "pretrain"}
#: Figures with a panel per domain.
GRIDS = ("learning_curves_domains", "weights_over_time")


def draw(name: str, tmp_path, rows=None, **kwargs) -> Figure:
    """Return one figure of the synthetic results, not saved."""
    return figures.DRAWINGS[name]("toy", of_scenario(write(tmp_path, rows or frames(**kwargs)), "toy"))


def moving(rows):
    """Let natural's weights move: for the second half of 1,000 steps it draws from the first domain only."""
    half = [r for r in rows["weights"] if r["method"] == "natural"]
    rows["weights"] += [{**r, "step": 500, "weight": float(r["domain"] == DOMAINS[0])} for r in half]
    return rows


def finetuned(rows):
    """Add forgetting: natural forgets 0.1 nats less than uniform, chameleon 0.2 more, a little by seed."""
    for method, shift in (("uniform", 0.0), ("natural", -0.1), ("chameleon", 0.2)):
        for seed in (0, 1, 2):
            row = {"scenario": "toy", "method": method, "seed": seed, "scale": "cpu", "unit": "nats/token",
                   "corpus": "all", "value": 1.0 + shift * (1 + 0.1 * seed)}  # fmt: skip
            rows["metrics"] += [{**row, "domain_or_task": "old", "metric": "forgetting"},
                                {**row, "domain_or_task": "mean", "metric": "mean_forgetting"}]  # fmt: skip
    return rows


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_names_are_predictable(tmp_path, monkeypatch):
    stems = []
    monkeypatch.setattr(figures, "save", lambda figure, stem, note: stems.append(stem.name))
    figures.make_figures(write(tmp_path), tmp_path / "a", TOY)
    assert stems == [f"toy_{name}" for name, kinds in catalogue.FIGURES.items() if "pretrain" in kinds]
    assert set(figures.DRAWINGS) == set(catalogue.FIGURES)


def test_figures_are_written_twice_with_stable_bytes(tmp_path, monkeypatch):
    # Two suffice: one of bars, one with text placed by measuring.
    monkeypatch.setattr(catalogue, "FIGURES", dict.fromkeys(("weights", "pca"), ("pretrain",)))
    results = write(tmp_path)
    figures.make_figures(results, tmp_path / "a", TOY)
    # A user's settings must not show.
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        figures.make_figures(results, tmp_path / "b", TOY)
        assert matplotlib.rcParams["font.size"] == 30
    names = {f"toy_{name}.{suffix}" for name in ("weights", "pca") for suffix in ("png", "pdf")}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        first = (tmp_path / "a" / name).read_bytes()
        assert b"CreationDate" not in first and (tmp_path / "b" / name).read_bytes() == first, name
    width, _ = struct.unpack(">II", (tmp_path / "a" / "toy_weights.png").read_bytes()[16:24])
    assert width == 7 * 150


@pytest.mark.parametrize("name", [n for n in catalogue.FIGURES if n not in GRIDS])
def test_every_axis_is_labelled(tmp_path, name):
    figure = draw(name, tmp_path)
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>":
            shared = [a for a in figure.axes if a is axes or axes.get_shared_y_axes().joined(a, axes)]
            assert axes.get_xlabel() and any(a.get_ylabel() for a in shared)
    assert "toy" in texts(figure)


@pytest.mark.parametrize("name", GRIDS)
def test_outer_panels_of_a_grid_are_labelled(tmp_path, name):
    rows = moving(frames())
    panels = [a for a in draw(name, tmp_path, rows).axes if a.get_visible()]
    assert [a.get_title() for a in panels] == list(DOMAINS)
    assert all(a.get_xlabel() for a in panels) and panels[0].get_ylabel()


def test_methods_have_distinct_stable_looks():
    looks = [figures.method_style(m) for m in tidy.METHODS]
    assert len(set(looks)) == len(looks)
    assert figures.method_style("uniform")[0] == "#7f7f7f"
    assert colorsys.rgb_to_hls(*to_rgb(figures.method_style("uniform")[0]))[2] == 0
    assert figures.method_style("my_method") == figures.method_style("my_method")
    assert figures.method_style("my_method") in SPARE
    # Scenarios that show variants side by side tell them apart by colour too.
    for together in (("chameleon", "chameleon_retrained"), ("chameleon_ft", "chameleon_pt")):
        assert len({figures.method_style(m)[0] for m in together}) == 2


def test_a_variant_keeps_its_methods_hue():
    def hue(method):
        return colorsys.rgb_to_hls(*to_rgb(figures.method_style(method)[0]))[0]

    assert hue("doremi_rounds") == pytest.approx(hue("doremi"), abs=0.01)
    assert figures.method_style("doremi_rounds")[0] != figures.method_style("doremi")[0]
    # The longest known name counts.
    assert hue("chameleon_retrained_twice") == pytest.approx(hue("chameleon_retrained"), abs=0.01)


def test_weights_draws_the_means(tmp_path):
    (axes,) = draw("weights", tmp_path).axes
    heights = sorted(round(bar.get_height(), 6) for bar in axes.patches)
    assert heights == sorted([0.333333] * 3 + [0.5, 0.3, 0.2] + [0.3, 0.4, 0.3])
    # Dots only where seeds differ: chameleon's papers and books.
    assert [len(c.get_offsets()) for c in axes.collections] == [3, 3]


def test_many_bars_wrap_into_rows(tmp_path):
    rows = frames()
    domains = [f"domain{i:02d}" for i in range(40)]
    rows["weights"] = [{**r, "domain": d, "weight": 1 / 40} for r in rows["weights"]
                       if r["domain"] == "papers" for d in domains]  # fmt: skip
    figure = draw("weights", tmp_path, rows)
    shown = [t.get_text() for axes in figure.axes for t in axes.get_xticklabels()]
    assert shown == domains
    assert len(figure.axes) == 2 and sum(len(axes.patches) for axes in figure.axes) == 120


def test_relative_perplexity_fills_only_what_is_decided(tmp_path):
    (axes,) = draw("relative_perplexity", tmp_path).axes
    points = [line for line in axes.lines if line.get_marker() not in ("", "None", None)]
    assert len(points) == 2 * (len(DOMAINS) + 1)
    by_mean = {round(float(p.get_xdata()[0]), 6): p.get_markerfacecolor() != "white" for p in points}
    assert by_mean[-2.0] and by_mean[5.0] and by_mean[-9.0] and not by_mean[0.0]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == [*DOMAINS, "mean perplexity"]


def test_many_methods_make_the_domains_a_table(tmp_path):
    rows = frames()
    for label in ("a", "b", "c"):
        rows["metrics"] += [{**r, "method": label} for r in rows["metrics"] if r["method"] == "natural"]
    means, table = draw("relative_perplexity", tmp_path, rows).axes
    assert [t.get_text() for t in means.get_yticklabels()] == ["natural", "chameleon", "a", "b", "c"]
    assert means.get_title() == "mean perplexity"
    shown = {t.get_text(): t.get_fontweight() for t in table.texts}
    # natural: 2 % better on papers, decided; the same on books; undecided on code.
    assert shown["−2.0"] == "bold" and shown["0.0"] == "normal" and shown["+5.0"] == "bold"
    image = table.images[0].get_array()
    assert image[0, 0] > 0 and image[0, 2] == 0 and image[1, 0] < 0, (
        "blue (high) is better, undecided is white"
    )


def test_learning_curves_end_at_the_final_difference(tmp_path):
    (axes,) = draw("learning_curves", tmp_path).axes
    lines = {line.get_color(): line for line in axes.lines if len(line.get_xdata()) == len(POINTS)}
    natural, chameleon = (lines[figures.method_style(m)[0]] for m in ("natural", "chameleon"))
    assert list(natural.get_xdata()) == [0.25, 0.5, 0.75, 1.0] and "millions" in axes.get_xlabel()
    means = [np.mean([np.log(perplexity("chameleon", d, s) / perplexity("uniform", d, s)) for d in DOMAINS])
             for s in (0, 1, 2)]  # fmt: skip
    assert chameleon.get_ydata()[-1] == pytest.approx(np.mean(means))
    assert chameleon.get_ydata()[1] == pytest.approx(np.mean(means) / 2)
    assert len(axes.collections) == 2, "a band per method"


def test_learning_curves_per_domain(tmp_path):
    papers, *_ = draw("learning_curves_domains", tmp_path).axes
    ends = [line.get_ydata()[-1] for line in papers.lines if len(line.get_xdata()) == len(POINTS)]
    assert ends[0] == pytest.approx(np.log(0.98))


def test_weights_over_time_ends_at_the_average(tmp_path):
    papers, *_ = draw("weights_over_time", tmp_path, moving(frames())).axes
    ends = [line.get_ydata()[-1] for line in papers.lines if line.get_linewidth() == 1.6]
    assert ends == pytest.approx([0.75] * 3)


def test_weights_over_time_shows_how_proxies_found_them(tmp_path):
    rows = frames()
    rows["diagnostics"] += [
        {"scenario": "toy", "method": "chameleon", "seed": 0, "quantity": "trajectory", "domain": d,
         "other": str(step), "value": 0.3 + step / 1000} for d in DOMAINS for step in (9, 0, 100)
    ]  # fmt: skip
    figure = draw("weights_over_time", tmp_path, rows)
    assert "chameleon, in its own run" in texts(figure)
    line = figure.axes[0].lines[-1]
    assert line.get_ydata()[0] == pytest.approx(0.309), "in the order of the file"


def test_distance_shows_whether_it_alone_orders_the_methods(tmp_path):
    axes = draw("distance", tmp_path, moving(frames())).axes[0]
    assert [t.get_text() for t in axes.texts[1:]] == ["natural", "chameleon"]
    assert "rank correlation" not in axes.texts[0].get_text(), "of two methods"
    means = [line for line in axes.lines if len(line.get_xdata()) == 1]
    # Natural's mixture as it was played: half of the time as written, half of it the first domain alone.
    rows = of_scenario(tmp_path, "toy")["weights"]
    first = rows[(rows["method"] == "natural") & (rows["step"] == 0)].groupby("domain")["weight"].mean()
    played = np.array([0.5 * first[d] + 0.5 * (d == DOMAINS[0]) for d in DOMAINS])
    assert means[0].get_xdata()[0] == pytest.approx(np.abs(played - 1 / len(DOMAINS)).sum() / 2)
    assert means[0].get_ydata()[0] == pytest.approx(
        np.mean([100 * (sum(perplexity("natural", d, s) for d in DOMAINS)
                        / sum(perplexity("uniform", d, s) for d in DOMAINS) - 1) for s in (0, 1, 2)])
    )  # fmt: skip
    far = {m: {0: 0.1 * i, 1: 0.2 * i, 2: 0.3} for i, m in enumerate("abcde")}
    moved = {m: {0: 10.0 * i, 1: -1.0 * i} for i, m in enumerate("abcde")}
    assert order(far, moved) == pytest.approx([1, -1]), "by seed, those that all have"
    assert order({**far, "e": {2: 0.3}}, moved) == [] == order({m: far[m] for m in "abcd"}, moved)


def test_quality_cost_separates_what_is_free(tmp_path):
    free, paid = draw("quality_cost", tmp_path).axes
    assert free.get_xlabel() == "free" and {t.get_text() for t in free.texts} == {"uniform", "natural"}
    note, *labels = [t.get_text() for t in paid.texts]
    assert labels == ["chameleon"] and paid.get_xscale() == "log"
    ppl = [np.mean([perplexity("uniform", d, s) for d in DOMAINS]) for s in (0, 1, 2)]
    apart = 100 * np.mean([abs(ppl[0] - ppl[1]), abs(ppl[0] - ppl[2]), abs(ppl[1] - ppl[2])]) / np.mean(ppl)
    assert f"another's ({apart:.1f} %)" in note
    front = paid.lines[-2].get_ydata() if len(paid.lines[-1].get_xdata()) == 1 else paid.lines[-1].get_ydata()
    best_free = min(line.get_ydata()[0] for line in free.lines if len(line.get_xdata()) == 1)
    assert front[0] == best_free and list(front) == sorted(front, reverse=True), "falls, as more is spent"
    (dot,) = [line for line in paid.lines if len(line.get_xdata()) == 1]
    assert dot.get_xdata()[0] == pytest.approx(100 * 7 / 60)
    assert dot.get_ydata()[0] == pytest.approx(
        np.mean([100 * (sum(perplexity("chameleon", d, s) for d in DOMAINS)
                        / sum(perplexity("uniform", d, s) for d in DOMAINS) - 1) for s in (0, 1, 2)])
    )  # fmt: skip


def test_fewshot_greys_what_cannot_be_told_from_guessing(tmp_path):
    zero, bits, *_ = draw("fewshot", tmp_path).axes
    assert "0 shots: accuracy above guessing" in zero.get_title()
    shown = [(t.get_text(), t.get_fontweight()) for t in zero.texts]
    # uniform sits at chance; chameleon's 20 points on piqa are seen; on boolq one answer alone gives 50 %.
    assert shown[0] == ("0.0", "normal") and shown[6] == ("+20.0", "bold") and shown[7] == ("+20.0", "bold")
    assert [t.get_text() for t in bits.get_yticklabels()] == ["natural", "chameleon"]
    assert ("−0.200", "bold") in [(t.get_text(), t.get_fontweight()) for t in bits.texts]


def test_forgetting_against_gain(tmp_path):
    (axes,) = draw("forgetting", tmp_path, finetuned(frames())).axes
    dots = {line.get_color(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines
            if len(line.get_xdata()) == 1}  # fmt: skip
    assert dots[figures.method_style("uniform")[0]] == (0, 0)
    assert dots[figures.method_style("natural")[0]][0] == pytest.approx(-0.11)
    assert dots[figures.method_style("chameleon")[0]][0] == pytest.approx(0.22)
    assert "uniform itself forgets 1.000" in axes.get_xlabel()


def test_affinity_is_centred_on_zero_and_annotated(tmp_path):
    figure = draw("affinity", tmp_path)
    image = figure.axes[0].images[0]
    assert image.norm.vcenter == 0 and -image.norm.vmin == image.norm.vmax == 20
    assert image.get_array()[0].tolist() == [20, -10, -10]
    assert "−10.0" in texts(figure)


def test_krls_shows_k_lambda_beside_the_eigenvalues(tmp_path):
    bars, side = draw("krls", tmp_path).axes
    assert [round(b.get_height(), 6) for b in bars.patches] == [0.5, 0.2, 0.3]
    assert "kλ = 30" in [t.get_text() for t in side.texts]
    # Two positive eigenvalues of three, three seeds.
    assert len(side.collections[0].get_offsets()) == 6 and side.get_yscale() == "log"


def test_pca_lays_mirrored_seeds_on_top(tmp_path):
    (axes,) = draw("pca", tmp_path).axes
    first = axes.collections[-1].get_offsets()
    for other in axes.collections[:-1]:
        np.testing.assert_allclose(other.get_offsets(), first, atol=1e-9)
    assert {t.get_text() for t in axes.texts} == set(DOMAINS)
    assert "70 % of variance" in axes.get_xlabel()


def test_align_undoes_rotation_and_mirror_but_not_scale():
    points = np.random.default_rng(0).normal(size=(6, 2))
    turn = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    for moved in (points @ turn, points @ turn * [1, -1]):
        np.testing.assert_allclose(align(moved, points), points, atol=1e-12)
    np.testing.assert_allclose(align(3 * points @ turn, points), 3 * points, atol=1e-12)
    np.testing.assert_allclose(align(np.zeros((2, 2)), points[:2]), 0)


def test_labels_do_not_overlap_each_other():
    figure = Figure(figsize=(4, 4))
    axes = figure.add_subplot()
    points = np.array([[0.0, 0.0], [0.02, 0.02], [0.04, 0.0], [1.0, 1.0]])
    axes.scatter(*points.T)
    place_labels(figure, axes, points, ["first", "second", "third", "last"], "black", avoid=[])
    boxes = [t.get_window_extent() for t in axes.texts]
    assert len(boxes) == 4
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])


def test_nothing_to_draw_is_said(tmp_path):
    for name in ("affinity", "krls", "pca"):
        figure = draw(name, tmp_path, methods=("uniform", "natural"))
        assert not figure.axes and "No method of scenario toy computes" in texts(figure)
    for methods in (("uniform",), ("natural", "chameleon")):
        for name in ("distance", "relative_perplexity", "quality_cost"):
            figure = draw(name, tmp_path, methods=methods)
            assert not figure.axes and "no method to compare with uniform" in texts(figure)
    assert "moves its weights" in texts(draw("weights_over_time", tmp_path))
    assert "no forgetting" in texts(draw("forgetting", tmp_path))
    rows = frames()
    rows["metrics"] = [r for r in rows["metrics"] if r["corpus"] != "fewshot"]
    rows["curves"] = []
    assert "not tested on few-shot tasks" in texts(draw("fewshot", tmp_path, rows))
    for name in ("learning_curves", "learning_curves_domains"):
        assert "no learning curves" in texts(draw(name, tmp_path, rows))


def test_one_seed(tmp_path):
    assert "one seed: no intervals" in texts(draw("relative_perplexity", tmp_path, seeds=(0,)))
    assert "one seed" not in texts(draw("weights", tmp_path, seeds=(0,)))
    assert "other seeds" not in texts(draw("pca", tmp_path, seeds=(0,)))
    for name in ("affinity", "krls"):
        assert "1 seed" in texts(draw(name, tmp_path, seeds=(0,)))


def test_unknown_scenario(tmp_path):
    with pytest.raises(UserError, match="'x' is not one of toy"):
        figures.make_figures(write(tmp_path), tmp_path / "out", {"x": "pretrain"})


def test_a_mean_far_out_leaves_room_for_the_others():
    """Drawn at the edge; never where few methods are left, nor where the next one is nearly as far out."""
    near = {
        name: Estimate(mean, mean - 1, mean + 1, 1.0, 3) for name, mean in zip("abc", (1, -2, 3), strict=True)
    }
    wild = Estimate(90.0, -500.0, 700.0, 9.0, 3)
    assert beyond(near) == (set(), 4.0)
    assert beyond({**near, "wild": wild}) == ({"wild"}, 4.0)
    assert beyond({**near, "wild": wild, "as_wild": wild._replace(mean=-80.0)})[0] == set()
    assert beyond({"a": near["a"], "c": near["c"], "wild": wild})[0] == set()
