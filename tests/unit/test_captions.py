"""Every table and figure has a caption that Jinja and docutils accept, and so has the report's first page."""

from pathlib import Path

import jinja2
import pytest
from docutils.core import publish_parts

from chameleon.catalogue import CATEGORIES, CORPUS_TABLES, FIGURES, TABLES, category

REPORT = Path(__file__).parents[2] / "workflow" / "report"
NAMES = ["workflow", *(f"table_{t}" for t in (*TABLES, *CORPUS_TABLES)), *(f"figure_{f}" for f in FIGURES)]


class Snakemake:
    config = {"seeds": [0, 1, 2], "run": ["a", "b"],
              "scenarios": {"a": {"methods": ["uniform", "x"]}, "b": {"methods": ["uniform", "y"]},
                            "c": {"methods": ["z"]}}}  # fmt: skip


def render(name: str) -> str:
    template = (REPORT / f"{name}.rst").read_text(encoding="utf-8")
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return strict.from_string(template).render(snakemake=Snakemake)


@pytest.mark.parametrize("name", NAMES)
def test_caption_renders(name):
    html = publish_parts(render(name), writer="html")["body"]
    assert len(html) > 100 and "system-message" not in html and "{" not in html


def test_no_caption_is_left_over():
    assert {p.stem for p in REPORT.glob("*.rst")} == set(NAMES)


def test_first_page_names_the_methods_and_scenarios_of_this_run():
    text = render("workflow")
    assert "uniform, x, y\n" in text and "Scenarios in this report: a, b." in text and "3 seed(s)" in text


def test_every_table_and_figure_has_a_category_that_the_first_page_names():
    for name in (*TABLES, *CORPUS_TABLES, *FIGURES):
        assert f"*{category(name)}*" in render("workflow")
    assert {n for names in CATEGORIES.values() for n in names} == {*TABLES, *CORPUS_TABLES, *FIGURES}
