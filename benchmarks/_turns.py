"""Workers that take turns: each form runs in processes of its own, and one form at a time is timed.

Threads and the allocator are settings of a process, so forms cannot share one; and a machine's speed
drifts, so they must not run one after the other either. A worker says "ready" after its warm-up, then
answers each line "go" by one timed piece of work: seconds per unit, and the peak of its memory so far. A form
of several jobs has several workers that work at the same time.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chameleon.core.provenance import cpu_name


def header(what: str, *packages: str) -> str:
    """Return the line above a table: the machine, what was run, versions."""
    found = ", ".join(f"{package} {version(package)}" for package in ("torch", *packages))
    return f"{cpu_name()}, {os.cpu_count()} cores; {what}; {found}; Python {platform.python_version()}"


class Form:
    """One form: `jobs` workers of the script with the given task."""

    def __init__(self, script: str, task: Mapping[str, Any], jobs: int = 1) -> None:
        command = [sys.executable, script, "--worker", json.dumps(dict(task))]
        silence = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        #: What workers say is shown only if one stops.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.workers = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                env=silence,
            )
            for _ in range(jobs)
        ]  # fmt: skip
        self.units: list[float] = []
        #: Bytes: of the GPU, or resident; the largest of the workers.
        self.peak = 0.0
        self.ready = [self._line(worker) for worker in self.workers]

    def turn(self) -> None:
        """Let all workers do one piece of work; remember units per second of them together."""
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [[float(part) for part in self._line(worker).split()] for worker in self.workers]
        self.units.append(sum(1 / seconds for seconds, _ in told))
        self.peak = max(self.peak, *(peak for _, peak in told))

    @property
    def rate(self) -> float:
        """Return the median of units per second."""
        return statistics.median(self.units)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.errors.close()

    def _line(self, worker: "subprocess.Popen[str]") -> str:
        assert worker.stdout is not None
        line = worker.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = [line for line in self.errors.read().splitlines() if line.strip()]
            raise RuntimeError(f"a worker stopped: {said[-1] if said else worker.args}")
        return line


def take_turns(forms: Mapping[str, Form], rounds: int) -> dict[str, float]:
    """Return units per second of every form: the median over rounds. Workers are gone then."""
    try:
        for _ in range(rounds):
            for form in forms.values():
                form.turn()
        return {name: form.rate for name, form in forms.items()}
    finally:
        for form in forms.values():
            form.close()


def serve(piece: Callable[[], float]) -> None:
    """Run in a worker after its warm-up: answer every "go" by the seconds per unit that `piece` returns."""
    say("ready")
    for _ in sys.stdin:
        answer(piece())


def answer(seconds: float) -> None:
    """Answer a "go"."""
    say(f"{seconds:.9e} {peak_bytes()}")


def peak_bytes() -> int:
    """Return the most memory that this process has held: in tensors on the GPU, or resident."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def now() -> float:
    """Return the time in seconds when all work that was given to a GPU is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def arguments(parser: argparse.ArgumentParser, worker: Callable[[Any], None]) -> argparse.Namespace:
    """Return what was asked; in a worker, do its task and leave."""
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker)
        sys.exit(0)
    return args


def interleaved(calls: Mapping[Any, Callable[[], object]], rounds: int, warm: int = 1) -> dict[Any, float]:
    """Return the median seconds of every call, made in turns within this process, after `warm` rounds."""
    times: dict[Any, list[float]] = {name: [] for name in calls}
    for number in range(rounds + warm):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number >= warm:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def say(line: str) -> None:
    """Print a line to the process that asked."""
    print(line, file=sys.__stdout__, flush=True)


def docs_figure(name: str) -> Path:
    """Return the path of a figure in docs/figures."""
    return Path(__file__).resolve().parents[1] / "docs" / "figures" / name
