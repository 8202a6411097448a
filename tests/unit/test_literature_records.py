"""The committed records of the literature run rebuild its main table, which docs/RESULTS.md prints."""

import re
import sys
from pathlib import Path

import pytest

from chameleon.reporting.figures.distance import order
from chameleon.reporting.records import tidy
from chameleon.reporting.records.tidy import diagnostic
from chameleon.reporting.statistics.comparisons import differences, from_uniform
from chameleon.reporting.statistics.ranking import foretold_order
from chameleon.reporting.tables.main import main

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import literature_tables  # noqa: E402


def rows(text):
    """Return {method: cells} of the Markdown tables in a text, bold taken off."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
        if len(cells) > 4 and re.fullmatch(r"[a-z0-9_]+", cells[0]):
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


def ordered(frames, scenario, metric, methods):
    """Return the mean over seeds of the rank correlation of distance from uniform and difference to it."""
    far = {m: d for m, d in from_uniform(frames[scenario]).items() if m in methods}
    moved = {m: differences(frames[scenario]["metrics"], m, "uniform", "mean", metric) for m in far}
    found = order(far, moved)
    assert len(found) == 3
    return f"{sum(found) / 3:.2f}"


def test_how_distance_from_uniform_orders_the_methods_is_as_printed(frames):
    results, readme = (
        " ".join((ROOT / p).read_text("utf-8").split()) for p in ("docs/RESULTS.md", "README.md")
    )
    others = {s: set(from_uniform(frames[s])) - {"uniform"} for s in frames}
    assert {s: len(methods) for s, methods in others.items()} == {"pretrain": 32, "transfer": 37}
    one, two = (ordered(frames, s, "mean_perplexity", others[s]) for s in ("pretrain", "transfer"))
    assert f"rank correlation of {one} in `pretrain` and {two} in `transfer`" in results
    assert f"rank correlation with perplexity {one}; {two} in transfer" in readme
    one, two = (ordered(frames, s, "mean_log_perplexity", others[s]) for s in ("pretrain", "transfer"))
    assert f"distance and mean log-perplexity {one})" in results
    told = diagnostic(frames["transfer"], "foretold_loss")
    same = ordered(frames, "transfer", "mean_log_perplexity", set(told["other"]))
    assert f"log-perplexity it is {two}, and on the 32 mixtures that methods foretell {same}" in results
    reached = {m: sum(foretold_order(frames["transfer"], m).values()) / 3 for m in told["method"].unique()}
    assert max(reached.values()) < float(same) and len(set(told["other"])) == 32
    best = "MDE {mde:.2f}, MixMin {mixmin:.2f}, RegMix {regmix:.2f}".format(**reached)
    rest = sorted(v for m, v in reached.items() if m not in ("mde", "mixmin", "regmix"))
    assert f"{best}, the laws, Olmix and merged experts {rest[0]:.2f} to {rest[-1]:.2f}" in results
