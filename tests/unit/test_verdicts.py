"""Verdicts on claims: the rule, its margins, claims of several parts, and what was not measured."""

import math

import pandas as pd
import pytest
from suite_results import KINDS, suite
from tidy_results import frames, write

from chameleon.reporting.records import tidy
from chameleon.reporting.verdicts import claims as verdicts
from chameleon.reporting.verdicts import judging
from chameleon.reporting.verdicts.judging import ABSENT, FAILS, HOLDS, OPEN, Runs


def runs(tmp_path, rows=None, kind="pretrain") -> Runs:
    found = tidy.of_scenario(write(tmp_path, rows or frames()), "toy")
    return Runs({"toy": kind}, {"toy": found})


def shifted(*percents) -> dict:
    """Return results in which `mine` differs from uniform's perplexities by so many percent, one per seed."""
    rows = frames()
    for r in [r for r in rows["metrics"] if r["method"] == "uniform"]:
        factor = 1 + percents[r["seed"]] / 100
        value = r["value"] + math.log(factor) if r["metric"] in ("loss", "mean_log_perplexity") else (
            r["value"] * factor)  # fmt: skip
        rows["metrics"].append({**r, "method": "mine", "value": value})
    return rows


@pytest.mark.parametrize(
    ("percents", "verdict"),
    [((-2, -2.1, -1.9), HOLDS), ((2, 2.1, 1.9), FAILS), ((-2, 2, 0.1), OPEN), ((0, 0, 0), OPEN)],
)
def test_the_interval_decides(tmp_path, percents, verdict):
    finding = judging.against_uniform("mine", "pretrain")(runs(tmp_path, shifted(*percents)))
    assert finding.verdict == verdict and finding.intervals == 1
    mean = f"{sum(percents) / 3:+.2f}".replace("-", "−")
    assert f"toy, mine against uniform: {mean} ± " in finding.measured


@pytest.mark.parametrize(
    ("percents", "verdict"),
    [
        ((0.1, 0.2, 0.0), HOLDS),  # ends below the margin
        ((0.5, 0.6, 0.55), HOLDS),  # worse, but surely by less than the margin
        ((0.9, 1.1, 1.0), OPEN),  # surely worse, but by more or less than the margin
        ((5, 5.1, 4.9), FAILS),
        ((-1, 3, 1), OPEN),
    ],
)
def test_not_worse_has_a_margin(tmp_path, percents, verdict):
    test = judging.lower("mine", "uniform", "pretrain", margin=1.0)
    assert test(runs(tmp_path, shifted(*percents))).verdict == verdict


def test_one_seed_decides_nothing(tmp_path):
    finding = judging.against_uniform("chameleon", "pretrain")(runs(tmp_path, frames(seeds=(0,))))
    assert finding.verdict == OPEN and finding.probability is None and "±" not in finding.measured


def test_every_domain(tmp_path):
    finding = judging.lower_on_every_domain("mine", "uniform", "pretrain")(
        runs(tmp_path, shifted(-2, -2.1, -2))
    )
    assert (
        finding.verdict == HOLDS
        and "lower on 3 of 3 domains, higher on none, 0 undecided" in finding.measured
    )
    finding = judging.lower_on_every_domain("chameleon", "uniform", "pretrain")(runs(tmp_path))
    assert finding.verdict == FAILS and "higher on 1 (papers)" in finding.measured
    # natural: papers surely lower, books the same, code anything.
    finding = judging.lower_on_every_domain("natural", "uniform", "pretrain")(runs(tmp_path))
    assert finding.verdict == OPEN and "lower on 1 of 3" in finding.measured and finding.intervals == 3


def test_accuracy_is_better_when_higher(tmp_path):
    better = judging.more_accurate("chameleon", "uniform", "pretrain")(runs(tmp_path))
    assert better.verdict == HOLDS and "5 shots: +20.00" in better.measured and better.probability > 0.99
    assert judging.more_accurate("uniform", "chameleon", "pretrain")(runs(tmp_path)).verdict == FAILS


def test_cost_is_a_ratio_of_the_weights_alone(tmp_path):
    rows = frames()
    for r in [r for r in rows["costs"] if r["method"] == "natural" and r["stage"] == "base"]:
        rows["costs"].append({**r, "stage": "swarm", "flops": 1.4e12})
    found = runs(tmp_path, rows)
    half = judging.cheaper("chameleon", "natural", "pretrain", at_most=0.5)(found)
    assert half.verdict == HOLDS and "50 % of the FLOPs of natural" in half.measured
    assert judging.cheaper("chameleon", "natural", "pretrain", at_most=0.49)(found).verdict == FAILS
    # Nothing is a fraction of what costs nothing.
    assert judging.cheaper("chameleon", "uniform", "pretrain", at_most=0.5)(found).verdict == ABSENT


def test_what_was_not_run_is_not_measured(tmp_path):
    found = runs(tmp_path)
    for test in (judging.against_uniform("doge", "pretrain"),
                 judging.against_uniform("chameleon", "transfer"),
                 judging.more_accurate("doge", "uniform", "pretrain"),
                 judging.lower_on_every_domain("doge", "uniform", "pretrain"),
                 judging.nobody_always_lower(("doge",), "uniform", "pretrain")):  # fmt: skip
        assert test(found).verdict == ABSENT


def test_parts_combine(tmp_path):
    found = runs(tmp_path)
    better = judging.more_accurate("chameleon", "uniform", "pretrain")
    worse = judging.more_accurate("uniform", "chameleon", "pretrain")
    unknown = judging.against_uniform("doge", "pretrain")
    assert judging.every(better, worse)(found).verdict == FAILS
    both = judging.every(better, unknown)(found)
    assert both.verdict == OPEN and "doge against uniform in toy: not measured" in both.measured
    assert both.probability is None


def test_nobody_always_lower(tmp_path):
    def verdict(*percents):
        test = judging.nobody_always_lower(("mine",), "uniform", "pretrain")
        return test(runs(tmp_path, shifted(*percents))).verdict

    assert [verdict(-2, -2.1, -1.9), verdict(2, 2.1, 1.9), verdict(-2, 2, 0)] == [FAILS, HOLDS, OPEN]


def test_trend_says_where_training_moves_the_difference(tmp_path):
    finding = judging.against_uniform("chameleon", "pretrain")(runs(tmp_path))
    # The toy curves grow in proportion to the tokens: half of the difference at half of them.
    first, last = (
        float(x.replace("−", "-")) for x in finding.trend.split(": ")[1].split(" nats")[0].split(" to ")
    )
    assert first == pytest.approx(last / 2, abs=1e-3)
    text = judging.trend(runs(tmp_path, shifted_curves(0.1)), "toy", "natural", "uniform")
    assert text.endswith("away from the claim")
    text = judging.trend(runs(tmp_path, shifted_curves(-0.1)), "toy", "natural", "uniform")
    assert text.endswith("towards the claim")
    rows = frames()
    rows["curves"] = []
    assert judging.trend(runs(tmp_path, rows), "toy", "natural", "uniform") == ""


def shifted_curves(slope: float) -> dict:
    rows = frames()
    for r in rows["curves"]:
        if r["method"] == "natural":
            r["loss"] += slope * r["tokens"] / 1e6
    return rows


def test_the_claims_of_a_whole_run(tmp_path):
    found = tidy.of_scenarios(write(tmp_path, suite()), KINDS)
    judged = verdicts.judge(KINDS, found)
    by_short = {claim.short: finding for claim, finding in judged}
    assert len(by_short) == len(verdicts.CLAIMS)
    assert {c.paper for c in verdicts.CLAIMS} == {"Chameleon", "DoReMi", "DoGE", "RegMix", "Aioli"}
    assert by_short["Chameleon beats uniform in pretraining"].verdict == FAILS
    assert by_short["DoGE beats uniform and DoReMi"].verdict == HOLDS
    assert by_short["Aioli beats uniform everywhere"].verdict == HOLDS
    assert "transfer, aioli" in by_short["Aioli beats uniform everywhere"].measured
    share = by_short["re-weighting for new domains costs about 1 % of retraining"]
    assert share.verdict == FAILS and "5.5 % of the FLOPs of chameleon_retrained" in share.measured


def test_the_table_has_every_claim(tmp_path):
    from chameleon.reporting.tables import make_tables

    make_tables(write(tmp_path), tmp_path / "out", {"toy": "pretrain"})
    frame = pd.read_csv(tmp_path / "out" / "verdicts.csv", keep_default_na=False)
    assert len(frame) == len(verdicts.CLAIMS)
    assert set(frame["verdict"]) <= {HOLDS, FAILS, OPEN, ABSENT}
    measured = frame[frame["verdict"] == ABSENT]["measured"]
    assert len(measured) and not measured.any()
    text = (tmp_path / "out" / "verdicts.md").read_text(encoding="utf-8")
    assert f"{pd.to_numeric(frame['intervals']).sum()} intervals were looked at" in text
