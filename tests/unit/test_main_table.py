"""The main table and its details: which column stands in which, numbers with known answers."""

import math

import pandas as pd
import pytest
from tidy_results import DOMAINS, SEEDS, cells, frames, perplexity, row, write

from chameleon.reporting.tables import make_tables

TOY = {"toy": "pretrain"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of the default results: a function name -> (frame, markdown)."""
    root = tmp_path_factory.mktemp("tables")
    make_tables(write(root / "results"), root / "out", TOY)

    def load(name):
        frame = pd.read_csv(root / "out" / f"toy_{name}.csv", keep_default_na=False, na_values=[""])
        return frame, (root / "out" / f"toy_{name}.md").read_text(encoding="utf-8")

    return load


def test_main(tables):
    frame, text = tables("main")

    def value(method, quantity):
        return row(frame, method=method, quantity=quantity)["mean"]

    difference, _ = tables("difference")
    assert value("chameleon", "mean_perplexity_to_uniform") == pytest.approx(
        row(difference, method="chameleon", metric="mean_perplexity")["mean"])  # fmt: skip
    assert value("chameleon", "weights_flops_percent_of_base") == pytest.approx(100 * 7 / 60)
    assert value("uniform", "weights_flops_percent_of_base") == 0
    # Ranks of three methods on papers, books and code, by hand, seed by seed: natural wins papers and shares
    # books with uniform; on code it is first, then shares the first place with uniform, then last.
    ranks = [[(1 + 2.5 + 1) / 3, (2 + 2.5 + 2.5) / 3, (3 + 1 + 2.5) / 3],
             [(1 + 2.5 + 1.5) / 3, (2 + 2.5 + 1.5) / 3, (3 + 1 + 3) / 3],
             [(1 + 2.5 + 3) / 3, (2 + 2.5 + 1.5) / 3, (3 + 1 + 1.5) / 3]]  # fmt: skip
    for i, method in enumerate(("natural", "uniform", "chameleon")):
        assert value(method, "mean_rank") == pytest.approx(sum(r[i] for r in ranks) / 3)
    assert value("chameleon", "mean_unseen_loss_to_uniform") == pytest.approx(0.15 + 0.01)
    assert value("chameleon", "accuracy_normalised_5shot") == pytest.approx(0.45)
    assert cells(text, "chameleon")[4:7] == ["**+0.1600 ± 0.0248**", "45.0 ± 2.8", "11.7"]
    assert "guessing gives 45.0 % of raw accuracy" in text and "answers are equally long" in text
    assert "Noise floor" in text and "win rate" not in text.lower() and "bits" not in text


#: What is measured of every method, in the order of the columns: each stands in one table and not the other.
MAIN = {
    "mean perplexity": "mean_perplexity",
    "against uniform (%)": "mean_perplexity_to_uniform",
    "mean log-perplexity against uniform (nats/token)": "mean_log_perplexity_to_uniform",
    "loss on unseen text against uniform (nats/token)": "mean_unseen_loss_to_uniform",
    "accuracy, 5 shots, normalised by length (%)": "accuracy_normalised_5shot",
    "cost of the weights (% of base FLOPs)": "weights_flops_percent_of_base",
    "mean rank": "mean_rank",
}
DETAILS = {
    "mean log-perplexity (nats/token)": "mean_log_perplexity",
    "accuracy, 0 shots (%)": "accuracy_0shot",
    "accuracy, 5 shots (%)": "accuracy_5shot",
    "accuracy, 0 shots, normalised by length (%)": "accuracy_normalised_0shot",
    "accuracy, 5 shots, normalised by length (%)": "accuracy_normalised_5shot",
    "bits per byte, 0 shots": "bits_per_byte_0shot",
    "bits per byte, 5 shots": "bits_per_byte_5shot",
    "win rate": "win_rate_against_uniform",
    "P(beats uniform)": "p_beats_uniform",
    "seeds better": "share_of_seeds_better",
}


@pytest.mark.parametrize(("name", "columns"), [("main", MAIN), ("details", DETAILS)])
def test_no_column_is_lost(tables, name, columns):
    frame, text = tables(name)
    assert cells(text, "method") == ["method", *columns]
    assert name != "main" or len(columns) < 8, "a reader's eight columns, the method among them"
    for method in ("natural", "chameleon"):
        mine = frame[frame["method"] == method]
        assert mine["quantity"].tolist() == list(columns.values())
        assert "–" not in cells(text, method)
    compared = {q for q in columns.values() if q.endswith(("_to_uniform", "_against_uniform"))}
    compared |= {"p_beats_uniform", "share_of_seeds_better"} & set(columns.values())
    mine = frame[frame["method"] == "uniform"]
    assert mine["quantity"].tolist() == [q for q in columns.values() if q not in compared]
    assert cells(text, "uniform").count("–") == len(compared)


def test_details(tables):
    frame, text = tables("details")

    def value(method, quantity):
        return row(frame, method=method, quantity=quantity)["mean"]

    # natural: papers won, books a tie, code won, tied, lost.
    assert value("natural", "win_rate_against_uniform") == pytest.approx(((2.5 + 2 + 1.5) / 3) / 3)
    assert value("natural", "share_of_seeds_better") == 1 and cells(text, "natural")[-1] == "3 of 3"
    assert value("chameleon", "accuracy_5shot") == pytest.approx(0.45 + 0.2 + 0.01)
    assert value("chameleon", "accuracy_normalised_0shot") == pytest.approx(0.45)
    assert value("chameleon", "bits_per_byte_5shot") == pytest.approx(1.8)
    losses = [sum(math.log(perplexity("natural", d, s)) for d in DOMAINS) / 3 for s in SEEDS]
    assert value("natural", "mean_log_perplexity") == pytest.approx(sum(losses) / 3)
    assert "guessing gives 45.0 % of raw accuracy" in text and "lower is better" in text
    assert "rank" not in text.lower() and "Noise floor" not in text


def without(rows, gone):
    rows["metrics"] = [r for r in rows["metrics"] if not gone(r)]
    return rows


def test_main_has_raw_accuracy_where_a_task_has_no_other(tmp_path):
    rows = without(frames(), lambda r: r["metric"].startswith("acc_norm") and r["domain_or_task"] == "mean")
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    text, rest = ((tmp_path / "out" / f"toy_{t}.md").read_text(encoding="utf-8") for t in ("main", "details"))
    assert "accuracy, 5 shots (%)" in cells(text, "method") and "guessing gives 45.0 %." in text
    assert "normalised" not in text + rest


def test_main_without_unseen_text_has_no_such_column(tmp_path):
    rows = without(frames(), lambda r: "unseen" in r["metric"])
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    text = (tmp_path / "out" / "toy_main.md").read_text(encoding="utf-8")
    assert "nseen" not in text and len(cells(text, "method")) == 7


def test_main_without_fewshot_has_no_such_columns(tmp_path):
    rows = frames()
    rows["metrics"] = [r for r in rows["metrics"] if r["corpus"] != "fewshot"]
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    text = (tmp_path / "out" / "toy_main.md").read_text(encoding="utf-8")
    assert "shots" not in text and "mean rank" in text and "guessing" not in text
    rest = (tmp_path / "out" / "toy_details.md").read_text(encoding="utf-8")
    assert "shots" not in rest and "win rate" in rest and "guessing" not in rest
    assert "not tested on few-shot tasks" in (tmp_path / "out" / "toy_fewshot.md").read_text(encoding="utf-8")
