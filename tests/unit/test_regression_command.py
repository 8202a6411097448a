"""`python -m chameleon regress` on a small swarm of a known law: what it prints, writes and refuses."""

import csv
import json
import re

import numpy as np
import pytest

from chameleon import cli
from chameleon.core.artifacts import read_json
from chameleon.methods.regression.mixtures import swarm_mixtures

DOMAINS = ("arxiv", "pile_cc", "github", "wiki")


def losses(x):
    """Mostly pile_cc, a little wiki."""
    return 3 + np.exp(-3 * x[:, 1] - x[:, 3])


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swarm")
    rng = np.random.default_rng(0)
    for name, n, level in (("train", 60, 0.0), ("test", 40, 0.0), ("large", 40, -2.0)):
        x = swarm_mixtures(np.ones(4), n, rng).round(3)
        y = losses(x) + level + 0.01 * rng.normal(size=n)
        for kind, header, rows in (
            ("mixture", [f"train_the_pile_{d}" for d in DOMAINS], x),
            ("loss", [f"metric/the_pile_{d}_val_loss" for d in DOMAINS], np.outer(y, [2, 1, 3, 4])),
        ):
            with open(folder / f"{name}_{kind}.csv", "w", newline="") as handle:
                writer = csv.writer(handle)
                writer.writerow(["index", *header])
                writer.writerows([i + 1, *row] for i, row in enumerate(rows))
    return folder


def regress(swarm, out, *more, target="pile_cc"):
    files = ["--mixtures", str(swarm / "train_mixture.csv"), "--losses", str(swarm / "train_loss.csv")]
    return cli.main(["regress", *files, "--target", target, "--out", str(out), "--candidates", "2000", *more])


def against(swarm, name):
    return [
        "--test-mixtures",
        str(swarm / f"{name}_mixture.csv"),
        "--test-losses",
        str(swarm / f"{name}_loss.csv"),
    ]


def test_with_a_test_set(swarm, tmp_path, capsys):
    assert regress(swarm, tmp_path, *against(swarm, "test")) == 0
    said = capsys.readouterr().out
    (spearman,) = re.findall(r"(?m)^spearman: (\d\.\d{4})$", said)
    (mse,) = re.findall(r"(?m)^mse: (\S+)$", said)
    assert float(spearman) > 0.95 and 0 < float(mse) < 0.01
    assert "held out: 40 runs of test_mixture.csv\n" in said
    mixture = read_json(tmp_path / "proposed_mixture.json")
    assert set(mixture) == set(DOMAINS) and sum(mixture.values()) == pytest.approx(1, abs=1e-12)
    assert mixture["pile_cc"] > 0.6
    rows = list(csv.DictReader((tmp_path / "proposed_mixture.csv").open()))
    assert {row["domain"]: float(row["weight"]) for row in rows} == mixture
    assert all(float(row["weight"]) <= float(row["swarm_max"]) for row in rows), (
        "beyond every run of the swarm"
    )
    record = read_json(tmp_path / "regression.json")
    assert f"{record['spearman']:.4f}" == spearman and record["target"] == "metric/the_pile_pile_cc_val_loss"
    for picture in ("fit.png", "importance.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_without_a_test_set_it_is_cross_validated_and_says_so(swarm, tmp_path, capsys):
    """In sample the trees know the losses nearly by heart; that is not what is printed."""
    assert regress(swarm, tmp_path, "--model", "log_linear") == 0
    said = capsys.readouterr().out
    assert "held out: 10-fold cross-validation on the 60 runs\n" in said
    assert float(re.findall(r"spearman: (\S+)", said)[0]) > 0.97


def test_losses_of_another_level_keep_their_order(swarm, tmp_path, capsys):
    assert regress(swarm, tmp_path, *against(swarm, "large"), "--model", "log_linear") == 0
    said = capsys.readouterr().out
    assert float(re.findall(r"spearman: (\S+)", said)[0]) > 0.97
    assert float(re.findall(r"mse: (\S+)", said)[0]) == pytest.approx(4, rel=0.05)
    assert (tmp_path / "fit.png").stat().st_size > 5000


def test_the_same_call_writes_the_same_bytes(swarm, tmp_path):
    for run in ("a", "b"):
        assert regress(swarm, tmp_path / run) == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        "fit.png",
        "importance.png",
        "proposed_mixture.csv",
        "proposed_mixture.json",
        "regression.json",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_prior_bounds_the_search(swarm, tmp_path, capsys):
    """A share of 0.03 bounds a domain at 0.45, however good it is."""
    prior = tmp_path / "prior.json"
    prior.write_text(json.dumps({"arxiv": 0.4, "pile_cc": 0.03, "github": 0.3, "wiki": 0.27}))
    assert regress(swarm, tmp_path / "out", "--prior", str(prior), "--model", "linear", "--top", "8") == 0
    assert 0.2 < read_json(tmp_path / "out" / "proposed_mixture.json")["pile_cc"] <= 0.45
    for text, words in (('{"arxiv": 1}', "a share for each of arxiv, pile_cc"), ('[1]', "JSON object"),
                        (json.dumps(dict.fromkeys(DOMAINS, 0)), "0 is not a positive share")):  # fmt: skip
        prior.write_text(text)
        capsys.readouterr()
        assert regress(swarm, tmp_path / "out", "--prior", str(prior)) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "target", "words"),
    [
        ([], "books", "--target: 'books' is no column of"),
        (["--model", "forest"], "pile_cc", "--model: 'forest' is not one of lightgbm, linear, log_linear"),
        (["--test-losses", "x.csv"], "pile_cc", "--test-mixtures and --test-losses belong together"),
        (["--top", "0"], "pile_cc", "--top 0: both must be at least 1"),
    ],
)
def test_mistakes_end_in_one_line(swarm, tmp_path, capsys, more, target, words):
    assert regress(swarm, tmp_path / "out", *more, target=target) == 2
    found = capsys.readouterr()
    assert found.out == "" and found.err.startswith("error: ") and found.err.count("\n") == 1
    assert words in found.err and not (tmp_path / "out").exists()


def test_two_runs_are_too_few(tmp_path, capsys):
    (tmp_path / "train_mixture.csv").write_text("run,a,b\nx,0.5,0.5\ny,1,0\n")
    (tmp_path / "train_loss.csv").write_text("run,a\nx,1\ny,2\n")
    assert regress(tmp_path, tmp_path / "out", target="a") == 2
    assert "2 usable runs; a regression needs at least three" in capsys.readouterr().err


def test_equal_losses_have_no_order(tmp_path, capsys):
    rows = [f"{i},{i / 10},{1 - i / 10}" for i in range(11)]
    (tmp_path / "train_mixture.csv").write_text("\n".join(["run,a,b", *rows]))
    (tmp_path / "train_loss.csv").write_text("\n".join(["run,y", *(f"{i},2.5" for i in range(11))]))
    assert regress(tmp_path, tmp_path / "out", target="y") == 0
    assert "spearman: undefined, one side is constant\n" in capsys.readouterr().out
    assert read_json(tmp_path / "out" / "regression.json")["spearman"] is None


def known(x):
    """Least where web is: the true loss of a mixture of four domains."""
    return 3 + x @ np.array([0.5, 0.2, 0.9, -0.4]) + 0.3 * (x**2).sum(axis=1)


def write(folder, x, y, first=1, names=("arxiv", "books", "code", "web")):
    """Write a swarm; `y` may hold text."""
    for name, header, rows in (
        ("train_mixture", names, x.tolist()),
        ("train_loss", ["web_val_loss"], [[v] for v in y]),
    ):
        start = first if name == "train_loss" else 1
        with open(folder / f"{name}.csv", "w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["index", *header])
            writer.writerows([i, *row] for i, row in enumerate(rows, start))


@pytest.fixture
def clean(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(4), 80)
    return x, known(x) + 0.01 * rng.normal(size=80)


@pytest.mark.parametrize("model", ["lightgbm", "linear", "log_linear"])
@pytest.mark.parametrize(
    "losses", [{5: 10.82}, {5: 48210.3}, {5: 10.82, 9: 1e30}, {5: "nan", 6: "inf"}, {5: "-"}]
)
def test_runs_that_diverged_are_left_out_by_name(clean, tmp_path, capsys, model, losses):
    x, y = clean
    y = [losses.get(i, v) for i, v in enumerate(y.tolist(), 1)]
    write(tmp_path, x, y)
    assert regress(tmp_path, tmp_path / "out", "--model", model, target="web") == 0
    said = capsys.readouterr().out
    for run in losses:
        assert re.search(rf"left out: run {run}\b.*(diverged|missing)", said), said
    mixture = read_json(tmp_path / "out" / "proposed_mixture.json")
    kept = [i for i in range(80) if i + 1 not in losses]
    write(tmp_path, x[kept], [y[i] for i in kept])
    assert regress(tmp_path, tmp_path / "without", "--model", model, target="web") == 0
    assert mixture == pytest.approx(read_json(tmp_path / "without" / "proposed_mixture.json"), rel=1e-9)
    record = read_json(tmp_path / "out" / "regression.json")
    assert record["runs"] == 80 - len(losses) == 80 - record["left_out"] and len(record["notes"]) >= 1


def test_diverged_runs_are_fitted_if_you_say_so_and_refused_if_they_are_many(clean, tmp_path, capsys):
    x, y = clean
    y[4] = 10.82
    write(tmp_path, x, y)
    assert regress(tmp_path, tmp_path / "out", "--keep-diverged", "--model", "linear", target="web") == 0
    assert "fitted: linear on 80 runs" in capsys.readouterr().out
    y[:30] = 10.82
    write(tmp_path, x, y)
    assert regress(tmp_path, tmp_path / "new", target="web") == 2
    said = capsys.readouterr().err
    assert "train_loss.csv: runs 1 (loss 10.82), 2 (loss 10.82), " in said and "and 20 more" in said
    assert "30 of 80 runs seem to have diverged" in said and not (tmp_path / "new").exists()


def test_diverged_runs_of_a_test_set_are_left_out_too(clean, tmp_path, capsys):
    x, y = clean
    write(tmp_path, x, np.where(np.arange(80) == 7, 1e6, y))
    for name in ("mixture", "loss"):
        (tmp_path / f"train_{name}.csv").rename(tmp_path / f"test_{name}.csv")
    write(tmp_path, x, y)
    test = against(tmp_path, "test")
    assert regress(tmp_path, tmp_path / "out", *test, "--model", "linear", target="web") == 0
    said = capsys.readouterr().out
    assert (
        "test set: left out: run 8 (loss 1e+06)" in said and "held out: 79 runs of test_mixture.csv" in said
    )
    assert float(re.findall(r"mse: (\S+)", said)[0]) < 0.1


def test_losses_that_are_one_run_off_are_said_to_predict_nothing(clean, tmp_path, capsys):
    x, y = clean
    write(tmp_path, x, y)
    assert regress(tmp_path, tmp_path / "straight", target="web") == 0
    assert "warning" not in capsys.readouterr().out
    assert read_json(tmp_path / "straight" / "regression.json")["doubt"] is None
    write(tmp_path, x, y, first=0)
    assert regress(tmp_path, tmp_path / "shifted", target="web") == 0
    said = capsys.readouterr().out
    assert "warning: the regression does not predict: spearman" in said
    assert "train_mixture.csv numbers its runs from 1, train_loss.csv from 0" in said
    assert "no better than chance" in read_json(tmp_path / "shifted" / "regression.json")["doubt"]


def test_a_narrow_swarm_is_searched_between_its_runs(tmp_path, capsys):
    """Seven domains, each within 30 % of one mixture: 62 of two million draws lie there."""
    rng = np.random.default_rng(4)
    q = rng.dirichlet(np.full(7, 3.0))
    x = q * rng.uniform(0.7, 1.3, (64, 7))
    x /= x.sum(axis=1, keepdims=True)
    law = rng.normal(0, 0.5, 7)
    names = [f"d{i}" for i in range(7)]
    write(tmp_path, x, 1.1 + x @ law + 0.002 * rng.normal(size=64), names=names)
    assert regress(tmp_path, tmp_path / "out", target="web") == 0
    mixture = np.array([read_json(tmp_path / "out" / "proposed_mixture.json")[d] for d in names])
    assert (mixture >= x.min(axis=0) - 1e-9).all() and (mixture <= x.max(axis=0) + 1e-9).all()
    assert mixture @ law < (x @ law).min(), "no worse than the best run"
    assert read_json(tmp_path / "out" / "regression.json")["candidates"] == 2000


@pytest.mark.parametrize(
    ("more", "same", "words"),
    [
        (["--top", "2000"], False, "--top 2000: the mean of all 2000 candidates is no search"),
        ([], True, "train_mixture.csv: all runs have one mixture: there is nothing to learn from"),
    ],
)
def test_nothing_to_search_or_to_learn(clean, tmp_path, capsys, more, same, words):
    x, y = clean
    write(tmp_path, np.tile(x[:1], (80, 1)) if same else x, y)
    assert regress(tmp_path, tmp_path / "out", *more, target="web") == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_what_cannot_be_written_is_one_line_and_nothing_is_said(swarm, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert regress(swarm, tmp_path / "out", "--model", "linear") == 2
    found = capsys.readouterr()
    assert found.out == "" and "cannot write here" in found.err and found.err.count("\n") == 1


def test_the_proposal_is_written_last(swarm, tmp_path, monkeypatch):
    """Whoever finds it finds a whole folder."""
    from chameleon.methods.regression import plots

    monkeypatch.setattr(plots, "draw_importance", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        regress(swarm, tmp_path / "out", "--model", "linear")
    assert not (tmp_path / "out" / "proposed_mixture.json").exists()
