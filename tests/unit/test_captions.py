"""Every table and figure has a caption that Jinja and docutils accept, and so has the report's first page."""

from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts

from chameleon.reporting import catalogue
from chameleon.reporting.catalogue import CORPUS_TABLES, FIGURES, OVERALL_TABLES, TABLES

REPORT = Path(__file__).parents[2] / "workflow" / "report"
NAMES = ["workflow", "summary", "page", *(f"table_{t}" for t in (*TABLES, *OVERALL_TABLES, *CORPUS_TABLES)),
         *(f"figure_{f}" for f in FIGURES)]  # fmt: skip
KINDS = {"a": "pretrain", "b": "transfer", "c": "finetune", "d": "finetune"}


class Snakemake:
    config = {"seeds": [0, 1, 2], "run": ["a", "b"],
              "scenarios": {"a": {"methods": ["uniform", "x"]}, "b": {"methods": ["uniform", "y"]},
                            "c": {"methods": ["z"]}}}  # fmt: skip


def render(name: str, files=()) -> str:
    template = (REPORT / f"{name}.rst").read_text(encoding="utf-8")
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return strict.from_string(template).render(snakemake=Snakemake, files=files)


@pytest.mark.parametrize("name", NAMES)
def test_caption_renders(name):
    html = publish_parts(render(name), writer="html")["body"]
    assert len(html) > 100 and "system-message" not in html and "{" not in html


def test_no_caption_is_left_over():
    ours = {p.stem for p in REPORT.glob("*.rst") if "_sensitivity_" not in p.stem}
    assert ours == set(NAMES)


def test_first_page_names_the_methods_and_scenarios_of_this_run():
    text = render("workflow")
    assert "uniform, x, y\n" in text and "Scenarios in this report: a, b." in text and "3 seed(s)" in text


def test_first_page_begins_with_the_sentences_of_the_summary(tmp_path):
    (tmp_path / "summary.md").write_text(
        "**What was compared:** `messy_web` & 3 %.\n\n**What it cost:** 0.\n"
    )
    page = SimpleNamespace(target="summary.html", path=tmp_path / "summary.html")
    other = SimpleNamespace(target="a_main.html", path=tmp_path / "none.html")
    html = publish_parts(render("workflow", [other, page]), writer="html")["html_body"]
    assert "system-message" not in html
    first = html.index("What was compared:")
    assert first < html.index("What it cost:") < html.index("How to read this report")
    assert "messy_web" in html and "`" not in html[first:]


def tables() -> dict[str, tuple[str, str | None]]:
    """Return all tables, where a scenario of each kind but the last is tested on unseen domains."""
    return catalogue.table_stems(KINDS, ("a", "b", "c"))


def test_every_item_has_a_place_and_the_first_page_names_the_categories():
    page = render("workflow")
    stems = {**tables(), **catalogue.figure_stems(KINDS)}
    found = {catalogue.place(name, scenario, KINDS.get(scenario)) for name, scenario in stems.values()}
    for category in {p.category for p in found} | {catalogue.CATEGORIES["sensitivity"]}:
        assert f"*{category}*" in page
    assert catalogue.place("summary").category == "1 Summary"


def test_the_reports_own_sorting_gives_the_reading_order():
    """The report sorts categories, subcategories and labels as text."""
    order = list(catalogue.CATEGORIES.values())
    assert order == sorted(order) and len(order) < 10
    assert list(catalogue.PARTS) == sorted(catalogue.PARTS)
    for names in (*catalogue.PARTS.values(), *catalogue.SUBJECTS.values()):
        assert len(names) < 10
    labels = [
        catalogue.place(name, "a", "pretrain", "figure").shows for name in ("main", "relative_perplexity")
    ]
    assert labels == sorted(labels)


def test_one_place_holds_no_two_items_under_one_label():
    """Two results of one scenario with equal labels would hide one another."""
    seen = set()
    for form, stems in (("table", tables()), ("figure", catalogue.figure_stems(KINDS))):
        for name, scenario in stems.values():
            key = (catalogue.place(name, scenario, KINDS.get(scenario), form), scenario)
            assert key not in seen
            seen.add(key)
    assert len(seen) == len(tables()) + len(catalogue.figure_stems(KINDS))


def test_only_scenarios_with_unseen_domains_have_their_table():
    assert set(tables()) - set(catalogue.table_stems(KINDS)) == {"a_unseen", "b_unseen", "c_unseen"}


def test_scenarios_of_one_subcategory_have_the_same_items():
    """A second label with two values becomes a switch on the page, which needs both sides complete."""
    items = {}
    for form, stems in (("table", tables()), ("figure", catalogue.figure_stems(KINDS))):
        for name, scenario in stems.values():
            place = catalogue.place(name, scenario, KINDS.get(scenario), form)
            if scenario:
                items.setdefault((place.category, place.subcategory), {}).setdefault(scenario, set()).add(
                    place.shows
                )
    for where, by_scenario in items.items():
        assert len(set(map(frozenset, by_scenario.values()))) == 1, where
