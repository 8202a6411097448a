"""On SLURM, beside Snakemake's executor: ends jobs that an earlier run left, tells of those that wait long.

The executor gives all jobs of a run one name, the run's id. While a run lives it holds a lock on a file of
that name in `.snakemake/slurm_runs`; where the lock is free, its Snakemake was killed, and what it has in the
queue would be done twice. Such jobs are cancelled before the first of the new run is submitted: what trains
saves its state, and its next job goes on from there. A job that was done before the new run looked is done.

A job may wait for ever: the executor asks whether it runs, not why it does not. A thread tells the reason.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError

#: Under Snakemake's own folder, which it locks against runs that would write the same files.
RUNS = Path(".snakemake", "slurm_runs")
#: Seconds that cancelled jobs get to end: SLURM's KillWait is 30 by default, sites raise it for large states.
PATIENCE = 300.0
#: Seconds between two looks at the jobs that wait.
EVERY = 120.0
#: Reasons of a job whose turn has not come; told after so many seconds of waiting, and any other sooner.
TURN = frozenset({"None", "Priority", "Resources", "Dependency", "BeginTime", "JobArrayTaskLimit"})
LONG = 6 * 3600.0
SOON = 600.0
#: Seconds after which the same is told again, at the earliest.
AGAIN = 3600.0
#: The files that this process holds locked, until it ends.
_HELD: list[Any] = []


@dataclass(frozen=True)
class Queued:
    """A job of the queue: SLURM's id, what it does, why it waits, and since when (seconds since 1970)."""

    id: str
    what: str
    reason: str
    since: float


def began(workflow: Any) -> None:
    """Cancel what killed runs in this folder left in the queue, and start telling of jobs that wait too long.

    Does nothing where jobs do not go to SLURM. Ends Snakemake where jobs of a killed run cannot be ended:
    they would write what this run writes.
    """
    run = getattr(getattr(getattr(workflow, "scheduler", None), "_executor", None), "run_uuid", None)
    if run is None:
        return
    try:
        asked = clear(RUNS, run)
    except UserError as error:
        sys.exit(f"error: {error}")
    if asked:
        threading.Thread(target=_watch, args=(run,), daemon=True).start()


def clear(folder: Path, run: str, patience: float = PATIENCE) -> bool:
    """Enter this run in `folder`, cancel the jobs of those that are over, and wait until they are gone.

    Returns:
        Whether the queue could be asked and the folder locked; if not, a line said so.

    Raises:
        UserError: cancelled jobs are still there after `patience` seconds.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        over = _over(folder)
        _HELD.append(_locked(folder / run))
        if jobs := list(queue(over)):
            _say(
                f"cancelling {_count(jobs)} of a run that was cut off; this run does what they did not finish"
            )
            # It complains of jobs that ended just now; what counts is that they are gone.
            with contextlib.suppress(OSError):
                _call("scancel", *(job.id for job in jobs))
        end = time.monotonic() + patience
        while left := list(queue(over)):
            if time.monotonic() > end:
                ids = " ".join(job.id for job in left)
                raise UserError(
                    f"slurm: jobs of a run that was cut off do not end: {ids} (see `squeue --me`)"
                )
            time.sleep(1)
        for name in over:
            (folder / name).unlink(missing_ok=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _say(f"warning: {error}; jobs of an earlier run may still be in the queue: see `squeue --me`")
        return False
    return True


def _over(folder: Path) -> list[str]:
    """Return the ids of runs whose file nobody holds."""
    over = []
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(BlockingIOError):
            _locked(path).close()
            over.append(path.name)
    return over


def _locked(path: Path) -> Any:
    """Open a file and lock it; the lock goes with the process, however that ends."""
    handle = open(path, "a", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise
    return handle


def queue(runs: list[str], *more: str) -> Iterator[Queued]:
    """Yield the jobs of runs that are in the queue, waiting, running or ending.

    Raises:
        OSError, SubprocessError, ValueError: `squeue` cannot be asked, or answers otherwise than SLURM does.
    """
    if not runs:
        return
    said = _call("squeue", "--noheader", "--name", ",".join(runs), "--format", "%i|%V|%r|%k", *more)
    for line in said.splitlines():
        job, since, reason, comment = line.strip().split("|", 3)
        what = comment.removeprefix("rule_").replace("_wildcards_", " ")
        yield Queued(job, what, reason, datetime.fromisoformat(since).timestamp())


def _watch(run: str) -> None:
    """Say from time to time which jobs of a run wait, and why."""
    told: dict[str, float] = {}
    while True:
        time.sleep(EVERY)
        try:
            for line in stuck(run, told):
                _say(line)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue  # the controller is busy: the executor asks it too, and complains if that goes on


def stuck(run: str, told: dict[str, float], now: float | None = None) -> Iterator[str]:
    """Yield a line for every reason for which jobs of a run wait long.

    Args:
        told: reason -> when it was told last; changed here.
    """
    now = time.time() if now is None else now
    waiting = defaultdict(list)
    for job in queue([run], "--states", "PENDING"):
        if now - job.since >= (LONG if job.reason in TURN else SOON):
            waiting[job.reason].append(job)
    for reason in told.keys() - waiting.keys():
        del told[reason]
    for reason, jobs in waiting.items():
        first = min(jobs, key=lambda job: job.since)
        if reason not in told or now - told[reason] >= max(AGAIN, (now - first.since) / 2):
            told[reason] = now
            minutes = round((now - first.since) / 60)
            yield f"{_count(jobs)} waiting, {first.id} ({first.what}) for {minutes} min: {reason}"


def _count(jobs: list[Queued]) -> str:
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _call(*command: str) -> str:
    """Return what a command of SLURM prints."""
    env = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def _say(text: str) -> None:
    print(f"slurm: {text}", file=sys.stderr, flush=True)
