"""The command line: every stage's options, users' mistakes in one line, bugs with their traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chameleon import cli, plan, registry, stages
from chameleon.artifacts import read_json
from chameleon.config import load
from chameleon.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_methods_are_printed_one_a_line(capsys):
    assert cli.main(["methods"]) == 0
    assert capsys.readouterr().out.splitlines() == registry.names()


def test_check_says_what_a_config_runs(raw, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    assert cli.main(["check", "--configfile", str(path)]) == 0
    assert capsys.readouterr().out == "toy: 3 domains, methods uniform, natural, chameleon\n"
    path.write_text(yaml.safe_dump({**raw, "sedes": [1]}))
    assert cli.main(["check", "--configfile", str(path)]) == 2
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1
    assert found.err.startswith(f"error: {path}: ") and "'sedes'" in found.err


def test_the_process_ends_with_two_and_one_line(tmp_path):
    command = [sys.executable, "-m", "chameleon", "check", "--configfile", str(tmp_path / "none.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path / 'none.yaml'}: no such file\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "methods", (lambda args: 1 / 0, "", ()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["methods"])


def test_a_users_mistake_in_a_stage_is_one_line(toy, raw, tmp_path, capsys):
    """Weights of other domains, far inside a stage."""
    spec = plan.train(load(raw), "toy", "uniform", 0)
    weights = tmp_path / "weights.json"
    arguments = ["--spec", plan.dump(spec), "--tokens", *map(str, toy.manifests), "--weights", str(weights),
                 "--tokenizer", str(toy.tokenizer), "--out", str(tmp_path / "run")]  # fmt: skip
    assert cli.main(["train", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {weights}: no such file\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: STAGE"),
        (["trian"], "invalid choice: 'trian'"),
        (["proxy", "--spec", "{}"], "--tokens"),
        (["tables", "--spec", "{not json", "--results", "r", "--out", "o"], "--spec: invalid"),
    ],
)
def test_bad_arguments_end_with_two(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2 and words in capsys.readouterr().err


def test_weights_then_training_through_the_command_line(toy, raw, tmp_path):
    """With the empty `--embeddings` and `--runs` that the workflow passes for methods that need neither."""
    cfg, tokens = load(raw), ["--tokens", *map(str, toy.manifests)]
    weights, run, metrics = tmp_path / "w" / "seed0.json", tmp_path / "run", tmp_path / "m" / "seed0.json"
    for stage, spec, options in (
        ("weights", plan.weights, ["--embeddings", "--runs", "--out", str(weights)]),
        (
            "train",
            plan.train,
            ["--weights", str(weights), "--tokenizer", str(toy.tokenizer), "--out", str(run)],
        ),
        ("evaluate", plan.evaluate, ["--model", str(run / "model"), "--out", str(metrics)]),
    ):
        line = plan.dump(spec(cfg, "toy", "natural", 0))
        assert cli.main([stage, "--spec", line, *tokens, *options, "--threads", "1"]) == 0
    assert read_json(weights, "weights")["stages"][0]["weights"]["blend"] == pytest.approx(3000 / 5900)
    records = [weights.with_suffix(".run.json"), run / "run.json", metrics.with_suffix(".run.json")]
    assert [read_json(r, "run")["stage"] for r in records] == ["weights", "base", "evaluate"]
    for path in tmp_path.rglob("*.json"):
        assert "NaN" not in path.read_text()


def test_weights_for_other_data_are_refused(toy, raw, tmp_path):
    """Of other domains, or computed with another tokenizer."""
    weights = tmp_path / "weights.json"
    cfg = load(raw)
    spec = plan.weights(cfg, "toy", "uniform", 0)
    cli.main(
        ["weights", "--spec", plan.dump(spec), "--tokens", *map(str, toy.manifests), "--out", str(weights)]
    )
    found = json.loads(weights.read_text())

    def train():
        base = plan.train(cfg, "toy", "uniform", 0)
        stages.train(base, toy.manifests, weights, toy.tokenizer, tmp_path / "run", 1)

    weights.write_text(json.dumps({**found, "tokenizer_sha256": "0" * 64}))
    with pytest.raises(
        UserError, match="tokenizer_sha256 000000000000, the corpus has 777777777777: weights be"
    ):
        train()
    weights.write_text(json.dumps({**found, "domains": ["twin_one", "unique"]}))
    with pytest.raises(
        UserError, match=r"weights for \['twin_one', 'unique'\], but the corpus has \['blend', "
    ):
        train()
    assert not (tmp_path / "run").exists()


def test_shards_of_two_tokenizers_are_refused(toy, raw, write_shards, tmp_path):
    import numpy as np

    streams = {"blend": {s: np.ones(400, int) for s in ("train", "validation", "test")}}
    other = write_shards(tmp_path / "right", "right", streams, tokenizer_sha256="8" * 64)
    spec = plan.proxy(load(raw), "toy", 0)
    with pytest.raises(UserError, match="made with different tokenizers"):
        stages.proxy(spec, [toy.manifests[0], other], toy.tokenizer, tmp_path / "out", 1)
    with pytest.raises(UserError, match="no domain 'blend' of corpus 'right'"):
        stages.proxy(spec, [toy.manifests[0]], toy.tokenizer, tmp_path / "out", 1)
