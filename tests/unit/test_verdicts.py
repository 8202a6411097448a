"""Verdicts on claims: the rule, its margins, claims of several parts, and what was not measured."""

import math

import pandas as pd
import pytest
from suite_results import KINDS, suite
from tidy_results import frames, of_scenario, write

from chameleon.reporting.records import tidy
from chameleon.reporting.verdicts import budgets, judging
from chameleon.reporting.verdicts import claims as verdicts
from chameleon.reporting.verdicts.findings import ABSENT, FAILS, HOLDS, OPEN, SET, Runs, every, worst

#: Claims that every run is put to; the others are for runs that have their method.
ALWAYS = [claim for claim in verdicts.CLAIMS if not claim.method]


def runs(tmp_path, rows=None, kind="pretrain") -> Runs:
    found = of_scenario(write(tmp_path, rows or frames()), "toy")
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
    finding = judging.lower("mine", "uniform", "pretrain")(runs(tmp_path, shifted(*percents)))
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
    finding = judging.lower("chameleon", "uniform", "pretrain")(runs(tmp_path, frames(seeds=(0,))))
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


def domains_moved(moves: dict[str, tuple[float, float, float]]) -> dict:
    """Return results of `mine` whose perplexity differs from uniform's by so many percent, by domain."""
    rows = shifted(0, 0, 0)
    for r in rows["metrics"]:
        if r["method"] == "mine" and r["metric"] == "perplexity":
            r["value"] *= 1 + moves[r["domain_or_task"]][r["seed"]] / 100
    return rows


#: Means of -1 percent with two-sided p of 0.020 and 0.039: t of 7 and of 4.9 with two degrees of freedom.
SURE, WEAK = (-1 - 0.2474, -1.0, -1 + 0.2474), (-1 - 0.3535, -1.0, -1 + 0.3535)


@pytest.mark.parametrize(
    ("code", "verdict", "counts"),
    [
        # Each interval alone excludes zero, but the smallest p of three would have to be below 0.05 / 3.
        (WEAK, OPEN, "lower on 0 of 3 domains, higher on none, 3 undecided"),
        (tuple(-x for x in WEAK), OPEN, "lower on 0 of 3 domains, higher on none, 3 undecided"),
        # With one that is sure, 0.020 is held against 0.05 / 2 and 0.039 against 0.05.
        ((-2.0, -2.001, -2.002), HOLDS, "lower on 3 of 3 domains, higher on none, 0 undecided"),
        ((2.0, 2.001, 2.002), FAILS, "lower on 2 of 3 domains, higher on 1 (code), 0 undecided"),
    ],
)
def test_domains_are_corrected_on_both_sides(tmp_path, code, verdict, counts):
    found = runs(tmp_path, domains_moved({"papers": WEAK, "books": SURE, "code": code}))
    finding = judging.lower_on_every_domain("mine", "uniform", "pretrain")(found)
    assert finding.verdict == verdict and counts in finding.measured and finding.intervals == 3


def test_parts_of_a_claim_are_one_family(tmp_path):
    """A p-value of 0.039 decides a claim of one interval, and none of three such intervals."""
    found = runs(tmp_path / "weak", shifted(*WEAK))
    alone = judging.lower("mine", "uniform", "pretrain")
    assert alone(found).verdict == HOLDS and every(alone, alone, alone)(found).verdict == OPEN
    sure = runs(tmp_path / "sure", shifted(-2, -2.01, -2.02))
    assert every(alone, alone, alone)(sure).verdict == HOLDS


def test_accuracy_is_better_when_higher(tmp_path):
    better = judging.more_accurate("chameleon", "uniform", "pretrain")(runs(tmp_path))
    assert better.verdict == HOLDS and "5 shots: +20.00" in better.measured and better.probability > 0.99
    assert judging.more_accurate("uniform", "chameleon", "pretrain")(runs(tmp_path)).verdict == FAILS


def with_swarm() -> dict:
    """Return results in which natural has a swarm of 1.4e12 FLOPs, twice what chameleon's weights cost."""
    rows = frames()
    for r in [r for r in rows["costs"] if r["method"] == "natural" and r["stage"] == "base"]:
        rows["costs"].append({**r, "stage": "swarm", "flops": 1.4e12})
    return rows


def cheaper(a, b, at_most):
    return budgets.cheaper(a, b, "pretrain", at_most=at_most, printed="10 %")


def test_cost_is_a_ratio_of_the_weights_alone_and_set_by_the_config(tmp_path):
    found = runs(tmp_path, with_swarm())
    half, less = cheaper("chameleon", "natural", 0.5)(found), cheaper("chameleon", "natural", 0.49)(found)
    assert half.verdict == less.verdict == half.said == SET == "set by the config" and half.intervals == 0
    assert "50 % of the FLOPs of natural, within the 50 % claimed (the paper's: 10 %)" in half.measured
    assert "above the 49 % claimed" in less.measured
    # The keys follow from the stages that were paid for.
    keys = half.measured.split("set by ")[1].split(", ")
    assert keys == ["scenarios.toy.proxy.scale", "embeddings.windows", "method_params.natural.num_proxies",
                    "method_params.natural.scale", "method_params.natural.steps"]  # fmt: skip
    # Nothing is a fraction of what costs nothing.
    assert cheaper("chameleon", "uniform", 0.5)(found).verdict == ABSENT


def test_keys_of_proxies_under_an_objective(tmp_path):
    rows = frames()
    for r in rows["costs"]:
        if (r["method"], r["stage"]) == ("chameleon", "embed"):
            r["stage"] = "extra"
    found = runs(tmp_path, rows, kind="transfer")
    assert budgets.set_by(found, "toy", "chameleon") == [
        "scenarios.toy.proxy", "method_params.chameleon.steps"]  # fmt: skip


def test_what_the_config_sets_decides_nothing_that_was_measured(tmp_path):
    found = runs(tmp_path, with_swarm())
    cost = cheaper("chameleon", "natural", 0.5)
    worse = judging.more_accurate("uniform", "chameleon", "pretrain")
    better = judging.more_accurate("chameleon", "uniform", "pretrain")
    assert every(worse, cost)(found).verdict == FAILS
    assert every(better, cost)(found).verdict == SET
    assert every(judging.lower("uniform", "uniform", "pretrain"), cost)(found).verdict == OPEN
    assert worst([SET, ABSENT]) == SET and worst([HOLDS, ABSENT]) == OPEN and worst([ABSENT]) == ABSENT


def test_setting_says_domains_and_budgets(tmp_path):
    found = runs(tmp_path)
    needed = judging.lower("chameleon", "uniform", "pretrain")(found).needed
    assert budgets.setting(found, needed) == (
        "toy: k = 3 domains, base runs of 1.00 M tokens, weights for uniform 0 %, chameleon 12 % of a base "
        "run's FLOPs"
    )
    assert budgets.setting(found, frozenset()) == ""


def test_what_was_not_run_is_not_measured(tmp_path):
    found = runs(tmp_path)
    for test in (judging.lower("doge", "uniform", "pretrain"),
                 judging.lower("chameleon", "uniform", "transfer"),
                 judging.more_accurate("doge", "uniform", "pretrain"),
                 judging.lower_on_every_domain("doge", "uniform", "pretrain"),
                 judging.nobody_always_lower(("doge",), "uniform", "pretrain")):  # fmt: skip
        assert test(found).verdict == ABSENT


def test_parts_combine(tmp_path):
    found = runs(tmp_path)
    better = judging.more_accurate("chameleon", "uniform", "pretrain")
    worse = judging.more_accurate("uniform", "chameleon", "pretrain")
    unknown = judging.lower("doge", "uniform", "pretrain")
    assert every(better, worse)(found).verdict == FAILS
    both = every(better, unknown)(found)
    assert both.verdict == OPEN and "doge against uniform in toy: not measured" in both.measured
    assert both.probability is None


def test_nobody_always_lower(tmp_path):
    def verdict(*percents):
        test = judging.nobody_always_lower(("mine",), "uniform", "pretrain")
        return test(runs(tmp_path, shifted(*percents))).verdict

    assert [verdict(-2, -2.1, -1.9), verdict(2, 2.1, 1.9), verdict(-2, 2, 0)] == [FAILS, HOLDS, OPEN]


def test_the_claims_of_a_whole_run(tmp_path):
    found = tidy.of_scenarios(write(tmp_path, suite()), KINDS)
    judged = verdicts.judge(KINDS, found)
    by_short = {claim.short: finding for claim, finding in judged}
    assert len(by_short) == len(ALWAYS)
    assert {c.paper for c in ALWAYS} == {"Chameleon", "DoReMi", "DoGE", "RegMix", "Aioli"}
    assert by_short["Chameleon beats uniform in pretraining"].verdict == FAILS
    assert by_short["DoGE beats uniform and DoReMi"].verdict == HOLDS
    assert by_short["Aioli beats uniform everywhere"].verdict == HOLDS
    assert "transfer, aioli" in by_short["Aioli beats uniform everywhere"].measured
    share = by_short["re-weighting for new domains costs about 1 % of retraining"]
    assert share.verdict == SET and "5.5 % of the FLOPs of chameleon_retrained" in share.measured
    assert "above the 2.0 % claimed (the paper's: about 1 %)" in share.measured
    fraction = by_short["Chameleon's weights cost a fraction of DoReMi's, DoGE's and RegMix's"]
    assert fraction.verdict == SET
    for printed in ("10 %", "20 %", "11 %"):  # 1.36e17 of 1.34e18, 6.68e17 and 1.2e18 FLOPs
        assert f"(the paper's: {printed})" in fraction.measured
    assert "9.5 %" in by_short["RegMix's weights cost less than DoReMi's"].measured


def foretold(**orders):
    """Return results in which methods foretell the losses of all mixtures, or their opposites, by seed."""
    rows = frames()
    mixtures = sorted({r["method"] for r in rows["metrics"]})
    came = {(r["method"], r["seed"]): r["value"] for r in rows["metrics"]
            if r["metric"] == "mean_log_perplexity" and r["domain_or_task"] == "mean"}  # fmt: skip
    for method, by_seed in orders.items():
        for seed, sign in enumerate(by_seed):
            for mixture in mixtures:
                value = sign * came[mixture, seed]
                rows["diagnostics"].append({"scenario": "toy", "method": method, "seed": seed,
                                            "quantity": "foretold_loss", "domain": "", "other": mixture,
                                            "value": value})  # fmt: skip
    return rows


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [((1, 1, 1), (1, 1, 1), HOLDS), ((-1, -1, -1), (1, 1, 1), FAILS), ((1, -1, 1), (1, 1, 1), OPEN)],
)
def test_orders_are_compared_seed_by_seed(tmp_path, mine, theirs, verdict):
    found = runs(tmp_path, foretold(demix=mine, regmix=theirs))
    finding = judging.orders_as_well("demix", "regmix", "pretrain")(found)
    assert finding.verdict == verdict and "demix against regmix" in finding.measured
    nobody = judging.orders_as_well("climb", "regmix", "pretrain")(found)
    assert nobody.verdict == ABSENT


def test_a_claim_with_a_method_is_for_runs_that_have_it(tmp_path):
    def papers(rows):
        found = of_scenario(write(tmp_path, rows), "toy")
        return {claim.paper for claim, _ in verdicts.judge({"toy": "pretrain"}, {"toy": found})}

    assert papers(frames()) == {claim.paper for claim in ALWAYS}
    rows = shifted(1, 2, 3)
    for row in rows["metrics"]:
        if row["method"] == "mine":
            row["method"] = "climb"
    assert papers(rows) == {"CLIMB"} | {claim.paper for claim in ALWAYS}


def test_the_table_has_every_claim(tmp_path):
    from chameleon.reporting.tables import make_tables

    make_tables(write(tmp_path), tmp_path / "out", {"toy": "pretrain"})
    frame = pd.read_csv(tmp_path / "out" / "verdicts.csv", keep_default_na=False)
    assert len(frame) == len(ALWAYS)
    assert set(frame["verdict"]) <= {HOLDS, FAILS, OPEN, SET, ABSENT}
    measured = frame[frame["verdict"] == ABSENT]["measured"]
    assert len(measured) and not measured.any()
    text = (tmp_path / "out" / "verdicts.md").read_text(encoding="utf-8")
    assert f"{pd.to_numeric(frame['intervals']).sum()} intervals were looked at" in text
