"""The command line: every stage's options, users' mistakes in one line, bugs with their traceback."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chameleon import cli
from chameleon.cli import jobs, people
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.mixing.types import KINDS
from chameleon.stages import runs

ROOT = Path(__file__).resolve().parents[2]


def test_methods_are_printed_one_a_line(capsys):
    assert cli.main(["methods"]) == 0
    table, _, legend = capsys.readouterr().out.partition("\n\n")
    head, *lines = table.splitlines()
    assert head.split()[:4] == ["method", "kind", "needs", "sees"] and "K of" in legend
    assert sorted(line.split()[0] for line in lines) == registry.names()
    kinds = [KINDS.index(line.split()[1]) for line in lines]
    assert kinds == sorted(kinds)
    (regmix,) = [line for line in lines if line.startswith("regmix ")]
    assert "runs of its own" in regmix and "validation losses" in regmix and regmix.endswith("6 K n_s d_s")


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
    def broken():
        """Divide by zero."""
        return 1 / 0

    monkeypatch.setitem(people.COMMANDS, "methods", people.COMMANDS["methods"]._replace(handler=broken))
    with pytest.raises(ZeroDivisionError):
        cli.main(["methods"])


def test_a_users_mistake_in_a_stage_is_one_line(toy, raw, tmp_path, capsys):
    """Weights of other domains, far inside a stage."""
    spec = specs.train(load(raw), "toy", "uniform", 0)
    weights = tmp_path / "weights.json"
    arguments = ["--spec", specs.dump(spec), "--tokens", *map(str, toy.manifests), "--weights", str(weights),
                 "--tokenizer", str(toy.tokenizer), "--out", str(tmp_path / "run")]  # fmt: skip
    assert cli.main(["job", "train", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {weights}: no such file\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["job"], "required: STAGE"),
        (["plam"], "invalid choice: 'plam'"),
        (["job", "trian"], "invalid choice: 'trian'"),
        (["job", "proxy", "--spec", "{}"], "--tokens"),
        (["job", "tables", "--spec", "{not json", "--results", "r", "--out", "o"], "--spec: invalid"),
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
        ("weights", specs.weights, ["--embeddings", "--runs", "--out", str(weights)]),
        (
            "train",
            specs.train,
            ["--weights", str(weights), "--tokenizer", str(toy.tokenizer), "--out", str(run)],
        ),
        ("evaluate", specs.evaluate, ["--model", str(run / "model"), "--out", str(metrics)]),
    ):
        line = specs.dump(spec(cfg, "toy", "natural", 0))
        assert cli.main(["job", stage, "--spec", line, *tokens, *options, "--threads", "1"]) == 0
    assert read_json(weights, "weights")["stages"][0]["weights"]["blend"] == pytest.approx(3000 / 5900)
    records = [weights.with_suffix(".run.json"), run / "run.json", metrics.with_suffix(".run.json")]
    assert [read_json(r, "run")["stage"] for r in records] == ["weights", "base", "evaluate"]
    for path in tmp_path.rglob("*.json"):
        assert "NaN" not in path.read_text()


def test_weights_for_other_data_are_refused(toy, raw, tmp_path):
    """Of other domains, or computed with another tokenizer."""
    weights = tmp_path / "weights.json"
    cfg = load(raw)
    spec = specs.weights(cfg, "toy", "uniform", 0)
    cli.main(
        [
            "job",
            "weights",
            "--spec",
            specs.dump(spec),
            "--tokens",
            *map(str, toy.manifests),
            "--out",
            str(weights),
        ]
    )
    found = json.loads(weights.read_text())
    # Without the record they are somebody's own; with it any change is refused (test_handover.py).
    weights.with_suffix(".run.json").unlink()

    def train():
        base = specs.train(cfg, "toy", "uniform", 0)
        runs.train(base, toy.manifests, weights, toy.tokenizer, tmp_path / "run", 1)

    weights.write_text(json.dumps({**found, "tokenizer_sha256": "0" * 64}))
    with pytest.raises(
        UserError, match="tokenizer_sha256 000000000000, the corpus has 777777777777: weights be"
    ):
        train()
    (stage,) = found["stages"]
    for change, words in (
        ({"stages": [{**stage, "weights": {d: 0.9 * w for d, w in stage["weights"].items()}}]},
         "weights sum to 0.[89]"),
        ({"stages": [{**stage, "weights": {"blend": 1.0}}]},
         "domain 'twin_one' is not in both domains and weights"),
        ({"stages": [{**stage, "start_step": 5}]}, "the first stage of a schedule starts at step 0"),
        ({"stages": [stage, stage]}, "start steps must increase"),
    ):  # fmt: skip
        weights.write_text(json.dumps({**found, **change}))
        with pytest.raises(UserError, match=f"weights.json: stages: {words}"):
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
    spec = specs.proxy(load(raw), "toy", 0)
    with pytest.raises(UserError, match="made with different tokenizers"):
        runs.proxy(spec, [toy.manifests[0], other], toy.tokenizer, tmp_path / "out", 1)
    with pytest.raises(UserError, match="no domain 'blend' of corpus 'right'"):
        runs.proxy(spec, [toy.manifests[0]], toy.tokenizer, tmp_path / "out", 1)


@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_jobs_options_are_its_functions_parameters(name):
    """The function is called with what the options gave, by name."""
    wanted = inspect.signature(jobs.find(name)).parameters
    options = ["spec", *jobs.JOBS[name].options.split()]
    given = {jobs.OPTIONS[option].get("dest", option) for option in options}
    assert given - {"processes"} == set(wanted)


def test_people_are_shown_their_commands_first_and_an_example_of_each(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    at = [re.search(rf"\n    {name}\s", shown).start() for name in (*people.COMMANDS, "job")]
    assert at == sorted(at)
    assert not [name for name in jobs.JOBS if f"\n    {name} " in shown]
    for name, command in people.COMMANDS.items():
        words = command.example.split()
        assert words[:2] == ["chameleon", name]
        assert cli.parser().parse_args(words[1:]).handler is command.handler


def test_the_console_script_is_the_module():
    script = Path(sys.executable).with_name("chameleon")
    command = [[str(script), "methods"], [sys.executable, "-m", "chameleon", "methods"]]
    one, other = (subprocess.run(c, capture_output=True, text=True, cwd=ROOT, check=True) for c in command)
    assert one.stdout == other.stdout and "data_mixing_law" in one.stdout


def test_nothing_that_a_library_leaves_changes_how_a_command_ended():
    """What dies at the interpreter's end comes after the work: the exit code is what the command returned."""
    code = "import atexit, os, runpy, sys; atexit.register(os.abort); sys.argv = ['chameleon', 'methods']; "
    code += "runpy.run_module('chameleon', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "data_mixing_law" in done.stdout and "Cost beyond" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_mistake():
    """`chameleon methods | head -1` ends in silence."""
    command = [sys.executable, "-u", "-m", "chameleon", "methods"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 0
