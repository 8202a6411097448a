"""Tables of losses from tidy files with known answers: on unseen domains, and with a domain left out."""

import math

import pytest
from tidy_results import DOMAINS, SEEDS, frames, of_scenario, perplexity, unseen, write

from chameleon.reporting.tables.losses import robust
from chameleon.reporting.tables.losses import unseen as unseen_table


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return of_scenario(write(tmp_path_factory.mktemp("tidy")), "toy")


def cells(table, first):
    """Return the cells after the first of the row that begins with `first`."""
    (line,) = [x for x in table.body.splitlines() if x.startswith(f"| {first} |")]
    return [c.strip() for c in line.strip("|").split(" | ")][1:]


def row(table, **where):
    frame = table.csv
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, where
    return frame.iloc[0]


def test_unseen_losses_are_differences_in_nats_with_the_mean_first(toy):
    table = unseen_table("toy", toy)
    header = table.body.splitlines()[0].strip("| ").split(" | ")
    assert header == ["method", "mean (nats/token)", "law (nats/token)", "recipes (nats/token)"]
    assert set(table.csv["method"]) == {"natural", "chameleon"} and set(table.csv["unit"]) == {"nats/token"}
    moved = [unseen("natural", "law", s) - unseen("uniform", "law", s) for s in SEEDS]
    found = row(table, method="natural", domain="law")
    assert found["metric"] == "unseen_loss" and found["n"] == 3
    assert found["mean"] == pytest.approx(sum(moved) / 3) == pytest.approx(-0.09)
    assert row(table, method="natural", domain="mean")["mean"] == pytest.approx(0.11)
    assert cells(table, "natural") == ["**+0.1100 ± 0.0248**", "**−0.0900 ± 0.0248**", "**+0.3100 ± 0.0248**"]
    assert "paired by seed" in table.caption and "3 seeds" in table.caption


def test_without_unseen_losses_the_table_says_so(toy):
    none = {**toy, "metrics": toy["metrics"][~toy["metrics"]["metric"].str.contains("unseen")]}
    table = unseen_table("toy", none)
    assert table.csv.empty and "no loss on unseen domains is there" in table.caption


def away(method, domain, seed):
    return math.log(perplexity(method, domain, seed) / perplexity("uniform", domain, seed))


@pytest.mark.parametrize("method", ["natural", "chameleon"])
def test_the_worst_domain_and_the_mean_without_each(toy, method):
    table = robust("toy", toy)
    of = {d: [away(method, d, s) for s in SEEDS] for d in DOMAINS}
    whole = row(table, method=method, quantity="mean")
    assert whole["mean"] == pytest.approx(sum(map(sum, of.values())) / 9)
    worst = max(of, key=lambda d: sum(of[d]))
    found = row(table, method=method, quantity="worst_domain")
    assert found["domain"] == worst == {"natural": "books", "chameleon": "papers"}[method]
    assert found["mean"] == pytest.approx(sum(of[worst]) / 3)
    ends = {}
    for left in DOMAINS:
        seeds = [sum(of[d][s] for d in DOMAINS if d != left) / 2 for s in SEEDS]
        without = row(table, method=method, quantity="left_out", domain=left)
        ends[left] = without["mean"]
        assert without["mean"] == pytest.approx(sum(seeds) / 3) and without["n"] == 3
    low, high = min(ends, key=ends.get), max(ends, key=ends.get)
    shown = cells(table, method)
    assert f"({worst})" in shown[3]
    assert f"(without {low}) to " in shown[4] and shown[4].endswith(f"(without {high})")
    assert low == worst, "without its worst domain a method looks best"


def test_one_domain_cannot_be_left_out(tmp_path):
    rows = frames()
    rows["metrics"] = [r for r in rows["metrics"] if r["domain_or_task"] in ("papers", "mean")]
    table = robust("toy", of_scenario(write(tmp_path, rows), "toy"))
    assert cells(table, "natural")[4] == "–"
    assert set(table.csv["quantity"]) == {"mean", "text_error", "thinnest_domain", "worst_domain"}


def test_uniform_alone_is_compared_with_nothing(tmp_path):
    alone = of_scenario(write(tmp_path, frames(methods=("uniform",))), "toy")
    for build in (robust, unseen_table):
        assert build("toy", alone).csv.empty and "uniform is its only method" in build("toy", alone).caption
