"""Two processes give what one gives: every kind of run, states that change hands, and a job's own command."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import ranked_runs
import torch
from ranked_runs import CASES, CUT, RESUMED

from chameleon.core.artifacts import read_json
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.training.model import load_pretrained

#: Two ranks add in another order. What is left of it after the steps: losses and norms to a millionth, and
#: weights, which move by 1e-2 a step, to 1e-4 (Aioli's 24 steps; most to 1e-6).
LOSSES, WEIGHTS = 1e-6, 1e-4


def same(found, alone):
    """Compare what came out of two ranks and of one."""
    np.testing.assert_allclose(found["rows"], alone["rows"], rtol=LOSSES, atol=1e-8)
    for name, value in alone["weights"].items():
        torch.testing.assert_close(found["weights"][name], value, rtol=0, atol=WEIGHTS)
    assert [s["blocks"] for s in found["segments"]] == [s["blocks"] for s in alone["segments"]]
    for one, other in zip(found["segments"], alone["segments"], strict=True):
        assert one["weights"] == pytest.approx(other["weights"], rel=1e-4)
    flat = [np.array([x for x in numbers(of["outcome"])]) for of in (found, alone)]
    np.testing.assert_allclose(flat[0], flat[1], rtol=2e-3, atol=1e-7)
    assert found["tensors"].keys() == alone["tensors"].keys()
    for name, value in alone["tensors"].items():
        torch.testing.assert_close(found["tensors"][name], value, rtol=0, atol=1e-6)


def numbers(value):
    """Yield the numbers in an outcome, in order."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif value is not None:
        yield float(value)


@pytest.fixture(scope="module")
def alone():
    return {name: ranked_runs.play(name) for name in CASES}


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """What two ranks left, beginning with runs that one had begun."""
    from toy_config import RAW

    folder = tmp_path_factory.mktemp("ranks")
    for name in RESUMED:
        assert ranked_runs.play(name, folder / "states", cut=True) is None
    job = {"spec": specs.proxy(load(RAW), "toy", 0), "tokenizer": str(toy.tokenizer)}
    (folder / "job.json").write_text(json.dumps(job | {"manifests": [str(m) for m in toy.manifests]}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As torchrun starts them.
    env = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, ranked_runs.__file__, str(folder)]
    ranks = [subprocess.Popen(command, env=env | {"RANK": r, "LOCAL_RANK": r}) for r in "01"]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_are_one(name, folder, alone):
    same(torch.load(folder / f"{name}.pt", weights_only=False), alone[name])


@pytest.mark.parametrize("name", RESUMED)
def test_two_ranks_go_on_from_the_state_of_one(name, folder, alone):
    same(torch.load(folder / f"{name}, gone on.pt", weights_only=False), alone[name])


@pytest.mark.parametrize("name", RESUMED)
def test_one_goes_on_from_the_state_of_two(name, folder, alone, capfd):
    same(ranked_runs.play(name, folder / "theirs"), alone[name])
    assert f"goes on at step {CUT}" in capfd.readouterr().err


def test_only_the_first_rank_writes(folder):
    assert {p.name for p in (folder / "rank0").iterdir()} == {
        "model", "training.csv", "mixture.json", "run.json",
    }  # fmt: skip
    assert not (folder / "rank1").exists()


def job(toy, spec, out, *more):
    command = [sys.executable, "-m", "chameleon", "job", "proxy", "--spec", json.dumps(spec), "--tokens"]
    command += [*map(str, toy.manifests), "--tokenizer", str(toy.tokenizer), "--out", str(out), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_jobs_command_trains_with_several_processes(raw, toy, tmp_path):
    spec = specs.proxy(load(raw), "toy", 0)
    both = {"one": (), "two": ("--processes", "2")}
    for name, more in both.items():
        assert job(toy, spec, tmp_path / name, *more).wait(timeout=120) == 0
    one, two = (tmp_path / name for name in both)
    files = [sorted(str(p.relative_to(at)) for p in at.rglob("*")) for at in (one, two)]
    assert files[0] == files[1]
    assert (one / "mixture.json").read_bytes() == (two / "mixture.json").read_bytes()
    losses = [np.loadtxt(at / "training.csv", delimiter=",", skiprows=1) for at in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    trained = [load_pretrained(at / "model").state_dict() for at in (one, two)]
    for name, value in trained[0].items():
        torch.testing.assert_close(trained[1][name], value, rtol=0, atol=1e-4)
    records = [read_json(at / "run.json", "run") for at in (one, two)]
    assert records[1]["engine"] == records[0]["engine"] | {"processes": 2, "sharded": False}
    assert [r["cost"]["tokens"] for r in records] == [records[0]["cost"]["tokens"]] * 2


def test_a_signal_stops_all_ranks_at_one_step_and_saves_one_state(raw, toy, tmp_path):
    raw["scenarios"]["toy"]["proxy"]["steps"] = 3000
    spec, out = specs.proxy(load(raw), "toy", 0), tmp_path / "out"
    running = job(toy, spec, out, "--processes", "2", "--states", "20steps")
    while not (out / "states").is_dir() or len(list((out / "states").iterdir())) < 2:
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 75
    stopped = re.findall(r"stopped: .*SIGTERM after step (\d+); the state is saved", said)
    assert len(stopped) == 1 and said.count("Traceback") == 0
    kept = sorted(p.name for p in (out / "states").iterdir())
    assert len(kept) == 2 and kept[-1].startswith(f"step{int(stopped[0]):09d}-")
    assert {p.name for p in out.iterdir()} == {"states"}


def test_the_first_error_is_the_jobs_in_one_line(raw, toy, tmp_path):
    raw["scales"]["tiny"]["train"] |= {"lr": 1e30, "adam_lr": 1e30}
    failed = job(toy, specs.proxy(load(raw), "toy", 0), tmp_path / "out", "--processes", "2")
    said = failed.communicate(timeout=120)[1]
    assert failed.returncode == 2
    assert re.fullmatch(r"error: toy proxy 0: loss .* at step 1 .*\n", said)
    assert read_json(tmp_path / "out" / "failure.json")["step"] == 1
