"""`chameleon play`: does carried jobs where there is no Snakemake, several at a time, and packs the results.

Needs what the jobs need: torch, numpy, transformers. Jobs run as the workflow calls them, in the order that
their files ask for; who is called again goes on with what is not there. Models stay.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chameleon.carrying import archive
from chameleon.carrying.job import Job, undone
from chameleon.core.errors import Interrupted, UserError
from chameleon.training.resume.interruption import Watch, watching

#: Seconds that runs get to save their state, and the share of the time given, whichever is less.
GRACE, SHARE = 30.0, 0.1
#: Seconds between two looks at the jobs that run.
PAUSE = 0.05
#: How a job ends that needs a package that is not installed here.
ABSENT = "ModuleNotFoundError"
#: Whom a job's libraries ask how many threads to use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def play(carried: Path, out: Path, side_by_side: int, minutes: float | None) -> None:
    """Do what is not done of an archive's jobs, in this folder, and pack all that is.

    Args:
        carried: from `carry`.
        out: archive to write: files and logs of all jobs that are done, of earlier calls too; no models.
        side_by_side: jobs at a time; they share the GPU.
        minutes: after which the call is over; what runs then saves its state. None: no limit.

    Raises:
        Interrupted: the time was over, or a signal came; the same call goes on.
        UserError: a job failed. `out` is written before either.
    """
    if side_by_side < 1:
        raise UserError(f"--jobs: {side_by_side} is not at least 1")
    started = time.monotonic()
    jobs, files = archive.read(carried)
    archive.place(files)
    crew = Crew(undone(jobs), side_by_side)
    with watching() as watch:
        crew.work(watch, None if minutes is None else started + 60 * minutes)
    done = [job for job in jobs if job.made()]
    packed = [path for job in done for path in (*job.files, job.log) if Path(path).is_file()]
    size = archive.write(out, done, packed)
    print(f"{out}: {len(done)} of {len(jobs)} jobs, {size / 1e6:.1f} MB", flush=True)
    absent = {name: why for name, why in crew.failed.items() if ABSENT in why}
    for name, why in absent.items():
        print(f"left for a machine that has it: {name}: {why}", flush=True)
    if failed := {name: why for name, why in crew.failed.items() if name not in absent}:
        name, why = next(iter(failed.items()))
        raise UserError(f"{len(failed)} jobs failed, first {name}: {why}")
    if crew.stopped:
        raise Interrupted(f"{len(jobs) - len(done)} jobs are left")


@dataclass
class Crew:
    """Jobs in their order, so many at a time.

    Attributes:
        waiting: jobs that have not begun.
        failed: name -> last line of the log.
        stopped: whether jobs were cut off.
    """

    waiting: list[Job]
    places: int
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    _running: dict["subprocess.Popen[bytes]", tuple[Job, float]] = field(default_factory=dict)
    _ended: int = 0

    def __post_init__(self) -> None:
        self._all = len(self.waiting)
        self._missing = {path for job in self.waiting for path in job.outputs}
        self.waiting.sort(key=lambda job: -job.priority)

    def work(self, watch: Watch, deadline: float | None) -> None:
        """Do all jobs that can be done; stop at a signal, or in time before the deadline."""
        given = 0.0 if deadline is None else deadline - time.monotonic()
        grace = min(GRACE, SHARE * given) if deadline else GRACE
        while self._running or self._ready():
            if watch.received or (deadline and time.monotonic() > deadline - grace):
                self._stop(grace)
                return
            while len(self._running) < self.places and (ready := self._ready()):
                self._start(ready[0])
            time.sleep(PAUSE)
            self._gather()

    def _ready(self) -> list[Job]:
        return [job for job in self.waiting if not self._missing.intersection(job.inputs)]

    def _start(self, job: Job) -> None:
        self.waiting.remove(job)
        log = Path(job.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        compiling = str(max(1, (os.cpu_count() or 1) // self.places))
        environment = {
            "TORCHINDUCTOR_COMPILE_THREADS": compiling,
            **os.environ,
            "PYTHONPATH": paths,
            **dict.fromkeys(THREADS, str(job.threads)),
        }
        with open(log, "wb") as handle:
            process = subprocess.Popen(
                [sys.executable, "-m", "chameleon", *job.command],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                env=environment,
                # Ctrl-C reaches this process alone, which passes it on; the end of the session reaches all.
                process_group=0,
            )
        self._running[process] = (job, time.monotonic())

    def _gather(self) -> None:
        for process in [p for p in self._running if p.poll() is not None]:
            job, began = self._running.pop(process)
            self._ended += 1
            if process.returncode == 0 and job.made():
                self._missing.difference_update(job.outputs)
                said = f"{time.monotonic() - began:.0f} s"
            else:
                self.failed[job.name] = said = _last_line(job.log) or f"exit code {process.returncode}"
                said = f"failed: {said} ({job.log})"
            print(f"[{self._ended}/{self._all}] {job.name}: {said}", flush=True)

    def _stop(self, grace: float) -> None:
        """Ask what runs to save its state and end."""
        self.stopped = True
        for process in self._running:
            process.terminate()
        until = time.monotonic() + grace
        for process in self._running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _last_line(log: str) -> str:
    lines: Sequence[str] = Path(log).read_text(encoding="utf-8", errors="replace").split("\n")
    # Progress bars write over themselves.
    said = [re.sub(r".*\r", "", line).strip() for line in lines]
    return next((line for line in reversed(said) if line), "")
