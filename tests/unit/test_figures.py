"""Figures: files, stable bytes, alignment, label placement, what is drawn, and what is said instead."""

import colorsys
import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from tidy_results import DOMAINS, frames, write

from chameleon import figures, tidy
from chameleon.catalogue import FIGURES
from chameleon.errors import UserError
from chameleon.labels import place_labels


def draw(name: str, tmp_path, **kwargs) -> Figure:
    """Return one figure of the synthetic results, not saved."""
    return figures._DRAWINGS[name]("toy", tidy.of_scenario(write(tmp_path, frames(**kwargs)), "toy"))


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_every_figure_is_written_twice_with_stable_bytes(tmp_path, monkeypatch):
    results = write(tmp_path)
    figures.make_figures(results, tmp_path / "a", ["toy"])
    # Two suffice for the second look: one of bars, one with text placed by measuring.
    monkeypatch.setattr(figures, "FIGURES", ("weights", "pca"))
    # A user's settings must not show.
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        figures.make_figures(results, tmp_path / "b", ["toy"])
        assert matplotlib.rcParams["font.size"] == 30
    names = {f"toy_{name}.{suffix}" for name in FIGURES for suffix in ("png", "pdf")}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert b"CreationDate" not in (tmp_path / "a" / name).read_bytes()
    again = list((tmp_path / "b").iterdir())
    assert len(again) == 4
    for path in again:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes(), path.name
    width, _ = struct.unpack(">II", (tmp_path / "a" / "toy_weights.png").read_bytes()[16:24])
    assert width == 7 * 150
    assert set(figures._DRAWINGS) == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_is_labelled(tmp_path, name):
    figure = draw(name, tmp_path)
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel() and axes.get_ylabel()
    assert "toy" in texts(figure)


def test_methods_have_distinct_stable_colours():
    colours = [figures.method_style(m)[0] for m in tidy.METHODS]
    assert len(set(colours)) == len(colours) == len(set(figures.method_style(m)[1] for m in tidy.METHODS))
    assert figures.method_style("uniform")[0] == "#7f7f7f"
    assert colorsys.rgb_to_hls(*to_rgb(figures.method_style("uniform")[0]))[2] == 0
    assert figures.method_style("my_method") == figures.method_style("my_method")
    assert figures.method_style("my_method") in figures.SPARE


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
    figure = figures._DRAWINGS["weights"]("toy", tidy.of_scenario(write(tmp_path, rows), "toy"))
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
        np.testing.assert_allclose(figures.align(moved, points), points, atol=1e-12)
    np.testing.assert_allclose(figures.align(3 * points @ turn, points), 3 * points, atol=1e-12)
    np.testing.assert_allclose(figures.align(np.zeros((2, 2)), points[:2]), 0)


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
        figure = draw("relative_perplexity", tmp_path, methods=methods)
        assert not figure.axes and "no method to compare with uniform" in texts(figure)


def test_one_seed(tmp_path):
    assert "one seed: no intervals" in texts(draw("relative_perplexity", tmp_path, seeds=(0,)))
    assert "one seed" not in texts(draw("weights", tmp_path, seeds=(0,)))
    assert "other seeds" not in texts(draw("pca", tmp_path, seeds=(0,)))
    for name in ("affinity", "krls"):
        assert "1 seed" in texts(draw(name, tmp_path, seeds=(0,)))


def test_unknown_scenario(tmp_path):
    with pytest.raises(UserError, match="'x' is not one of toy"):
        figures.make_figures(write(tmp_path), tmp_path / "out", ["x"])
