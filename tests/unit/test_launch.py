"""How several processes are started, and what becomes of a job when one of them dies or fails."""

import os
import signal
import stat
import sys

import pytest

from chameleon.core.errors import Diverged, Interrupted, UserError
from chameleon.training import launch


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that makes a script stand for a rank's command."""

    def become(text, name="rank"):
        script = tmp_path / name
        script.write_text(f"#!/bin/bash\n{text}\n")
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
        if name == "rank":
            monkeypatch.setattr(sys, "executable", str(script))
        return script

    monkeypatch.delenv("SLURM_JOB_NUM_NODES", raising=False)
    monkeypatch.setattr(launch, "GRACE", 0.2)
    return become


def test_ranks_get_the_command_and_the_environment_of_torchrun(command, tmp_path):
    names = "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $TORCHELASTIC_USE_AGENT_STORE"
    command(f'echo "$@ {names}" > {tmp_path}/$RANK')
    launch.start(["job", "proxy"], 3)
    for rank in "012":
        said = (tmp_path / rank).read_text().split()
        assert said == ["-m", "chameleon", "job", "proxy", rank, rank, "3", "127.0.0.1", "True"]


def test_on_several_nodes_srun_starts_them(command, tmp_path, monkeypatch):
    command("echo no rank is started here; exit 1")
    srun = command(f'echo "$@" > {tmp_path}/asked; echo $WORLD_SIZE $RANK. > {tmp_path}/told', "srun")
    monkeypatch.setenv("PATH", str(srun.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    launch.start(["job", "proxy"], 4)
    asked = (tmp_path / "asked").read_text()
    assert "--nodes=2 --ntasks=4 --ntasks-per-node=2" in asked and "--kill-on-bad-exit=1" in asked
    assert asked.endswith("rank -m chameleon job proxy\n")
    assert (tmp_path / "told").read_text() == "4 .\n"
    with pytest.raises(UserError, match="^--processes 3: is no multiple of the job's 2 nodes$"):
        launch.start([], 3)


def test_a_rank_that_is_killed_ends_the_job_in_one_line(command, capfd):
    command("[ $RANK = 1 ] && { echo out of memory >&2; kill -KILL $$; }; exec sleep 60")
    with pytest.raises(UserError, match="^process 1 of 2: killed by SIGKILL$"):
        launch.start([], 2)
    assert "out of memory" in capfd.readouterr().err


def test_a_rank_that_exits_ends_the_job_in_one_line(command):
    command("[ $RANK = 0 ] && exit 3; exec sleep 60")
    with pytest.raises(UserError, match="^process 0 of 2: ended with exit code 3$"):
        launch.start([], 2)


def test_a_signal_goes_to_all_ranks(command):
    """Here before any of them can save anything."""
    command("[ $RANK = 1 ] && kill -TERM $PPID; exec sleep 60")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="^SIGTERM came while nothing could be saved$"):
        launch.start([], 2)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    "error",
    [
        UserError("a: b"),
        Interrupted("SIGTERM after step 3"),
        Diverged("loss", 3, 0.5, ["a"]),
        OSError(28, "No space left", "results/x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_over_as_it_was(error):
    told = launch._unpacked(launch._packed(error, 1).encode())
    assert type(told) is type(error) and str(told) == str(error)
    assert {k: v for k, v in vars(told).items()} == vars(error)
    assert getattr(told, "errno", None) == getattr(error, "errno", None)


def test_a_bug_keeps_its_traceback_and_the_rank():
    def broken():
        raise ZeroDivisionError("by zero")

    try:
        broken()
    except ZeroDivisionError as error:
        told = launch._unpacked(launch._packed(error, 3).encode())
    assert type(told) is RuntimeError and str(told) == "ZeroDivisionError: by zero"
    assert told.__notes__[0].startswith("in process 3:\n") and "in broken" in told.__notes__[0]
