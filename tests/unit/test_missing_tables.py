"""Tables of results with holes: missing cells say so, means say over how many seeds they are."""

import pandas as pd
import pytest
from holes import HOLES, WHY, cut, whole
from tidy_results import DOMAINS, of_scenario, perplexity, write

from chameleon.reporting import catalogue
from chameleon.reporting.records.missing import FEWSHOT, Gaps, note, parts_of, short_note
from chameleon.reporting.tables import BUILDERS, make_tables

TOY = {"toy": "pretrain"}
NAMES = [name for name, kinds in catalogue.TABLES.items() if "pretrain" in kinds]
METHODS = ("uniform", "natural", "chameleon")


def build(root, **hole):
    """Return a function name -> (frame, markdown) of the tables of results with a hole."""
    make_tables(cut(root / "results", **hole), root / "out", TOY, tuple(TOY))

    def load(name):
        stem = name if name in catalogue.OVERALL_TABLES else f"toy_{name}"
        frame = pd.read_csv(root / "out" / f"{stem}.csv", keep_default_na=False, na_values=[""])
        return frame, (root / "out" / f"{stem}.md").read_text(encoding="utf-8")

    return load


def cells(markdown: str, first: str) -> list[str]:
    """Return the cells after the first of the row that begins with `first`."""
    (line,) = [x for x in markdown.splitlines() if x.startswith(f"| {first} |")]
    return [c.strip() for c in line.strip("|").split(" | ")][1:]


@pytest.mark.parametrize("name", HOLES)
def test_no_hole_keeps_a_table_from_being_made(tmp_path, name, capsys):
    load = build(tmp_path, **HOLES[name])
    # A builder that trips is caught, and its traceback printed.
    assert capsys.readouterr().err == ""
    lost = HOLES[name].get("runs", set())
    for table in NAMES:
        frame, text = load(table)
        # Every missing run is named below each table, and what the marks mean; scores where there are any.
        if not lost and FEWSHOT not in parts_of(table):
            assert "Missing: " not in text and "Partial" not in text
            continue
        assert "Missing: " in text and "n of N seeds" in text
        for method in {method for method, _ in lost}:
            assert f"`{method}`" in text.rsplit("Missing: ", 1)[1]
        if lost:
            assert f"{len(lost)} of 9 runs are missing" in text.split("\n")[0]
        if "n" in frame:
            assert set(frame["n_planned"]) <= {3}


def test_one_seed_missing_changes_no_other_row(tmp_path):
    load = build(tmp_path, runs={("chameleon", 1)})
    make_tables(write(tmp_path / "all"), tmp_path / "complete", TOY)
    complete = (tmp_path / "complete" / "toy_perplexity.md").read_text(encoding="utf-8")
    frame, text = load("perplexity")
    for method in ("uniform", "natural"):
        assert cells(text, method) == cells(complete, method)
    assert len(cells(text, "chameleon (2 of 3 seeds)")) == len(cells(text, "uniform"))
    mine = frame[(frame["method"] == "chameleon") & (frame["domain"] == "papers")].iloc[0]
    assert mine["n"] == 2
    assert mine["mean"] == pytest.approx(sum(perplexity("chameleon", "papers", s) for s in (0, 2)) / 2)


def test_a_method_without_any_seed_has_a_row_of_failures(tmp_path):
    load = build(tmp_path, runs=whole("natural"))
    for name in ("main", "details", "perplexity", "difference", "weights", "epochs", "costs", "noise"):
        frame, text = load(name)
        assert set(cells(text, "natural")) == {"failed"}, name
        # In the csv too: no number, over none of three seeds.
        assert frame[frame["method"] == "natural"][["n", "n_planned"]].to_numpy().tolist() == [[0, 3]]
    _, text = load("fewshot")
    assert text.count("| natural | failed | failed | failed |") == 6
    not_run = build(tmp_path / "other", runs=whole("natural"), state="not run")("main")[1]
    assert set(cells(not_run, "natural")) == {"not run"}


def test_pairs_are_over_the_seeds_that_both_have(tmp_path):
    load = build(tmp_path, runs={("uniform", 2)})
    frame, text = load("difference")
    assert set(frame["n"]) == {2}
    # The row is over three seeds, its differences over two.
    assert all(cell.endswith("(2 of 3 seeds)") for cell in cells(text, "chameleon"))
    _, main = load("main")
    found = cells(main, "natural")
    assert "(2 of 3 seeds)" not in found[0] and found[1].endswith("(2 of 3 seeds)")
    assert cells(main, "uniform (2 of 3 seeds)")[1] == "–"


def test_without_uniform_there_is_no_difference_and_it_says_why(tmp_path):
    load = build(tmp_path, runs=whole("uniform"))
    assert "all runs of uniform are missing, so this table is empty" in load("difference")[1]
    _, main = load("main")
    natural = cells(main, "natural")
    assert set(natural[1:4]) == {"uniform failed"} and "failed" not in natural[0]
    assert set(cells(load("details")[1], "natural")[-3:]) == {"uniform failed"}


def test_no_seed_in_common_is_said(tmp_path):
    # Natural has seed 0, uniform has 1 and 2.
    _, text = build(tmp_path, **HOLES["no_seed_in_common"])("difference")
    assert set(cells(text, "natural (1 of 3 seeds)")) == {"no seed in common"}


def test_ranks_are_over_complete_seeds_only(tmp_path):
    frame, text = build(tmp_path, runs={("chameleon", 1)})("main")
    rank = frame[frame["quantity"] == "mean_rank"].set_index("method")
    assert set(rank.loc[list(METHODS), "n"]) == {2}
    assert "Ranks are over complete seeds only" in text and "2 of 3 seeds." in text
    frame, text = build(tmp_path / "b", runs=whole("natural"))("main")
    rank = frame[frame["quantity"] == "mean_rank"].set_index("method")
    # Two methods are left: no rank is above 2, and who is not ranked is said.
    assert set(rank["n"]) == {3} and rank["mean"].max() <= 2 and "(not ranked: natural)" in text
    _, text = build(tmp_path / "c", **HOLES["no_seed_in_common"])("main")
    assert "0 of 3 seeds" in text


def test_scores_alone_may_be_missing(tmp_path):
    load = build(tmp_path, **HOLES["scores"])
    few = {"main": "accuracy, 5 shots, normalised by length (%)", "details": "accuracy, 0 shots (%)"}
    for table, heading in few.items():
        _, text = load(table)
        natural = cells(text, "natural")
        assert natural[cells(text, "method").index(heading)] == "not run" and natural[0][0].isdigit()
    _, text = load("fewshot")
    assert "| natural | not run |" in text and "| chameleon (2 of 3 seeds) |" in text
    assert "`natural`, every seed, few-shot scores: not run" in text


def test_nothing_of_a_scenario_is_there(tmp_path):
    load = build(tmp_path, **HOLES["everything"])
    for name in NAMES:
        frame, text = load(name)
        assert "no run of it is there" in text and set(frame["method"]) == set(METHODS)


def test_a_corpus_that_was_not_prepared_is_a_row(tmp_path):
    results = cut(tmp_path, runs=whole("natural"))
    make_tables(results, tmp_path / "out", TOY, texts=results, lost={"wide": "failed"})
    text = (tmp_path / "out" / "corpora.md").read_text(encoding="utf-8")
    assert set(cells(text, "wide")) == {"failed"}
    make_tables(results, tmp_path / "out", TOY)
    assert "wide" not in (tmp_path / "out" / "corpora.md").read_text(encoding="utf-8")


def test_weights_may_be_known_where_the_run_failed(tmp_path):
    results = cut(tmp_path, runs={("natural", 1)})
    write(tmp_path / "all")
    (tmp_path / "all" / "weights.csv").replace(results / "weights.csv")
    make_tables(results, tmp_path / "out", TOY)
    frame = pd.read_csv(tmp_path / "out" / "toy_weights.csv")
    assert set(frame[frame["method"] == "natural"]["n"]) == {3}
    assert "| natural |" in (tmp_path / "out" / "toy_weights.md").read_text(encoding="utf-8")


def test_a_table_that_cannot_be_made_is_no_obstacle(tmp_path, monkeypatch, capsys):
    def broken(scenario, frames):
        raise ValueError("a hole too many")

    monkeypatch.setitem(BUILDERS, "noise", broken)
    load = build(tmp_path, runs={("natural", 1)})
    assert "could not be made" in load("noise")[1] and "| uniform |" in load("main")[1]
    assert "a hole too many" in capsys.readouterr().err
    # Of a complete run a bug keeps its traceback.
    with pytest.raises(ValueError, match="a hole too many"):
        make_tables(write(tmp_path / "all"), tmp_path / "out", TOY)


def test_an_empty_list_of_what_is_missing_changes_no_byte(tmp_path):
    make_tables(write(tmp_path / "a"), tmp_path / "one", TOY)
    make_tables(cut(tmp_path / "b"), tmp_path / "two", TOY)
    assert (tmp_path / "b" / "missing.csv").exists()
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes(), file.name


def test_causes_are_grouped_and_counted(tmp_path):
    found = of_scenario(cut(tmp_path, runs=whole("natural") | {("chameleon", 0)}), "toy")
    gaps = Gaps(found)
    assert gaps.methods == list(METHODS) and gaps.count() == (4, 9)
    assert gaps.causes() == [f"`chameleon`, seed 0: failed ({WHY})", f"`natural`, every seed: failed ({WHY})"]
    assert short_note(found) == "Partial: 4 of 9 runs are missing. natural: failed; chameleon: 2 of 3 seeds."
    assert "and 1 more" in note({"toy": found}, most=1)
    # What is missing for one reason is said once.
    both = of_scenario(cut(tmp_path, runs=whole("natural") | whole("uniform")), "toy")
    assert Gaps(both).causes() == [f"`natural`, `uniform`, every seed: failed ({WHY})"]
    complete = of_scenario(write(tmp_path / "all"), "toy")
    assert not Gaps(complete) and note({"toy": complete}) == short_note(complete) == ""
    assert Gaps(complete).label("natural") == "natural" and Gaps(complete).word("natural") == "–"


def test_a_moving_mixture_says_how_many_seeds_each_row_has(tmp_path):
    def move(rows):
        half = [r for r in rows["weights"] if r["method"] == "natural"]
        rows["weights"] += [{**r, "step": 500, "weight": float(r["domain"] == DOMAINS[0])} for r in half]

    _, text = build(tmp_path, runs={("natural", 1)}, edit=move)("weights")
    assert "natural, average (2 of 3 seeds)" in text and "natural, step 500 (2 of 3 seeds)" in text
