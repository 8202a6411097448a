"""Tables from tidy files with known answers."""

import math

import pandas as pd
import pytest
import scipy.stats
from suite_results import KINDS, suite
from tidy_results import DOMAINS, SEEDS, cells, frames, perplexity, row, write

from chameleon.core.errors import UserError
from chameleon.reporting import catalogue
from chameleon.reporting.tables import BUILDERS, OVERALL, make_tables

TOY = {"toy": "pretrain"}
WHOLE = (*catalogue.OVERALL_TABLES, *catalogue.CORPUS_TABLES)
T = scipy.stats.t.ppf(0.975, 2)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of the default results: a function name -> (frame, markdown)."""
    root = tmp_path_factory.mktemp("tables")
    return build(root)


def build(root, **kwargs):
    make_tables(write(root / "results", frames(**kwargs)), root / "out", TOY, tuple(TOY))

    def load(name):
        stem = name if name in WHOLE else f"toy_{name}"
        frame = pd.read_csv(root / "out" / f"{stem}.csv", keep_default_na=False, na_values=[""])
        return frame, (root / "out" / f"{stem}.md").read_text(encoding="utf-8")

    return load


def test_names_are_predictable(tmp_path):
    build(tmp_path)
    written = {p.name for p in (tmp_path / "out").iterdir()}
    names = {f"toy_{t}" for t, kinds in catalogue.TABLES.items() if "pretrain" in kinds} | set(WHOLE)
    assert written == {f"{n}.{suffix}" for n in names for suffix in ("csv", "md", "html")}
    assert set(BUILDERS) == set(catalogue.TABLES) and set(OVERALL) == set(catalogue.OVERALL_TABLES)


def test_agreement(tables):
    frame, text = tables("agreement")
    assert set(frame["quantity"]) == {"from_uniform", "between_seeds"}
    assert row(frame, method="uniform", quantity="between_seeds")["mean"] == 0
    assert cells(text, "uniform")[3] == "uniform"


def test_agreement_of_two_proxies_and_of_corpora():
    """Two labels with scores in opposite order, weights 0.2 apart; the second corpus nearer to the mean."""
    weights = {"chameleon": [(0.5, 0.3, 0.2), (0.6, 0.2, 0.2)], "again": [(0.3, 0.3, 0.4), (0.4, 0.2, 0.4)]}
    scores = {"chameleon": (3.0, 2.0, 1.0), "again": (1.0, 2.0, 3.0)}
    head = [(m, s) for m in weights for s in (0, 1)]
    made = {
        "weights": pd.DataFrame([("s", m, s, 0, d, weights[m][s][i])
                                 for m, s in head for i, d in enumerate("abc")],
                                columns=["scenario", "method", "seed", "step", "domain", "weight"]),
        "metrics": pd.DataFrame([("s", m, s, "one" if d != "c" else "two", d, "loss", 1.0)
                                 for m, s in head for d in "abc"],
                                columns=["scenario", "method", "seed", "corpus", "domain_or_task", "metric",
                                         "value"]),
        "curves": pd.DataFrame(columns=["method", "seed", "step"]),
        "diagnostics": pd.DataFrame(
            [("s", m, s, q, d, o, x) for m, s in head for i, d in enumerate("abc")
             for q, o, x in (("score", "", scores[m][i]), ("affinity", d, 4.0 if d != "c" else 1.0))],
            columns=["scenario", "method", "seed", "quantity", "domain", "other", "value"]),
    }  # fmt: skip
    frame, _, text = BUILDERS["agreement"]("s", made)
    assert row(frame, method="chameleon", quantity="between_seeds")["mean"] == pytest.approx(0.1)
    assert cells(text, "chameleon")[3] == "yes", "0.1 between seeds, 0.2 and more from uniform"
    frame, _, text = BUILDERS["proxies"]("s", made)
    assert row(frame, method="again", quantity="mass", corpus="two")["mean"] == pytest.approx(0.4)
    pair = {"method": "chameleon", "other": "again"}
    assert row(frame, quantity="score_correlation", **pair)["mean"] == pytest.approx(-1)
    assert row(frame, quantity="weight_distance", **pair)["mean"] == pytest.approx(0.2)
    near = row(frame, method="chameleon", quantity="centroid_distance", corpus="two")
    assert near["mean"] == pytest.approx(1 / 3)
    assert cells(text, "chameleon") == ["chameleon", "0.800", "0.200", "1.333", "0.333"]


def test_forecast():
    """What the swarm foretells is in the opposite order of what came, in both seeds."""
    foretold, losses = {"uniform": 6.0, "natural": 6.1, "doremi": 6.2}, {"uniform": 5.2, "natural": 5.1}
    rows = [("s", "regmix", s, "foretold_loss", "", m, x) for s in (0, 1) for m, x in foretold.items()]
    rows += [("s", "regmix", s, "heldout_spearman", "", "", 0.75) for s in (0, 1)]
    metrics = [("s", m, s, "all", "mean", "mean_log_perplexity", x + s)
               for s in (0, 1) for m, x in {**losses, "doremi": 5.0, "regmix": 5.5}.items()]  # fmt: skip
    made = {
        "diagnostics": pd.DataFrame(
            rows, columns=["scenario", "method", "seed", "quantity", "domain", "other", "value"]
        ),
        "metrics": pd.DataFrame(
            metrics, columns=["scenario", "method", "seed", "corpus", "domain_or_task", "metric", "value"]
        ),
    }
    frame, _, text = BUILDERS["forecast"]("s", made)
    assert set(frame["correlation"]) == {-1} and set(frame["heldout_correlation"]) == {0.75}
    found = row(frame, other="doremi")
    assert (found["foretold"], found["measured"], found["n"]) == (6.2, 5.5, 2)
    assert "came to: −1.00" in text and "swarm: 0.75" in text
    empty, caption, _ = BUILDERS["forecast"]("s", {**made, "diagnostics": made["diagnostics"][:0]})
    assert empty.empty and "was asked about" in caption


def test_perplexity(tables):
    frame, text = tables("perplexity")
    found = row(frame, method="uniform", domain="papers")
    assert (found["mean"], found["sd"], found["n"]) == (21, 1, 3)
    assert found["high"] - found["mean"] == pytest.approx(T / math.sqrt(3))
    means = [sum(perplexity("chameleon", d, s) for d in DOMAINS) / 3 for s in SEEDS]
    assert row(frame, method="chameleon", metric="mean_perplexity")["mean"] == pytest.approx(sum(means) / 3)
    assert cells(text, "uniform")[1] == "21.00 ± 2.48"
    assert "3 seeds" in text.splitlines()[0]
    # Uniform first, ours last.
    assert frame["method"].drop_duplicates().tolist() == ["uniform", "natural", "chameleon"]


def test_difference_is_paired_and_marked_only_outside_the_interval(tables):
    frame, text = tables("difference")
    assert "uniform" not in set(frame["method"])
    found = row(frame, method="chameleon", domain="papers")
    assert found["mean"] == pytest.approx(5) and found["unit"] == "%"
    assert found["high"] - found["mean"] == pytest.approx(T / math.sqrt(3))
    marked = {(r["method"], r["domain"], r["metric"]): r["excludes_zero"] for _, r in frame.iterrows()}
    assert marked["natural", "papers", "perplexity"] and marked["chameleon", "books", "perplexity"]
    assert not marked["natural", "books", "perplexity"] and not marked["natural", "code", "perplexity"]
    logs = [sum(math.log(perplexity("chameleon", d, s) / perplexity("uniform", d, s)) for d in DOMAINS) / 3
            for s in SEEDS]  # fmt: skip
    found = row(frame, method="chameleon", metric="mean_log_perplexity")
    assert found["mean"] == pytest.approx(sum(logs) / 3) and found["unit"] == "nats/token"
    natural = cells(text, "natural")
    assert natural[1:4] == ["**−2.00 ± 0.00**", "0.00 ± 0.00", "0.00 ± 4.97"]


def test_difference_uses_only_seeds_that_both_have(tmp_path):
    rows = frames()
    rows["metrics"] = [r for r in rows["metrics"] if not (r["method"] == "natural" and r["seed"] == 1)]
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    frame = pd.read_csv(tmp_path / "out" / "toy_difference.csv")
    found = row(frame, method="natural", domain="code")
    assert found["n"] == 2 and found["mean"] == pytest.approx(0)
    assert row(frame, method="chameleon", domain="code")["n"] == 3


def test_weights(tables):
    frame, text = tables("weights")
    found = row(frame, method="chameleon", domain="papers")
    assert found[["mean", "sd", "min", "max"]].tolist() == pytest.approx([0.3, 0.1, 0.2, 0.4])
    assert frame.groupby("method")["mean"].sum().tolist() == pytest.approx([1, 1, 1])
    assert cells(text, "chameleon")[1:] == ["0.300 (0.100)", "0.400 (0.100)", "0.300 (0.000)"]


def test_weights_that_move_show_first_and_last(tmp_path):
    rows = frames()
    for step in (100, 200):
        rows["weights"] += [{**r, "step": step} for r in rows["weights"]
                            if r["method"] == "natural" and r["step"] == 0]  # fmt: skip
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    text = (tmp_path / "out" / "toy_weights.md").read_text()
    assert "natural, step 0" in text and "natural, step 200" in text and "step 100" not in text
    frame = pd.read_csv(tmp_path / "out" / "toy_weights.csv", dtype={"step": str})
    assert set(frame["step"]) == {"0", "100", "200", "average"}


def test_costs(tables):
    frame, text = tables("costs")
    found = row(frame, method="chameleon", stage="weighting")
    assert found[["tokens", "flops", "seconds"]].tolist() == [150000, 7e11, 10]
    assert found["flops_per_base_flop"] == pytest.approx(7 / 60)
    assert row(frame, method="chameleon", stage="total")["seconds"] == 115
    assert row(frame, method="uniform", stage="weighting")["flops"] == 0
    assert cells(text, "chameleon")[7:9] == ["11.7", "proxy 86 %, embedding 14 %"]


def test_krls(tables):
    frame, text = tables("krls")
    assert row(frame, quantity="k_lambda")["mean"] == 30
    assert row(frame, quantity="eigenvalue", other=0)["mean"] == 91
    assert row(frame, quantity="score", domain="papers")["sd"] == pytest.approx(0.1)
    assert "kλ = 30; eigenvalues 91, 12, 0." in text


def test_epochs(tables):
    frame, text = tables("epochs")
    assert row(frame, method="natural", domain="papers")["mean"] == pytest.approx(1.5)
    assert cells(text, "chameleon")[1:] == ["0.90 (0.60 to 1.20)", "1.20 (0.90 to 1.50)", "0.90"]


def test_noise(tables):
    frame, text = tables("noise")
    uniform = row(frame, method="uniform", domain="mean")
    assert uniform["sd"] == pytest.approx(1) and pd.isna(uniform["paired_sd_percent"])
    code = row(frame, method="natural", domain="code")
    assert code["paired_sd_percent"] == pytest.approx(2)
    assert code["half_width_percent"] == pytest.approx(2 * T / math.sqrt(3))
    assert code["seeds_for_1_percent"] == 34
    assert cells(text, "uniform")[1:4] == ["24.33", "1.00", "4.11"]


def test_corpora_and_licences(tables):
    frame, text = tables("corpora")
    assert frame["domain"].tolist() == list(DOMAINS)
    assert frame["train_documents"].tolist() == [1200] * 3 and frame["near_duplicates"].tolist() == [5] * 3
    assert cells(text, "slim/books")[1:5] == ["Novels", "Books", "Fewer.", "1,200 / 2.40"]
    frame, text = tables("licences")
    assert len(frame) == 6 and set(frame["redistributable"]) == {True, False}
    assert "| slim/code | some-books | 1.2 | pypi | `abababababab` | CC0 \\| public | yes |" in text
    assert "| slim/code | more | 1.2 | pypi | – | CC0 \\| public | no |" in text


def test_one_seed_has_no_intervals_and_says_so(tmp_path):
    load = build(tmp_path, seeds=(0,))
    for name in ("perplexity", "difference"):
        frame, text = load(name)
        assert frame["low"].isna().all() and (frame["n"] == 1).all()
        assert "one seed, so no intervals" in text and "±" not in text and "**" not in text
    assert not load("difference")[0]["excludes_zero"].any()
    frame, text = load("noise")
    assert frame.empty and "one seed shows no noise" in text


def test_without_uniform_the_comparisons_are_empty_and_say_why(tmp_path):
    load = build(tmp_path, methods=("natural", "chameleon"))
    for name in ("difference", "noise"):
        frame, text = load(name)
        assert frame.empty and len(frame.columns) > 5
        assert "uniform is not among its methods" in text
    assert len(load("perplexity")[0]) == 2 * 5


def test_uniform_alone(tmp_path):
    load = build(tmp_path, methods=("uniform",))
    assert load("difference")[0].empty and "uniform is its only method" in load("difference")[1]
    assert load("krls")[0].empty and "no method of it computes leverage scores" in load("krls")[1]
    assert row(load("noise")[0], domain="mean")["sd"] == pytest.approx(1)


def test_the_order_of_rows_does_not_matter_and_bytes_are_stable(tmp_path):
    rows = frames()
    kept = ("perplexity", "difference", "costs", "noise")
    for name in ("a", "b"):
        make_tables(write(tmp_path / name, rows), tmp_path / name / "out", TOY)
        first = {k: [r for r in v if r["method"] == "uniform"] for k, v in rows.items()}
        rows = {k: first[k] + [r for r in reversed(v) if r["method"] != "uniform"] for k, v in rows.items()}
    for table in kept:
        a, b = ((tmp_path / name / "out" / f"toy_{table}.md").read_bytes() for name in ("a", "b"))
        assert a == b, table


def test_a_domain_called_null_survives(tmp_path):
    rows = frames()
    for name in ("metrics", "weights", "diagnostics"):
        for r in rows[name]:
            for column in ("domain", "domain_or_task", "other"):
                if r.get(column) == "code":
                    r[column] = "null"
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    assert "| null |" in (tmp_path / "out" / "toy_perplexity.md").read_text()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("metrics.csv", None, "metrics.csv: no such file"),
        ("metrics.csv", "a,b\n1,2\n", "columns a, b; expected scenario, corpus"),
        ("weights.csv", "", "not a table"),
        ("weights.csv", "scenario,method,seed,step,domain,weight\ntoy,u,0,0,x,many\n", "column weight"),
        ("corpora/slim/report.json", None, "report.json: no such file"),
        ("corpora/slim/report.json", "{}", "not a corpus report"),
    ],
)
def test_broken_files_are_one_clear_line(tmp_path, file, content, words):
    write(tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        make_tables(tmp_path, tmp_path / "out", TOY)
    assert "\n" not in str(caught.value)


def test_unknown_scenario_names_those_there_are(tmp_path):
    with pytest.raises(UserError, match="scenario 'tou' is not one of toy"):
        make_tables(write(tmp_path), tmp_path / "out", {"tou": "pretrain"})


def test_difference_has_a_second_opinion(tables):
    frame, _ = tables("difference")
    found = row(frame, method="chameleon", domain="papers")
    assert (found["bootstrap_low"], found["bootstrap_high"]) == pytest.approx((4, 6))
    assert found["share_of_seeds_better"] == 0
    test = scipy.stats.ttest_1samp([5, 6, 4], 0, alternative="less")
    assert found["p_better"] == pytest.approx(1 - test.pvalue)
    assert row(frame, method="natural", domain="code")["p_better"] == pytest.approx(0.5)


def test_fewshot(tables):
    frame, text = tables("fewshot")
    found = row(frame, method="chameleon", task="piqa", shots=0, metric="acc")
    assert found["mean"] == pytest.approx(0.7) and found["chance"] == 0.5 and found["items"] == 500
    seeds = T * 0.01 / math.sqrt(3)
    assert found["high"] - found["mean"] == pytest.approx(math.hypot(1.959964 * 0.02, seeds))
    assert found["beyond_guessing"]
    assert not row(frame, method="natural", task="piqa", shots=0, metric="acc")["beyond_guessing"]
    bits = row(frame, method="chameleon", task="mean", shots=5, metric="bits_per_byte")
    assert bits["mean"] == pytest.approx(1.8) and bits["against_uniform_mean"] == pytest.approx(-0.2)
    blocks = text.split("**0 shots: bits per byte")
    assert (
        "| guessing | 50.0 | 40.0 | 45.0 |" in blocks[0]
        and "| always one answer | – | 50.0 | 50.0 |" in blocks[0]
    )
    assert "| chameleon | **70.0 ± " in blocks[0] and "| uniform | (50.0 ± " in blocks[0]
    assert "| uniform | 2.000 ± " in blocks[1] and "**−0.200 ± " in blocks[1]


def test_an_accuracy_of_one_answer_alone_is_not_seen_as_reading(tmp_path):
    """On boolq one answer gives 50 %, guessing 40 %: 55 ± 4 % is told from both, 52 ± 4 % is not."""
    rows = frames()
    for r in rows["metrics"]:
        if (r["domain_or_task"], r["metric"], r["method"]) == ("boolq", "acc_0shot", "uniform"):
            r["value"] = 0.52
        if (r["domain_or_task"], r["metric"], r["method"]) == ("boolq", "acc_0shot", "natural"):
            r["value"] = 0.55
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    frame = pd.read_csv(tmp_path / "out" / "toy_fewshot.csv")
    for method, seen in (("uniform", False), ("natural", True)):
        found = row(frame, method=method, task="boolq", shots=0, metric="acc")
        assert found["low"] > 0.4 and found["beyond_guessing"] == seen


def test_weights_that_move_are_averaged_over_training(tmp_path):
    rows = frames()
    half = [r for r in rows["weights"] if r["method"] == "natural"]
    rows["weights"] += [{**r, "step": 500, "weight": float(r["domain"] == "papers")} for r in half]
    make_tables(write(tmp_path, rows), tmp_path / "out", TOY)
    frame = pd.read_csv(tmp_path / "out" / "toy_weights.csv", dtype={"step": str})
    found = row(frame, method="natural", step="average", domain="papers")
    assert found["mean"] == pytest.approx(0.75)  # 0.5 for the first half of 1,000 steps, 1 for the second


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tables of a whole run with a transfer and two finetuning scenarios."""
    root = tmp_path_factory.mktemp("whole")
    kinds = {s: k for s, k in KINDS.items() if s != "pretrain"}
    make_tables(write(root / "results", suite()), root / "out", kinds)
    return root / "out"


def test_transfer_has_means_of_old_and_new_domains(whole):
    frame = pd.read_csv(whole / "transfer_difference.csv")
    new = row(frame, method="doge", domain="mean_new", metric="mean_perplexity")
    old = row(frame, method="doge", domain="mean_old", metric="mean_perplexity")
    assert new["mean"] != old["mean"] and new["n"] == 3
    text = (whole / "transfer_perplexity.md").read_text(encoding="utf-8")
    assert (
        "mean perplexity, old domains | mean log-perplexity, old domains | mean perplexity, new domains"
        in text
    )


def test_transfer_cost(whole):
    frame = pd.read_csv(whole / "transfer_transfer_cost.csv")
    kept = row(frame, method="chameleon", stage="weighting")
    again = row(frame, method="chameleon_retrained", stage="weighting")
    assert kept["flops_per_retrained_flop"] == pytest.approx(0.04 / 0.73)
    assert again["flops_per_retrained_flop"] == 1
    assert "base" not in set(frame["stage"]) and "fewshot" not in set(frame["stage"])
    text = (whole / "transfer_transfer_cost.md").read_text(encoding="utf-8")
    assert cells(text, "chameleon")[2] == "–" and cells(text, "chameleon")[-2] == "5.5"
    assert cells(text, "uniform")[-2] == "0"


def test_forgetting(whole):
    frame = pd.read_csv(whole / "finetune_code_forgetting.csv")
    ft = row(frame, method="chameleon_ft", domain="mean", metric="mean_forgetting")
    uniform = row(frame, method="uniform", domain="mean", metric="mean_forgetting")
    assert ft["against_uniform_mean"] == pytest.approx(ft["mean"] - uniform["mean"])
    assert ft["against_uniform_high"] < 0 and ft["excludes_zero"]
    kept = row(frame, method="uniform", domain="papers", metric="kept_perplexity")
    assert kept["unit"] == "perplexity" and kept["mean"] > 100
    # The tables of perplexity look at the finetuning domains only.
    assert "papers" not in set(pd.read_csv(whole / "finetune_code_perplexity.csv")["domain"])
    assert not (whole / "finetune_code_fewshot.csv").exists()


def test_no_forgetting_is_said(tmp_path):
    make_tables(write(tmp_path), tmp_path / "out", {"toy": "finetune"})
    text = (tmp_path / "out" / "toy_forgetting.md").read_text(encoding="utf-8")
    assert "not tested on pretraining domains" in text
