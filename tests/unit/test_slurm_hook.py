"""Jobs that a killed run left are ended, those that wait long are told, with a stand-in for SLURM."""

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from chameleon.experiment.hooks import slurm

#: A queue in a file, a job a line: run, then what is printed. `scancel` takes out what is not stubborn.
SQUEUE = """#!{python}
import os, sys
names = sys.argv[sys.argv.index("--name") + 1].split(",")
for line in open(os.environ["QUEUE"]):
    run, rest = line.split(" ", 1)
    if run in names:
        print(rest, end="")
"""
SCANCEL = """#!{python}
import os, sys
lines = open(os.environ["QUEUE"]).readlines()
gone = lambda line: line.split(" ", 1)[1].split("|")[0] in sys.argv[1:] and "stubborn" not in line
open(os.environ["QUEUE"], "w").writelines(line for line in lines if not gone(line))
sys.exit(len(sys.argv) > 2)  # one of several has ended just now
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SLURM of two commands; returns the file that is its queue."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (programs / name).write_text(text.format(python=sys.executable), encoding="utf-8")
        (programs / name).chmod(0o755)
    path = tmp_path / "queue"
    path.touch()
    monkeypatch.setenv("QUEUE", str(path))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return path


def line(run: str, job: str, minutes: float, reason: str, what: str = "rule_train_wildcards_a_0") -> str:
    since = datetime.fromtimestamp(time.time() - 60 * minutes).isoformat(timespec="seconds")
    return f"{run} {job}|{since}|{reason}|{what}\n"


def test_jobs_of_a_killed_run_are_ended_and_no_others(
    queue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    code = f"from pathlib import Path; from chameleon.experiment.hooks import slurm; import time; \
slurm.clear(Path({str(folder)!r}), NAME); print('held', flush=True); time.sleep(60)"
    lives, dies = (
        subprocess.Popen([sys.executable, "-c", code.replace("NAME", repr(name))], stdout=subprocess.PIPE)
        for name in ("lives", "dies")
    )
    try:
        for process in (lives, dies):
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
        dies.kill()
        dies.wait()
        others = line("lives", "1", 1, "None") + line("somebody", "2", 1, "None")
        queue.write_text(others + line("dies", "3", 1, "None") + line("dies", "4_[1-9]", 1, "Priority"))
        assert slurm.clear(folder, "new")
        assert queue.read_text() == others
        assert capsys.readouterr().err.startswith("slurm: cancelling 2 jobs of a run that was cut off")
        assert sorted(path.name for path in folder.iterdir()) == ["lives", "new"]
    finally:
        for process in (lives, dies):
            process.kill()
            process.communicate()


def test_jobs_that_do_not_end_end_the_run(queue: Path, tmp_path: Path) -> None:
    (tmp_path / "dies").touch()
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "dies").touch()
    queue.write_text(line("dies", "7", 1, "None", "rule_stubborn"))
    with pytest.raises(slurm.UserError, match="do not end: 7 "):
        slurm.clear(folder, "new", patience=0)


def test_a_queue_that_cannot_be_asked_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dies").touch()
    monkeypatch.setenv("PATH", "")
    assert not slurm.clear(tmp_path, "new")
    assert "may still be in the queue" in capsys.readouterr().err


def test_what_waits_long_is_told_with_its_reason(queue: Path) -> None:
    queue.write_text(
        line("run", "1", 5, "PartitionTimeLimit")
        + line("run", "2", 90, "Resources")
        + line("run", "3", 20, "ReqNodeNotAvail, UnavailableNodes:n1")
        + line("run", "4", 21, "ReqNodeNotAvail, UnavailableNodes:n1", "rule_fewshot_wildcards_pretrain")
        + line("another", "5", 99, "PartitionTimeLimit")
    )
    told: dict[str, float] = {}
    said = list(slurm.stuck("run", told))
    assert said == ["2 jobs waiting, 4 (fewshot pretrain) for 21 min: ReqNodeNotAvail, UnavailableNodes:n1"]
    assert list(slurm.stuck("run", told)) == []
    now = time.time()
    assert len(list(slurm.stuck("run", told, now + 7 * 3600))) == 3
    queue.write_text("")
    assert list(slurm.stuck("run", told)) == [] and told == {}


def test_other_executors_are_left_alone(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "clear", lambda *_: pytest.fail("asked SLURM"))
    slurm.began(SimpleNamespace())
    slurm.began(SimpleNamespace(scheduler=SimpleNamespace(_executor=SimpleNamespace())))
