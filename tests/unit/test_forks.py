"""Jobs as forks of a process that has loaded what they need: no job can tell, and none outlives who asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chameleon.core import forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")
JOBS = """
import os, signal, sys, time, weakref
from chameleon.core import forks

def main(argv):
    if argv[0] == "fail":
        raise ValueError("a bug")
    if argv[0] == "leave":
        weakref.finalize(os, print, "as a temporary folder goes")
        sys.exit(int(argv[1]))
    if argv[0] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if argv[0] == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    if argv[0] == "read":
        print(sys.stdin.read().upper(), len(argv[1]))
    print(os.getpid(), os.getppid(), os.getcwd(), forks.NAME in os.environ, flush=True)
    print("to stderr", file=sys.stderr)
    for _ in range(600 if argv[0] == "wait" else 0):
        time.sleep(0.1)
    return 0

def keep(able=True):
    forks.keep(main, lambda: able)

if __name__ == "__main__":
    code = forks.ask(sys.argv[2:], ["-c", f"import jobs; jobs.keep({sys.argv[1]})"])
    if code is None:
        print("alone")
        code = 0
    os._exit(code if sys.stdout.flush() is None else 1)
"""


class Run:
    """Stands for a run of Snakemake: `call` is one of its jobs."""

    def __init__(self, folder: Path, able: bool = True) -> None:
        (folder / "jobs.py").write_text(JOBS)
        self.folder, self.able = folder, able
        self.snakemake = subprocess.Popen(["sleep", "600"])
        self.env = {**os.environ, "PYTHONPATH": str(Path(forks.__file__).parents[2])}
        self.env[forks.NAME] = f"{self.snakemake.pid}.word"

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "jobs.py", str(self.able), *argv]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env={**self.env, **env}, text=True,
                                stdin=pipe, stdout=pipe, stderr=pipe)  # fmt: skip

    def call(self, *argv: str, given: str = "", **env: str) -> Any:
        process = self.start(*argv, **env)
        out, err = process.communicate(given, timeout=60)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def keeper(self) -> int:
        """Return the keeper's process id, once it is there."""
        until(lambda: self.call("say").stdout != "alone\n")
        return int(self.call("say").stdout.split()[1])

    def end(self) -> None:
        self.snakemake.kill()
        self.snakemake.wait()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(process: int) -> bool:
    """Return whether a process is over; its parent may not have looked yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def keepers(run: Run) -> list[str]:
    """Return the process ids of a run's keepers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").resolve() == run.folder and b"jobs.keep" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:  # it has ended
            continue
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    found = Run(tmp_path)
    yield found
    found.end()


def test_all_jobs_after_the_first_are_forks_of_one_process(run: Run) -> None:
    assert run.call("say").stdout == "alone\n"
    keeper = run.keeper()
    jobs = [run.start("say") for _ in range(8)]
    said = [job.communicate(timeout=60) for job in jobs]
    assert {out.split()[1] for out, _ in said} == {str(keeper)}
    assert len({out.split()[0] for out, _ in said}) == 8
    for out, err in said:
        # Its own jobs are to be left alone: they would wait for the keeper that waits for it.
        assert out.split()[2:] == [str(run.folder), "False"] and err == "to stderr\n"


def test_a_fork_reads_and_ends_as_a_process_of_its_own(run: Run) -> None:
    run.keeper()
    assert run.call("read", "x" * 100_000, given="abc").stdout.startswith("ABC 100000\n")
    left = run.call("leave", "7")
    assert (left.returncode, left.stdout) == (7, "as a temporary folder goes\n")
    failed = run.call("fail")
    assert failed.returncode == 1 and failed.stderr.endswith("ValueError: a bug\n")
    assert run.call("die").returncode == -signal.SIGKILL


def test_a_signal_reaches_the_fork(run: Run) -> None:
    run.keeper()
    job = run.start("wait")
    assert job.stdout is not None and job.stdout.readline()
    time.sleep(0.5)  # before it knows its fork, a signal ends it as any process that has just begun
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 75


def test_no_fork_outlives_who_asked(run: Run) -> None:
    keeper = run.keeper()
    job = run.start("wait")
    assert job.stdout is not None
    fork = int(job.stdout.readline().split()[0])
    job.kill()
    until(lambda: gone(fork))
    assert not gone(keeper) and run.keeper() == keeper


def test_a_job_whose_keeper_is_killed_fails_in_one_line_and_the_next_starts_another(run: Run) -> None:
    keeper = run.keeper()
    job = run.start("wait")
    assert job.stdout is not None
    fork = int(job.stdout.readline().split()[0])
    os.kill(keeper, signal.SIGKILL)
    assert job.wait(30) == 1 and job.stderr is not None
    told = "error: the process that this job was forked from was ended, and so the job"
    assert set(job.stderr.read().splitlines()) - {"to stderr"} == {told}
    until(lambda: gone(fork))
    assert run.keeper() != keeper


def test_the_keeper_ends_with_the_run_and_after_its_last_fork(run: Run) -> None:
    keeper = run.keeper()
    job = run.start("wait")
    assert job.stdout is not None and job.stdout.readline()
    os.kill(keeper, signal.SIGINT)  # Ctrl-C is for the jobs
    run.end()
    assert run.call("say").stdout == "alone\n" and not gone(keeper)
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 75
    until(lambda: gone(keeper))


def test_another_environment_gets_another_keeper(run: Run) -> None:
    keeper = run.keeper()
    assert run.call("say", OMP_NUM_THREADS="7").stdout == "alone\n"
    until(lambda: run.call("say", OMP_NUM_THREADS="7").stdout != "alone\n")
    assert run.call("say", OMP_NUM_THREADS="7").stdout.split()[1] != str(keeper)


def test_where_forks_will_not_do_jobs_work_alone_and_start_no_more_keepers(tmp_path: Path) -> None:
    run = Run(tmp_path, able=False)
    jobs = [run.call("say").stdout for _ in range(3)]
    until(lambda: len(keepers(run)) == 1)
    jobs += [run.call("say").stdout for _ in range(3)]
    assert set(jobs) == {"alone\n"} and len(keepers(run)) == 1
    run.end()
    until(lambda: not keepers(run))


def test_a_run_that_wants_none_has_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {run.call("say", CHAMELEON_KEEPER="").stdout for _ in range(2)} == {"alone\n"}
    monkeypatch.setenv(forks.NAME, "")
    forks.announce()
    assert os.environ[forks.NAME] == ""
    monkeypatch.delenv(forks.NAME)
    forks.announce()
    assert os.environ[forks.NAME].startswith(f"{os.getpid()}.")


def test_the_workflow_s_jobs_of_one_thread_are_forks(run: Run) -> None:
    # A job that fails at once, by its traceback.
    files = ["--spec", "{}", "--tokens", "none", "--tokenizer", "none", "--out", "out", "--processes", "0"]

    def failed(*more: str) -> str:
        command = [sys.executable, "-m", "chameleon", "job", "proxy", *files, *more]
        done = subprocess.run(command, cwd=run.folder, env=run.env, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.endswith("KeyError: 'seeds'\n")
        return done.stderr

    assert "forks.py" not in failed()
    until(lambda: "forks.py" in failed())
    assert "forks.py" not in failed("--threads", "2")
