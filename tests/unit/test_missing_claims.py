"""Statistics, verdicts and summary of results with holes: no claim is decided without the runs it needs."""

import pytest
from holes import HOLES, cut, whole
from suite_results import KINDS, suite
from tidy_results import DOMAINS, of_scenario, write

from chameleon.reporting import summary
from chameleon.reporting.records import tidy
from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.statistics import comparisons, ranking
from chameleon.reporting.tables import make_tables
from chameleon.reporting.verdicts import budgets, claims, judging
from chameleon.reporting.verdicts.findings import ABSENT, FAILS, HOLDS, OPEN, Runs, every

TOY = {"toy": "pretrain"}


def runs(tmp_path, **hole) -> Runs:
    return Runs(TOY, {"toy": of_scenario(cut(tmp_path, **hole), "toy")})


def test_a_claim_that_needs_a_missing_run_is_undecided(tmp_path):
    test = judging.more_accurate("chameleon", "uniform", "pretrain")
    assert test(runs(tmp_path)).verdict == test(runs(tmp_path)).said == HOLDS
    finding = test(runs(tmp_path, runs={("chameleon", 1)}))
    assert finding.verdict == OPEN and finding.said == "undecided: 1 of 6 runs failed"
    assert finding.probability is None and "(2 of 3 seeds)" in finding.measured
    # One of a method that the claim is not about does not matter.
    assert test(runs(tmp_path, runs={("natural", 1)})).verdict == HOLDS
    # Scores that were not made are not failures.
    assert test(runs(tmp_path, scores={("uniform", 0)})).said == "undecided: 1 of 6 runs are missing"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (judging.lower("chameleon", "uniform", "pretrain"), "undecided: 3 of 6 runs failed"),
        (judging.lower_on_every_domain("chameleon", "uniform", "pretrain"), "undecided: 3 of 6 runs failed"),
        (judging.more_accurate("chameleon", "uniform", "pretrain"), "undecided: 3 of 6 runs failed"),
        (
            budgets.cheaper("natural", "chameleon", "pretrain", at_most=0.5, printed="–"),
            "undecided: 3 of 6 runs failed",
        ),
        (judging.nobody_always_lower(("chameleon",), "uniform", "pretrain"), "undecided: 3 of 6 runs failed"),
        # What was not planned is not measured, as ever.
        (judging.lower("doge", "uniform", "pretrain"), ABSENT),
    ],
)
def test_a_method_without_any_run_is_undecided_and_not_unplanned(tmp_path, test, said):
    assert test(runs(tmp_path, runs=whole("chameleon"))).said == said


def test_a_part_that_is_decided_without_the_missing_run_decides(tmp_path):
    # Chameleon is surely higher on papers; natural, whose run is missing, cannot save the claim.
    both = every(
        judging.lower_on_every_domain("chameleon", "uniform", "pretrain"),
        judging.lower("natural", "uniform", "pretrain"),
    )
    assert both(runs(tmp_path, runs={("natural", 1)})).said == FAILS
    assert both(runs(tmp_path, runs={("chameleon", 1)})).said == "undecided: 1 of 9 runs failed"


def test_without_holes_every_verdict_is_what_it_was(tmp_path):
    found = tidy.of_scenarios(write(tmp_path, suite()), KINDS)
    for _, finding in claims.judge(KINDS, found):
        assert finding.said == finding.verdict and not finding.lost


def test_the_table_of_verdicts_says_how_many_runs_are_missing(tmp_path):
    make_tables(cut(tmp_path, runs=whole("chameleon")), tmp_path / "out", TOY)
    text = (tmp_path / "out" / "verdicts.md").read_text(encoding="utf-8")
    assert "| undecided: 3 of 6 runs failed |" in text and "A claim that needs a run that is missing" in text
    assert "undecided: 3 of 6 runs failed" in (tmp_path / "out" / "verdicts.csv").read_text(encoding="utf-8")


def test_ranks_and_wins_use_complete_blocks(tmp_path):
    metrics = of_scenario(cut(tmp_path, runs={("chameleon", 1)}), "toy")["metrics"]
    assert {place.n for place in ranking.ranks(metrics, DOMAINS).values()} == {2}
    assert comparisons.wins(metrics, "chameleon", DOMAINS).n == 2
    assert comparisons.wins(metrics, "natural", DOMAINS).n == 3
    metrics = of_scenario(cut(tmp_path, **HOLES["no_seed_in_common"]), "toy")["metrics"]
    assert ranking.ranks(metrics, DOMAINS) == {}
    assert comparisons.wins(metrics, "natural", DOMAINS) is None


@pytest.mark.parametrize("name", [name for name in HOLES if name != "everything"])
def test_the_summary_is_written_whatever_is_missing(tmp_path, name):
    summary.make_summary(cut(tmp_path, **HOLES[name]), TOY)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert len(text.strip().split("\n\n")) == 5 and "3 ways to weigh domains" in text
    lost = len(HOLES[name].get("runs", ()))
    assert (f"{9 - lost} of 9 planned runs over 3 seeds" in text) is bool(lost)


def test_the_best_is_picked_over_seeds_that_all_have(tmp_path):
    """Seed 2 is the worst of uniform's: without it uniform's own mean would look better than it is."""
    results = cut(tmp_path, runs={("uniform", 2)})
    summary.make_summary(results, TOY)
    text = (results / "summary.md").read_text(encoding="utf-8")
    metrics = of_scenario(results, "toy")["metrics"]
    means = {
        m: sum(v for s, v in comparisons.series(metrics, m, "mean", "mean_perplexity").items() if s < 2) / 2
        for m in ("uniform", "natural", "chameleon")
    }
    best = min(means, key=lambda m: means[m])
    assert f"that of {best} in `toy` ({means[best]:.1f}, " in text and "over 2 of 3 seeds)" in text
    summary.make_summary(cut(tmp_path / "b", **HOLES["no_seed_in_common"]), TOY)
    assert "in `toy` the methods have no seed in common" in (tmp_path / "b" / "summary.md").read_text()


def test_costs_of_a_missing_method_are_not_known(tmp_path):
    summary.make_summary(cut(tmp_path, runs=whole("chameleon")), TOY)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "those of chameleon are not known" in text
    assert Gaps(of_scenario(tmp_path, "toy")).gone() == ["chameleon"]
