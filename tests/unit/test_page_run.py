"""The page of a run: its numbers are those of the tables, what is missing breaks nothing."""

import json
import re

import pandas as pd
import pytest
import tidy_results
from browser import View, find, look, script
from suite_results import KINDS, METHODS, OLD, suite

from chameleon.core.artifacts import write_json
from chameleon.core.errors import UserError
from chameleon.pages import run_page
from chameleon.pages.run import content
from chameleon.pages.scenario import SYMBOLS
from chameleon.reporting.figures.style import SPARE, STYLES
from chameleon.reporting.records import tidy
from chameleon.reporting.records.tidy import MISSING
from chameleon.reporting.statistics.comparisons import base_cost, curve, seed_noise, weighting_cost
from chameleon.reporting.summary import sentences
from chameleon.reporting.tables import BUILDERS
from chameleon.reporting.tables.verdicts import verdicts

FEW = ("pretrain", "finetune_code")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tidy")
    rows = {name: [r for r in found if r["scenario"] in FEW] for name, found in suite((0, 1, 2)).items()}
    return tidy_results.write(folder, rows)


@pytest.fixture(scope="module")
def kinds():
    return {name: KINDS[name] for name in FEW}


@pytest.fixture(scope="module")
def frames(results, kinds):
    return tidy.of_scenarios(results, kinds)


@pytest.fixture(scope="module")
def page(results, kinds, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "page.html"
    run_page(results, out, kinds)
    return out


@pytest.fixture(scope="module")
def shown(page):
    return {one["name"]: one for one in script(page.read_text(encoding="utf-8"), "data")["scenarios"]}


@pytest.mark.parametrize("scenario", FEW)
def test_differences_are_those_of_the_table(frames, shown, scenario):
    table = BUILDERS["difference"](scenario, frames[scenario]).csv
    table = table[table["metric"].isin(["perplexity", "mean_perplexity"])]
    one, count = shown[scenario], 0
    names = {"mean": "mean perplexity", "mean_old": "mean perplexity, old domains"}
    for row in table.to_dict("records"):
        column = one["columns"].index(names.get(row["domain"], row["domain"]))
        cell = one["differences"][row["method"]][column]
        assert (cell["mean"], cell["low"], cell["high"], cell["n"]) == (
            pytest.approx(row["mean"], rel=1e-12), pytest.approx(row["low"], rel=1e-12),
            pytest.approx(row["high"], rel=1e-12), row["n"])  # fmt: skip
        assert cell["decided"] == row["excludes_zero"]
        assert sum(cell["seeds"].values()) / 3 == pytest.approx(row["mean"], rel=1e-12)
        assert list(cell["seeds"]) == ["0", "1", "2"]
        count += 1
    assert count == len(one["columns"]) * (len(METHODS[scenario]) - 1)


@pytest.mark.parametrize("scenario", FEW)
def test_weights_costs_noise_and_curves_are_those_of_the_tables(frames, shown, scenario):
    one, of = shown[scenario], frames[scenario]
    table = BUILDERS["weights"](scenario, of).csv
    for method, means in one["weights"]["mean"].items():
        mine = table[table["method"] == method]
        # Of weights that move, the table has the average too, and first.
        mine = mine[mine["step"] == mine["step"].iloc[0]].set_index("domain")["mean"]
        assert means == pytest.approx([mine[d] for d in one["weights"]["domains"]], rel=1e-12)
        assert [len(seeds) for seeds in one["weights"]["seeds"][method]] == [3] * len(means)
    assert set(one["weights"]["mean"]) == set(METHODS[scenario])
    for method, price in one["price"].items():
        share = weighting_cost(of["costs"], method) / base_cost(of["costs"], method)
        assert price == pytest.approx(100 * share, rel=1e-12)
    apart = seed_noise(of["metrics"], "mean_perplexity")
    level = one["level"]
    assert one["apart"] == pytest.approx(100 * sum(apart) / len(apart) / level, rel=1e-9)
    assert level == pytest.approx(
        BUILDERS["noise"](scenario, of).csv.query("method == 'uniform' and domain == 'mean'")["mean"].item()
    )
    domains = tidy.tested_domains(of["metrics"])
    moved = curve(of["curves"], "natural", "uniform", domains)
    drawn = one["curves"]["natural"]
    assert drawn["tokens"] == [float(t) for t in moved.columns]
    assert drawn["mean"] == pytest.approx(moved.mean().tolist(), rel=1e-12)
    assert list(drawn["seeds"]["1"]) == pytest.approx(moved.loc[1].tolist())


def test_the_headline_counts_what_is_decided(shown, page):
    text = page.read_text(encoding="utf-8")
    for name, one in shown.items():
        cells = {m: cells[0] for m, cells in one["differences"].items()}
        better = sum(c["low"] > 0 or c["high"] < 0 for c in cells.values() if c["mean"] < 0)
        worse = sum(c["low"] > 0 or c["high"] < 0 for c in cells.values() if c["mean"] > 0)
        best = min(cells, key=lambda m: cells[m]["mean"])
        said = (
            f"<strong>{name}</strong>: of {len(cells)} methods, <strong>{better} better</strong> than "
            f"uniform, <strong>{worse} worse</strong>, {len(cells) - better - worse} undecided; lowest mean "
            f"perplexity: {best} ("
        )
        assert said in text


def test_the_page_has_verdicts_and_the_five_sentences(frames, kinds, page):
    text = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(re.findall(r'<span class="verdict">', text)) == len(verdicts(kinds, frames).csv)
    assert text.count("<p><b>What ") == len(sentences(kinds, frames)) == 5
    assert not re.search(r'(src|href)="[^#"]', text)


def test_the_page_has_the_same_bytes_again(results, kinds, page, tmp_path):
    run_page(results, tmp_path / "again.html", kinds)
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_kinds_come_from_the_record_where_nobody_says_them(results, page, tmp_path):
    for name in tidy.COLUMNS:
        (tmp_path / f"{name}.csv").write_bytes((results / f"{name}.csv").read_bytes())
    spec = {"scenarios": {name: {"kind": KINDS[name]} for name in FEW}}
    write_json(tmp_path / "run.json", {"spec": spec})
    run_page(tmp_path, tmp_path / "page.html")
    written = {
        one["name"]: one for one in script((tmp_path / "page.html").read_text("utf-8"), "data")["scenarios"]
    }
    before = script(page.read_text("utf-8"), "data")["scenarios"]
    assert written == {one["name"]: one for one in before}


def test_metrics_alone_have_a_page(results, tmp_path):
    (tmp_path / "metrics.csv").write_bytes((results / "metrics.csv").read_bytes())
    run_page(tmp_path, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    one = script(text, "data")["scenarios"][0]
    assert one["curves"] == {} and one["weights"]["mean"] == {} and one["differences"]
    assert set(one["price"].values()) == {None}
    assert "weights.csv is not there" in text and "No verdicts" in text and "No summary" in text


def test_no_metrics_and_an_unknown_scenario_are_refused(results, tmp_path):
    with pytest.raises(UserError, match="metrics.csv"):
        run_page(tmp_path, tmp_path / "page.html")
    with pytest.raises(UserError, match="elsewhere"):
        run_page(results, tmp_path / "page.html", {"elsewhere": "pretrain"})


def missing(*cells):
    rows = [("pretrain", method, seed, "run", "failed", "out of memory <b>") for method, seed in cells]
    return pd.DataFrame(rows, columns=list(MISSING))


def without(of, lost):
    """Return the frames of a scenario without the runs that are listed as missing."""
    gone = set(zip(lost["method"], lost["seed"], strict=True))
    kept = {}
    for name, frame in of.items():
        there = [cell not in gone for cell in zip(frame["method"], frame["seed"], strict=True)]
        kept[name] = frame[there].reset_index(drop=True)
    return {**kept, "missing": lost}


@pytest.mark.parametrize(
    "cells",
    [
        [("doge", 1)],
        [("doge", 0), ("doge", 1), ("doge", 2)],
        [("uniform", 0), ("uniform", 1), ("uniform", 2)],
        [("uniform", 0), ("doge", 1), ("doge", 2)],
        [(m, s) for m in METHODS["pretrain"] for s in (0, 1, 2)],
    ],
    ids=["a run", "a method", "uniform", "no seed in common", "everything"],
)
def test_missing_runs_are_said_and_break_nothing(frames, cells):
    of = without(frames["pretrain"], missing(*cells))
    body, data = content({"pretrain": "pretrain"}, {"pretrain": of}, [])
    (one,) = data["scenarios"]
    json.dumps(data, allow_nan=False)
    assert f"Partial: {len(cells)} of {3 * len(METHODS['pretrain'])} runs are missing" in body
    gone = {method for method, _ in cells if sum(m == method for m, _ in cells) == 3}
    assert not gone & set(one["differences"]) and not gone & {m["name"] for m in one["methods"]}
    if len(cells) == 1:
        assert one["differences"]["doge"][0]["n"] == 2
        assert list(one["differences"]["doge"][0]["seeds"]) == ["0", "2"]
    if "uniform" in gone:
        assert one["differences"] == {} and ("no method to compare" in body or "no run is there" in body)


def test_one_seed_has_no_intervals(frames, kinds):
    of = {n: f[f["seed"] == 0].reset_index(drop=True) if n != "missing" else f
          for n, f in frames["pretrain"].items()}  # fmt: skip
    body, data = content({"pretrain": "pretrain"}, {"pretrain": of}, [])
    cells = [cell for row in data["scenarios"][0]["differences"].values() for cell in row]
    assert all(cell["low"] is None and not cell["decided"] for cell in cells)
    assert "one seed, so no intervals" in body and data["scenarios"][0]["apart"] == 0


def test_names_are_text(frames):
    odd = "</script><b class=hostile>x</b>"
    of = {n: f.replace({"books": odd}) if not f.empty else f for n, f in frames["pretrain"].items()}
    body, data = content({"pretrain": "pretrain"}, {"pretrain": of}, [])
    assert odd in data["scenarios"][0]["columns"] and "<b class=hostile" not in body


def test_every_marker_has_a_symbol():
    assert {marker for _, marker in (*STYLES.values(), *SPARE)} <= set(SYMBOLS)


ACT = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const column = document.getElementById("s0-column");
column.value = "1";
column.dispatchEvent(new Event("change", {bubbles: true}));
document.querySelector('#s0-chosen input[value="uniform"]').click();
document.querySelector("table.heat th:nth-child(3) button").click();
const rows = [...document.querySelector("table.heat").tBodies[0].rows];
return {sorted: rows.map((row) => Number(row.cells[2].dataset.value)), name: column.selectedOptions[0].text};
"""


@pytest.mark.slow
def test_the_page_in_a_browser(results, page, shown, tmp_path):
    find()
    (tmp_path / "metrics.csv").write_bytes((results / "metrics.csv").read_bytes())
    run_page(tmp_path, tmp_path / "bare.html")
    told = look([View(page, act=ACT), View(page, "", 400), View(tmp_path / "bare.html", "", 400)], tmp_path)
    for one in told:
        assert one["wrong"] == [] and one["scroll"] <= one["inner"], one
        assert one["unlabelled"] == one["unreachable"] == one["twice"] == one["unnamed"] == []
    acted = told[0]["acted"]
    means = [cells[0]["mean"] for cells in shown["pretrain"]["differences"].values()]
    assert acted["sorted"] == sorted(means, reverse=True) and acted["name"] == OLD[0]
    assert told[0]["drawn"] == 8 and told[0]["opened"] == 2
    first = len(shown["pretrain"]["first"])
    assert f"({first + 1} of {len(METHODS['pretrain'])} shown)" in told[0]["text"]
