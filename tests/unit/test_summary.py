"""The report's five sentences agree with the tables and survive small runs."""

import pandas as pd
import pytest
from suite_results import KINDS, suite
from tidy_results import frames, write

from chameleon.reporting import summary
from chameleon.reporting.records import tidy
from chameleon.reporting.verdicts import claims as verdicts
from chameleon.reporting.verdicts.findings import FAILS, HOLDS, OPEN, SET


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write(tmp_path_factory.mktemp("suite"), suite())


def test_five_sentences_of_a_whole_run(results):
    summary.make_summary(results, KINDS)
    text = (results / "summary.md").read_text(encoding="utf-8")
    compared, cost, best, held, opened = text.strip().split("\n\n")
    assert "12 ways to weigh domains" in compared and "81 runs over 3 seeds" in compared
    assert (
        "a transfer to 15 domains (`transfer`)" in compared
        and "6 few-shot tasks at 0 and 5 shots" in compared
    )
    assert "1.02 million tokens" in cost and "nothing for uniform, natural, temperature and unimax" in cost
    assert "69 % for chameleon" in cost
    seconds = pd.read_csv(results / "costs.csv")["seconds"].sum()
    assert f"{seconds / 3600:.1f} hours on CPU" in cost
    assert "doge in `pretrain`" in best and "chameleon_ft in `finetune_code`" in best
    judged = verdicts.judge(KINDS, tidy.of_scenarios(results, KINDS))
    for verdict, sentence in ((HOLDS, held), (FAILS, held), (SET, held), (OPEN, opened)):
        for claim, finding in judged:
            assert (claim.short in sentence) or finding.verdict != verdict
    assert f"of {len(judged)} claims" in held
    page = (results / "summary.html").read_text(encoding="utf-8")
    assert page.count("<p>") == 5 and "<b>What it cost:</b>" in page


def test_bytes_are_stable(results, tmp_path):
    summary.make_summary(results, KINDS)
    first = (results / "summary.md").read_bytes()
    summary.make_summary(results, KINDS)
    assert (results / "summary.md").read_bytes() == first


def test_one_seed_and_one_method(tmp_path):
    summary.make_summary(write(tmp_path, frames(methods=("uniform",), seeds=(0,))), {"toy": "pretrain"})
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "1 ways" not in text and "over 1 seed," in text and "no interval can be given" in text
    assert (
        "0 hold for the published rules" in text
        and "; 0 do not." in text
        and f"{sum(not c.method for c in verdicts.CLAIMS)} were not measured" in text
    )


def test_without_uniform(tmp_path):
    summary.make_summary(write(tmp_path, frames(methods=("natural", "chameleon"))), {"toy": "pretrain"})
    assert "chameleon in `toy`" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_listed():
    assert summary.listed([]) == "" and summary.listed(["a"]) == "a"
    assert summary.listed(["a", "b", "c"]) == "a, b and c"
