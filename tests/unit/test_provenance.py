"""Run records: their schema, what they say about code and cost, and the costs' arithmetic."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from chameleon.core import provenance
from chameleon.core.artifacts import fingerprint, read_json, sha256_file
from chameleon.core.errors import UserError
from chameleon.core.provenance import Cost, Recorder, cpu_name, git_state
from chameleon.training.device import setup_torch


def test_a_record_says_what_made_the_artefact(tmp_path):
    source = tmp_path / "input.txt"
    source.write_text("text")
    spec = {"seed": 3, "domains": {"b": "x", "a": "x"}}
    recorder = Recorder("train", spec, [source], threads=2, seeds={"init": 2**62})
    recorder.cost.add(100, 2.5e9)
    recorder.cost.add(20, 5e8)
    recorder.extra["parameters"] = 7
    recorder.write(tmp_path / "run.json")
    record = read_json(tmp_path / "run.json", "run")
    assert record["spec"] == spec and record["fingerprint"] == fingerprint(spec)
    assert record["inputs"] == {str(source): sha256_file(source)}
    assert record["cost"]["tokens"] == 120 and record["cost"]["flops"] == 3e9
    assert 0 <= record["cost"]["seconds"] < 10
    assert record["seeds"] == {"init": 2**62} and record["threads"] == 2 and record["parameters"] == 7
    assert record["device"] == cpu_name() != ""
    started, finished = (datetime.fromisoformat(record[k]) for k in ("started", "finished"))
    assert started <= finished and started.utcoffset().total_seconds() == 0
    assert {"python", "torch", "numpy", "transformers"} <= set(record["versions"])


def test_the_clock_runs_from_the_recorder_to_the_record(tmp_path, monkeypatch):
    times = iter([10.0, 13.25])
    monkeypatch.setattr(provenance.time, "perf_counter", lambda: next(times))
    recorder = Recorder("train", {}, _clock=provenance.time.perf_counter())
    recorder.write(tmp_path / "run.json")
    assert read_json(tmp_path / "run.json", "run")["cost"]["seconds"] == 3.25


def test_an_input_that_vanished_or_a_broken_record_leaves_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Recorder("train", {}, [tmp_path / "gone"]).write(tmp_path / "run.json")
    with pytest.raises(UserError, match="threads: 0 is less than the minimum of 1"):
        Recorder("train", {}, threads=0).write(tmp_path / "run.json")
    assert not list(tmp_path.iterdir())


def test_costs_add_up_as_numbers():
    import numpy as np

    cost = Cost()
    cost.add(np.int64(3), np.float32(2))
    cost.add(4, 5)
    assert (cost.tokens, cost.flops) == (7, 7.0) and type(cost.tokens) is int and type(cost.flops) is float


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the record's code in a repository of its own; returns a function that runs git there."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    root = tmp_path / "checkout"
    for folder in ("chameleon/core", "baselines", "results"):
        (root / folder).mkdir(parents=True)
    shutil.copy(provenance.__file__, root / "chameleon" / "core" / "provenance.py")
    (root / "baselines" / "mine.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "__file__", str(root / "chameleon" / "core" / "provenance.py"))

    def git(*args):
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(root), *who, *args], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git.root = root
    return git


def test_git_state_of_a_checkout(checkout):
    assert git_state() == {"commit": None, "dirty": None}, "no repository"
    checkout("init", "--quiet")
    checkout("add", ".")
    checkout("commit", "--quiet", "-m", "first")
    commit = checkout("rev-parse", "HEAD")
    assert git_state() == {"commit": commit, "dirty": False}
    (checkout.root / "results" / "note.txt").write_text("not code")
    (checkout.root / "config.yaml").write_text("in the spec already")
    assert git_state() == {"commit": commit, "dirty": False}
    for code in ("baselines/mine.py", "chameleon/core/provenance.py"):
        path = checkout.root / code
        original = path.read_text()
        path.write_text(original + "# edited\n")
        assert git_state() == {"commit": commit, "dirty": True}, code
        path.write_text(original)
    (checkout.root / "baselines" / "new.py").write_text("")
    assert git_state()["dirty"] is True, "a method that is not committed"


def test_an_installed_copy_in_somebodys_repository_has_no_commit(checkout):
    checkout("init", "--quiet")
    (checkout.root / "own.txt").write_text("")
    checkout("add", "own.txt")
    checkout("commit", "--quiet", "-m", "not ours")
    assert git_state() == {"commit": None, "dirty": None}


def test_git_may_be_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == {"commit": None, "dirty": None}


def test_setup_torch_takes_the_threads_it_is_given():
    import torch

    before = torch.get_num_threads()
    torch.use_deterministic_algorithms(False)
    try:
        assert setup_torch(0) and torch.get_num_threads() == 1
        # One thread adds in one order; more, or a GPU, need to be told.
        assert torch.are_deterministic_algorithms_enabled() == torch.cuda.is_available()
        assert setup_torch(2) and torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)
    assert Path("/proc/cpuinfo").exists() is False or cpu_name() in Path("/proc/cpuinfo").read_text()
