"""Figures of results with holes: they draw, name what is missing, and a whole run's bytes stay."""

import traceback

import matplotlib
import pytest
from holes import HOLES, cut, whole
from matplotlib.figure import Figure
from tidy_results import write

from chameleon.reporting import catalogue, figures
from chameleon.reporting.figures.style import statement
from chameleon.reporting.records import tidy

TOY = {"toy": "pretrain"}
NAMES = [name for name, kinds in catalogue.FIGURES.items() if "pretrain" in kinds]


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


@pytest.fixture
def saved(monkeypatch) -> dict[str, tuple[Figure, str]]:
    """What would be saved: stem -> (figure, note)."""
    found = {}
    monkeypatch.setattr(
        figures, "save", lambda figure, stem, note="": found.update({stem.name: (figure, note)})
    )
    return found


def only(monkeypatch, *names: str) -> None:
    """Draw no other figures: one takes as long as most tests."""
    monkeypatch.setattr(catalogue, "FIGURES", dict.fromkeys(names, ("pretrain",)))


@pytest.mark.parametrize("name", [name for name in HOLES if name != "a_seed_of_all"])
def test_every_figure_draws_and_names_what_is_missing(tmp_path, name, saved, monkeypatch):
    def trip():
        raise AssertionError(traceback.format_exc())

    monkeypatch.setattr(figures.traceback, "print_exc", trip)
    figures.make_figures(cut(tmp_path, **HOLES[name]), tmp_path / "out", TOY)
    assert set(saved) == {f"toy_{figure}" for figure in NAMES}
    lost = {cell for cells in HOLES[name].values() for cell in cells}
    for stem, (figure, note) in saved.items():
        if name == "scores" and stem != "toy_fewshot":
            assert note == ""
            continue
        for method in {method for method, _ in lost}:
            n = 3 - len({seed for m, seed in lost if m == method})
            assert f"{method}: {n} of 3 seeds" in note or n == 0 or name == "scores"
            assert n or f"{method}: failed" in note or f"{method} (few-shot scores): not run" in note
        if name == "everything":
            assert "No run of scenario toy is there." in texts(figure) and not figure.axes


def test_a_missing_method_leaves_the_others_drawn(tmp_path, saved, monkeypatch):
    only(monkeypatch, "weights", "relative_perplexity")
    figures.make_figures(cut(tmp_path, runs=whole("natural")), tmp_path / "out", TOY)
    (axes,) = saved["toy_weights"][0].axes
    assert len(axes.patches) == 6
    figures.make_figures(cut(tmp_path, runs=whole("uniform")), tmp_path / "out", TOY)
    assert "That is of the runs that are there." in texts(saved["toy_relative_perplexity"][0])


def test_a_figure_that_cannot_be_drawn_is_a_sentence(tmp_path, saved, monkeypatch, capsys):
    def broken(scenario, frames):
        raise ValueError("a hole too many")

    only(monkeypatch, "krls", "weights")
    monkeypatch.setitem(figures.DRAWINGS, "krls", broken)
    figures.make_figures(cut(tmp_path, runs={("natural", 1)}), tmp_path / "out", TOY)
    assert "do not suffice" in texts(saved["toy_krls"][0]) and saved["toy_weights"][0].axes
    assert "a hole too many" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a hole too many"):
        figures.make_figures(write(tmp_path / "all"), tmp_path / "out", TOY)


def test_a_note_gets_a_strip_on_top_and_no_note_changes_no_byte(tmp_path):
    from chameleon.reporting.figures.style import save

    heights = {}
    for name, note in (("plain", ""), ("again", ""), ("noted", "Partial: one run is missing. " * 9)):
        save(statement("One sentence."), tmp_path / name, note)
        image = (tmp_path / f"{name}.png").read_bytes()
        heights[name] = int.from_bytes(image[20:24], "big")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert heights["noted"] > heights["plain"] + 30 and (tmp_path / "noted.pdf").stat().st_size


def test_an_empty_list_of_what_is_missing_changes_no_byte(tmp_path, monkeypatch):
    only(monkeypatch, "weights")
    figures.make_figures(write(tmp_path / "a"), tmp_path / "one", TOY)
    figures.make_figures(cut(tmp_path / "b"), tmp_path / "two", TOY)
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()
    assert tidy.read(tmp_path / "b", "missing").empty
