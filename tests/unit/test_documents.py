"""The test text's error: known answers, the interval of seeds and text, its tables, and what is missing."""

import math

import numpy as np
import pytest
import scipy.stats
from tidy_results import BLOCKS, DOMAINS, LEAN, LEANS, SEEDS, frames, of_scenario, perplexity, write

from chameleon.core.errors import UserError
from chameleon.reporting.records import tidy
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.documents import (
    TextError,
    domain_error,
    mean_error,
    mean_loss_to_uniform,
    text_error,
    with_text_error,
)
from chameleon.reporting.tables.losses import robust
from chameleon.reporting.tables.main import main

#: Of the toy results, by hand: residuals c, 0, −c over 4 blocks make √(3/2 · 2c²) / 4 = c √3 / 4 on each of
#: three domains, c / 4 of their mean.
TEXT = {method: lean / 4 for method, lean in LEAN.items()}


def toy(tmp_path, edit=None):
    rows = frames()
    if edit is not None:
        rows["documents"] = edit(rows["documents"])
    return of_scenario(write(tmp_path, rows), "toy")


def moved(method):
    """Return a method's differences to uniform in mean loss, one a seed."""
    return [sum(math.log(perplexity(method, d, s) / perplexity("uniform", d, s)) for d in DOMAINS) / 3
            for s in SEEDS]  # fmt: skip


def test_a_domain_by_hand():
    """Two documents of one and three blocks, 1 and 5: mean 4, residuals −3 and 3, √(2 · 18) / 4 = 1.5."""
    assert domain_error([1, 3], [1, 5]) == pytest.approx(1.5)
    # Of equally many blocks it is the standard error of a mean.
    values = [0.1, 0.4, -0.2, 0.3]
    assert domain_error([7] * 4, values) == pytest.approx(scipy.stats.sem(values))
    assert domain_error([2, 5, 2], [0.0] * 3) == 0
    assert domain_error([4], [1.0]) is None
    for blocks in ([1, 0], [1]):
        with pytest.raises(ValueError, match="one positive number of blocks"):
            domain_error(blocks, [0.1, 0.2])


def test_the_mean_over_domains_by_hand():
    """Errors 1.5 and 2 make √(2.25 + 4) / 2 = 1.25; five documents less two domains are free."""
    text = mean_error({"a": ([1, 3], [1, 5]), "b": ([1, 1, 1], [0, 2 * math.sqrt(3), -2 * math.sqrt(3)])})
    assert text.error == pytest.approx(1.25)
    assert (text.documents, text.freedom, text.thinnest) == ({"a": 2, "b": 3}, 3, "a")
    alone = mean_error({"a": ([1, 3], [1, 5]), "b": ([4], [1])})
    assert alone.error is None and alone.thinnest == "b"


def test_the_interval_by_hand():
    """Seeds 1, 2, 3: sd²/n = 1/3; the text's error 1 with 4 degrees: ν = 16/9 / (1/18 + 1/4) = 64/11."""
    found = with_text_error([1, 2, 3], TextError(1, {"a": 3, "b": 3}))
    freedom = (4 / 3) ** 2 / ((1 / 3) ** 2 / 2 + 1 / 4)
    assert freedom == pytest.approx(64 / 11)
    assert (found.mean, found.sd, found.n) == (2, 1, 3)
    assert found.half_width == pytest.approx(scipy.stats.t.ppf(0.975, freedom) * math.sqrt(4 / 3))


def test_the_interval_is_never_narrower_than_that_of_the_seeds():
    """An error of √(1/3) by the formula alone: 2.06, of the seeds 2.48."""
    found = with_text_error([1, 2, 3], TextError(math.sqrt(1 / 3), {"a": 3, "b": 3}))
    assert found == stats.mean_interval([1, 2, 3])


def test_without_an_error_of_the_text_the_interval_is_that_of_the_seeds():
    seeds = stats.mean_interval([1, 2, 3])
    for error in (0.0, None):
        assert with_text_error([1, 2, 3], TextError(error, {"a": 3})) == seeds
    assert with_text_error([1], TextError(0.5, {"a": 3})).low is None, "one seed has no interval"
    # Seeds that agree leave the text's error with its own degrees of freedom.
    half = with_text_error([2, 2, 2], TextError(0.5, {"a": 4, "b": 3})).half_width
    assert half == pytest.approx(0.5 * scipy.stats.t.ppf(0.975, 5))


def test_the_interval_covers_the_truth_of_other_seeds_and_other_text():
    """4 seeds and 2 domains of 25 documents, the text as loud as the seeds: seeds alone would not do."""
    draw, truth, runs, seeds = np.random.default_rng(5), 0.3, 1500, 4
    hits, hits_of_seeds = 0, 0
    for _ in range(runs):
        text = {d: (draw.integers(1, 4, 25), truth + draw.normal(0, 1, 25)) for d in "ab"}
        whole = np.mean([np.average(x, weights=n) for n, x in text.values()])
        values = whole + draw.normal(0, 0.3, seeds)
        both, alone = with_text_error(values, mean_error(text)), stats.mean_interval(values)
        hits += both.low <= truth <= both.high
        hits_of_seeds += alone.low <= truth <= alone.high
    assert 0.94 < hits / runs < 0.98
    assert hits_of_seeds / runs < 0.9


@pytest.mark.parametrize("method", ["natural", "chameleon"])
def test_the_toy_results_by_hand(tmp_path, method):
    found = mean_loss_to_uniform(toy(tmp_path), method)
    assert found.text.error == pytest.approx(TEXT[method])
    assert found.text.documents == dict.fromkeys(DOMAINS, 3) and found.covers_text
    expected = with_text_error(moved(method), TextError(TEXT[method], dict.fromkeys(DOMAINS, 3)))
    assert found.estimate == pytest.approx(expected)
    # What the documents have beside their domain adds up to nothing.
    assert sum(n * lean for n, lean in zip(BLOCKS, LEANS, strict=True)) == 0


def test_the_tables_show_the_interval_and_the_error(tmp_path):
    given = toy(tmp_path)
    shown, hangs = main("toy", given), robust("toy", given)
    for method in ("natural", "chameleon"):
        estimate = mean_loss_to_uniform(given, method).estimate
        rows = shown.csv[shown.csv["method"] == method].set_index("quantity")
        found = rows.loc["mean_log_perplexity_to_uniform"]
        assert (found["mean"], found["low"], found["high"]) == estimate[:3]
        of = hangs.csv[hangs.csv["method"] == method].set_index("quantity")
        assert of.loc["mean", "low"] == estimate.low and of.loc["text_error", "domain"] == "mean"
        assert of.loc["text_error", "mean"] == pytest.approx(TEXT[method])
        assert tuple(of.loc["thinnest_domain", ["domain", "mean", "unit"]]) == ("papers", 3, "documents")
        (line,) = [x for x in hangs.body.splitlines() if x.startswith(f"| {method} |")]
        assert line.split(" | ")[2:4] == [f"{TEXT[method]:.4f}", "3"]
    header = hangs.body.splitlines()[0]
    assert "| error of the test text (nats/token) | test documents of the thinnest domain |" in header
    assert "covers other seeds and other test text." in shown.body
    assert "covers other seeds and other test text." in hangs.body
    assert "fewest is papers (3)" in hangs.body and "All other intervals are over seeds." in hangs.body


def test_other_intervals_stay_over_seeds(tmp_path):
    shown = main("toy", toy(tmp_path)).csv
    without = main("toy", toy(tmp_path, edit=lambda rows: [])).csv
    same = shown["quantity"] != "mean_log_perplexity_to_uniform"
    assert shown[same].equals(without[same]) and not shown[~same].equals(without[~same])


#: What becomes of the documents of natural, and why its interval is that of the seeds then.
LOST = {
    "a seed": lambda r: (r["method"], r["seed"]) != ("natural", 1),
    "a document": lambda r: (r["method"], r["seed"], r["domain"], r["document"]) != ("natural", 1, "code", 2),
    "a domain": lambda r: (r["method"], r["domain"]) != ("natural", "code"),
    "all": lambda r: r["method"] != "natural",
    "all but one document a domain": lambda r: r["method"] != "natural" or r["document"] == 0,
}


@pytest.mark.parametrize("name", LOST)
def test_without_its_documents_a_methods_interval_is_that_of_the_seeds(tmp_path, name):
    given = toy(tmp_path, edit=lambda rows: [r for r in rows if LOST[name](r)])
    found = mean_loss_to_uniform(given, "natural")
    assert found.estimate == pytest.approx(stats.mean_interval(moved("natural"))) and not found.covers_text
    assert mean_loss_to_uniform(given, "chameleon").covers_text
    for table in (main("toy", given), robust("toy", given)):
        assert "and other test text (of natural other seeds only: their losses by document" in table.body


def test_a_single_document_is_no_error_but_is_counted(tmp_path):
    given = toy(tmp_path, edit=lambda rows: [r for r in rows if r["domain"] != "code" or r["document"] == 0])
    found = mean_loss_to_uniform(given, "natural")
    assert found.text.error is None and found.estimate == pytest.approx(stats.mean_interval(moved("natural")))
    table = robust("toy", given)
    (line,) = [x for x in table.body.splitlines() if x.startswith("| natural |")]
    assert line.split(" | ")[2:4] == ["–", "1"] and "fewest is code (1)" in table.body
    assert "covers other seeds only" in table.body and "text_error" not in set(table.csv["quantity"])


def test_documents_of_other_blocks_do_not_pair(tmp_path):
    given = toy(tmp_path)
    documents = given["documents"].copy()
    assert text_error(documents, "natural", "uniform", DOMAINS, SEEDS) is not None
    assert text_error(documents, "natural", "uniform", DOMAINS, ()) is None
    documents.loc[(documents["method"] == "natural") & (documents["document"] == 1), "blocks"] = 3
    assert text_error(documents, "natural", "uniform", DOMAINS, SEEDS) is None


def test_one_seed_has_no_interval_but_an_error(tmp_path):
    given = of_scenario(write(tmp_path, frames(seeds=(0,))), "toy")
    table = robust("toy", given)
    assert set(table.csv[table.csv["quantity"] == "mean"]["low"].isna()) == {True}
    assert (
        "text_error" in set(table.csv["quantity"])
        and "and other test text" not in table.body + main("toy", given).body
    )


def test_the_tidy_file_has_its_columns_and_numbers(tmp_path):
    frame = toy(tmp_path)["documents"]
    assert tuple(frame.columns) == tidy.COLUMNS["documents"]
    assert frame["document"].dtype == int and frame["blocks"].dtype == float
    (tmp_path / "documents.csv").write_text("scenario,method,seed\n")
    with pytest.raises(UserError, match=r"documents\.csv: columns scenario, method, seed; expected"):
        tidy.read(tmp_path, "documents")
