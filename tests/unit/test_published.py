"""Published numbers: complete and marked; beside ours in columns of their own, never mixed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from chameleon import published
from chameleon.core.errors import UserError
from chameleon.reporting.published import beside, rows
from chameleon.reporting.records.tidy import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
SLIM7 = ("papers", "books", "news", "messy_web", "code", "qa", "wiki")
METHODS = ("uniform", "doge", "aioli", "chameleon")


def frames(domains=SLIM7, methods=METHODS, seeds=(0, 1, 2), few_shot=True):
    """Uniform at 100; every other method 2 % better on the first domain, 1 % worse on the others."""
    metrics, costs = [], []
    for method in methods:
        for seed in seeds:
            head = {"scenario": "pretrain", "scale": "cpu", "method": method, "seed": seed}
            values = {}
            for i, domain in enumerate(domains):
                factor = 1.0 if method == "uniform" else (0.98 if i == 0 else 1.01) + 0.001 * (seed - 1)
                values[domain] = 100 * factor
                metrics.append({**head, "corpus": "slim7", "domain_or_task": domain, "metric": "perplexity",
                                "value": values[domain], "unit": "perplexity"})  # fmt: skip
            mean = sum(values.values()) / len(values)
            metrics.append({**head, "corpus": "all", "domain_or_task": "mean", "metric": "mean_perplexity",
                            "value": mean, "unit": "perplexity"})  # fmt: skip
            if few_shot:
                for task, x in (("piqa", 0.53), ("boolq", 0.4), ("mean", 0.46)):
                    for metric, more in (("acc_0shot", 0), ("acc_5shot", 0.01), ("acc_stderr_0shot", 9)):
                        gain = 0.0 if method == "uniform" else 0.02 + 0.001 * seed
                        metrics.append({**head, "corpus": "fewshot", "domain_or_task": task, "metric": metric,
                                        "value": x + more + gain, "unit": "accuracy"})  # fmt: skip
            stages = {"base": 6e12, "evaluate": 1e12, "fewshot": 5e11}
            stages |= {"chameleon": {"proxy": 1e11, "embed": 3e11}, "doge": {"extra": 2e12},
                       "aioli": {"validation": 1e12}}.get(method, {})  # fmt: skip
            costs += [{"scenario": "pretrain", "method": method, "seed": seed, "stage": s, "tokens": 1e6,
                       "flops": f, "seconds": 1.0, "device": "cpu"} for s, f in stages.items()]  # fmt: skip
    return {"metrics": pd.DataFrame(metrics, columns=COLUMNS["metrics"]),
            "costs": pd.DataFrame(costs, columns=COLUMNS["costs"])}  # fmt: skip


def cell(frame, quantity, method, item):
    (row,) = frame[(frame["quantity"] == quantity) & (frame["method"] == method)
                   & (frame["item"] == item)].to_dict("records")  # fmt: skip
    return row


def test_every_number_says_where_it_is_printed_and_how_sure_it_is():
    assert len(published.tables()) >= 20 and len(published.mixtures()) >= 10
    for found in (*published.tables().values(), *published.mixtures().values()):
        assert found.confidence in published.CONFIDENCE and found.printed_in
        assert not re.search(r"golden|shared/|re-run|secondary|/work|recovered", repr(found))
    for table in published.tables().values():
        assert table.rows and all(len(row) == len(table.columns) for row in table.rows), table.id
    for mixture in published.mixtures().values():
        assert sum(mixture.weights.values()) == pytest.approx(1, abs=2e-4)
        assert all(0 <= w <= 1 for w in mixture.weights.values())


def test_printed_averages_are_the_means_of_their_columns():
    """All but Chameleon's, of which the note says so."""
    table = published.table("chameleon_perplexity")
    for method in table.columns[1:]:
        *values, average = table.column(method).values()
        off = abs(sum(values) / 7 - average)
        assert (off > 0.01) == (method == "Chameleon") and off < 0.02
    assert "22.326" in table.notes


def test_figure_1_is_the_matrix_of_the_scores_domains():
    affinity = published.table("chameleon_affinity")
    rows = [row[1:] for row in affinity.rows]
    assert [list(r) for r in zip(*rows, strict=True)] == [list(r) for r in rows], "symmetric"
    assert {sum(row) for row in rows} <= {0, 1}
    assert [r[0] for r in published.table("chameleon_scores").rows] == list(affinity.columns[1:])


def test_mixtures_are_the_tables_columns():
    pile = published.table("doremi_pile").column("DoReMi 280M")
    assert published.mixture("doremi_pile_280m").weights == pile and pile["Pile-CC"] == 0.6057
    regmix = published.table("regmix_mixtures").column("regmix")
    assert published.mixture("regmix_pile_cc").weights == regmix
    doge = dict(zip(published.table("doge_slimpajama").columns, published.table("doge_slimpajama").rows[0],
                    strict=True))  # fmt: skip
    assert published.mixture("doge_slimpajama").weights == {k: v for k, v in doge.items() if k != "config"}


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(UserError, match="published table 'x' is not one of chameleon_perplexity"):
        published.table("x")
    with pytest.raises(UserError, match="published mixture 'x' is not one of doge_slimpajama"):
        published.mixture("x")


def test_loading_imports_nothing_heavy():
    code = ("import sys, chameleon.published as p; p.tables(); p.mixtures(); "
            "print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_domains_take_the_roles_that_the_corpus_gives_them():
    found = yaml.safe_load((ROOT / "chameleon/data/corpora/sets/slim7.yaml").read_text(encoding="utf-8"))[
        "domains"
    ]
    printed = {"Books": "Book", "CommonCrawl": "CC"}
    roles = {d: printed.get(entry["stands_for"], entry["stands_for"]) for d, entry in found.items()}
    assert rows.counterparts(found) == roles
    assert set(roles.values()) == set(published.table("chameleon_perplexity").column("Uniform")) - {"Average"}


def test_slimpajama_itself_has_counterparts_and_others_have_none():
    own = ("arxiv", "book", "c4", "cc", "github", "stackexchange", "wikipedia")
    assert list(rows.counterparts(own)) == list(own)
    assert rows.counterparts(SLIM7[:6]) == {}
    assert rows.counterparts((*SLIM7, "law")) == {}
    assert rows.counterparts((*SLIM7[:6], "arxiv")) == {}, "two domains in one role"


def test_printed_and_ours_stand_beside_each_other():
    frame = rows.comparison(frames(), "pretrain")
    assert tuple(frame.columns) == rows.COLUMNS and set(frame["scenario"]) == {"pretrain"}
    row = cell(frame, "perplexity", "doge", "papers")
    assert (row["printed_item"], row["printed"]) == ("ArXiv", 9.07)
    assert row["printed_relative"] == pytest.approx(100 * (9.07 / 8.16 - 1))
    assert row["ours"] == pytest.approx(98) and row["ours_relative"] == pytest.approx(-2)
    assert row["ours_low"] < -2 < row["ours_high"] and row["n"] == 3
    assert cell(frame, "perplexity", "chameleon", "messy_web")["printed"] == 40.11, "CC, not C4"
    assert cell(frame, "perplexity", "chameleon", "news")["printed"] == 42.59, "C4, not CC"
    mean = cell(frame, "perplexity", "chameleon", "mean")
    assert mean["printed_relative"] == pytest.approx(100 * (22.31 / 24.2 - 1))
    assert mean["ours_relative"] == pytest.approx((-2 + 6 * 1) / 7)
    assert pd.isna(cell(frame, "perplexity", "uniform", "papers")["ours_relative"])


def test_methods_of_one_side_only():
    frame = rows.comparison(frames(methods=("uniform", "chameleon")), "pretrain")
    row = cell(frame, "perplexity", "regmix", "wiki")
    assert (
        row["printed"] == 20.88 and pd.isna(row["ours"]) and pd.isna(row["ours_relative"]) and row["n"] == 0
    )
    row = cell(frame, "perplexity_160M", "aioli", "mean")
    assert row["printed_relative"] == pytest.approx(-100 * 0.24 / 26.426) and "Aioli" in row["printed_in"]
    assert "perplexity" not in set(frame[frame["method"] == "aioli"]["quantity"]), "not in Chameleon's table"
    assert "natural" not in set(frame["method"])


def test_costs_of_weights():
    frame = rows.comparison(frames(), "pretrain")
    row = cell(frame, "weighting_flops", "doge", "weights")
    assert (row["printed"], row["ours"]) == (6.68e17, 2e12)
    assert row["printed_relative"] == pytest.approx(6.68 / 1.36) and row["ours_relative"] == pytest.approx(5)
    assert cell(frame, "weighting_flops", "uniform", "weights")["ours"] == 0
    missing = cell(frame, "weighting_flops", "regmix", "weights")
    assert missing["printed"] == 1.2e18 and pd.isna(missing["ours"])


def test_few_shot_only_where_both_have_the_task():
    frame = rows.comparison(frames(), "pretrain")
    row = cell(frame, "accuracy", "doge", "piqa, 5 shots")
    assert (row["printed_item"], row["printed"]) == ("PIQA", 60.0)
    assert row["printed_relative"] == pytest.approx(0.8) and row["ours"] == pytest.approx(56.1)
    assert row["ours_relative"] == pytest.approx(2.1)
    assert set(frame[frame["quantity"] == "accuracy"]["item"]) == {
        f"{task}, {n} shots" for task in ("piqa", "mean") for n in (0, 5)
    }
    without = rows.comparison(frames(few_shot=False), "pretrain")
    assert "accuracy" not in set(without["quantity"])
    assert "Chameleon 39.6" in beside.published_table(frames(few_shot=False), "pretrain")[2]


def test_the_table_for_people():
    frame, caption, body = beside.published_table(frames(), "pretrain")
    assert len(frame) and caption.endswith(".") and "`pretrain`" in caption
    lines = {line.split(" | ")[0].strip("| "): line for line in body.splitlines() if line.startswith("|")}
    assert lines["papers (ArXiv)"].count("|") == lines["domain (SlimPajama's)"].count("|")
    cells = [c.strip() for c in lines["papers (ArXiv)"].strip("|").split("|")]
    header = [c.strip() for c in lines["domain (SlimPajama's)"].strip("|").split("|")]
    shown = dict(zip(header, cells, strict=True))
    assert shown["chameleon: printed"] == "+1.84" and shown["chameleon: ours"] == "−2.00 ± 0.25"
    assert shown["regmix: printed"] == "+39.09" and shown["regmix: ours"] == "–"
    for words in (
        "684M",
        "SlimPajama",
        "tokenizer",
        "not in the paper itself",
        "1.00M training tokens",
        "3 seeds",
    ):
        assert words in body
    json.dumps(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def test_one_seed_has_no_interval():
    body = beside.published_table(frames(seeds=(1,)), "pretrain")[2]
    assert "±" not in body and "−2.00" in body and "1 seed," in body


def test_a_scenario_without_printed_numbers_says_so():
    frame, caption, body = beside.published_table(frames(domains=("german", "french")), "finetune_languages")
    assert frame.empty and tuple(frame.columns) == rows.COLUMNS
    assert "none, so this table is empty" in caption and "could be recovered" in body
