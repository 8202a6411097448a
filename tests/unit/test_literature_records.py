"""The committed records of the literature run rebuild its main table, which docs/RESULTS.md prints."""

import re
import sys
from pathlib import Path

import pytest

from chameleon.reporting.records import tidy
from chameleon.reporting.tables.main import main

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import literature_tables  # noqa: E402


def rows(text):
    """Return {method: cells} of the Markdown tables in a text, bold taken off."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
        if len(cells) > 4 and re.fullmatch(r"[a-z_]+", cells[0]):
            found[cells[0]] = cells[1:]
    return found


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    out = tmp_path_factory.mktemp("records")
    literature_tables.unpack(out)
    return tidy.of_scenarios(out, literature_tables.SCENARIOS)


@pytest.mark.parametrize(
    ("scenario", "heading"), [("pretrain", "## More methods on the same runs"), ("transfer", "## Transfer")]
)
def test_the_table_in_the_documents_follows_from_the_records(frames, scenario, heading):
    body = main(scenario, frames[scenario]).body
    page = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
    printed = rows(page.split(heading)[1].split("\n## ")[0])
    made = rows(body)
    assert printed and set(printed) <= set(made)
    if scenario == "pretrain":
        assert set(printed) == set(made), "every method that ran is printed"
    for method, cells in printed.items():
        # Mean perplexity and its difference to uniform.
        assert cells[:2] == made[method][:2], method
