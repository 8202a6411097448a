"""The committed records of the literature run rebuild its main table, which docs/RESULTS.md prints."""

import re
import sys
from pathlib import Path

import pytest

from chameleon.reporting.figures.distance import from_uniform, order
from chameleon.reporting.records import tidy
from chameleon.reporting.statistics.comparisons import differences
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


@pytest.mark.parametrize(
    ("scenario", "methods", "perplexity", "log"),
    [("pretrain", 32, "0.93", "0.85"), ("transfer", 37, "0.95", "0.92")],
)
def test_how_distance_from_uniform_orders_the_methods_is_as_printed(
    frames, scenario, methods, perplexity, log
):
    far = from_uniform(frames[scenario])
    del far["uniform"]
    assert len(far) == methods
    said = []
    for metric in ("mean_perplexity", "mean_log_perplexity"):
        moved = {m: differences(frames[scenario]["metrics"], m, "uniform", "mean", metric) for m in far}
        said.append(f"{sum(order(far, moved)) / 3:.2f}")
    assert said == [perplexity, log]
    for page in ("docs/RESULTS.md", "README.md"):
        assert perplexity in (ROOT / page).read_text(encoding="utf-8")
    assert log in (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
