"""Run the workflow while its jobs are killed at random moments, and say what came out.

A job is killed by SIGKILL (most often), by a signal that lets it save, or together with Snakemake itself; the
same command is then given again, as a user would. Jobs that were never hit are preferred as victims, the
moment within them is drawn.
"""

import csv
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: What later jobs and readers use. Left out: records, logs, and what is kept for a restart.
PATTERNS = (
    "corpora/*/*.parquet", "corpora/*/report.json", "tokenizer/*.json", "tokens/**/*", "proxies/**/*",
    "embeddings/**/*", "weights/**/*.json", "forecasts/**/*.json", "runs/**/*",
    "metrics/**/*.json", "fewshot/*.json",
    "sensitivity/**/*", "*.csv",
)  # fmt: skip
LEFT_OUT = re.compile(r"(^|/)(run\.json|\.snakemake_timestamp|parts/.*|.*\.run\.json|\..*)$")
#: Signals a victim gets, with how often.
SIGNALS = {signal.SIGKILL: 7, signal.SIGTERM: 1, signal.SIGINT: 1, signal.SIGUSR1: 1}
#: How often Snakemake and all its jobs are killed at once.
ALL_AT_ONCE = 0.08
#: Most kills of one stage in the first pass, as a share of all; twice as many in the second, and so on.
#: Training takes most of the time, and would use the kills up before the stages after it have begun.
OF_ONE_STAGE = 1 / 20


def digests(results: Path) -> dict[str, str]:
    """Return path -> digest of everything that must not depend on how often a run was cut off."""
    found = {}
    for pattern in PATTERNS:
        for path in results.glob(pattern):
            name = path.relative_to(results).as_posix()
            if path.is_file() and not LEFT_OUT.search(name):
                found[name] = hashlib.sha256(_timeless(path)).hexdigest()
    return found


def _timeless(path: Path) -> bytes:
    """Return a file's bytes without the seconds and devices that stand in it."""
    if path.name == "costs.csv":
        with open(path, encoding="utf-8") as handle:
            rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]
        return json.dumps(rows).encode()
    if path.suffix == ".json" and path.parent.name == "swarm":
        return json.dumps(_stripped(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True).encode()
    return path.read_bytes()


def _stripped(value: object) -> object:
    if isinstance(value, dict):
        return {k: _stripped(v) for k, v in value.items() if k != "seconds"}
    return [_stripped(v) for v in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Workflow:
    """A checkout in which Snakemake runs with a config."""

    root: Path
    configs: tuple[str, ...]
    results: str
    cores: int = 2
    targets: tuple[str, ...] = ("all",)

    def start(self, *more: str) -> "subprocess.Popen[bytes]":
        """Start Snakemake in a process group of its own, its words going to a file."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = ["snakemake", "--cores", str(self.cores), "--keep-going", "--retries", "100", *more]
        command += ["--configfile", *self.configs, "--", *self.targets]
        with open(self.root / "said.log", "ab") as said:
            return subprocess.Popen(
                command,
                cwd=self.root,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, "PATH": path, "PYTHONPATH": str(self.root)},
            )

    def unlock(self) -> None:
        """Remove the lock that a killed Snakemake leaves, as `make reproduce` does."""
        shutil.rmtree(self.root / ".snakemake" / "locks", ignore_errors=True)

    def clean(self) -> None:
        """Forget all results."""
        shutil.rmtree(self.root / self.results, ignore_errors=True)


def jobs_of(leader: int) -> Iterator[tuple[int, str]]:
    """Yield process id and stage of the jobs that run below a Snakemake process."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
        except (OSError, ValueError, IndexError):
            continue
        if session == leader and b"chameleon" in words and b"job" in words and words[0].endswith(b"python"):
            yield int(entry.name), words[words.index(b"job") + 1].decode()


@dataclass
class Tally:
    """What was done to a workflow: kills by stage and by signal, restarts, passes to the end."""

    stages: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    passes: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.signals.values())


def torment(
    workflow: Workflow,
    expected: dict[str, str],
    kills: int,
    seed: int = 0,
    pause: float = 2.0,
    partial: bool = False,
) -> Tally:
    """Run the workflow to its end, again and again, until so many kills have been dealt.

    Args:
        expected: digests of an undisturbed run; what differs or is missing at an end is noted in `wrong`.
        pause: mean seconds between two kills.
        partial: the targets are a part of what `expected` holds.
    """
    chance, tally = random.Random(seed), Tally()
    workflow.clean()
    process = workflow.start()
    due = time.monotonic() + chance.expovariate(1 / pause)
    while True:
        if process.poll() is not None:
            if process.returncode == 0:
                tally.passes += 1
                found = digests(workflow.root / workflow.results)
                names = found if partial else {*found, *expected}
                tally.wrong += [n for n in names if found.get(n) != expected.get(n)]
                if tally.kills >= kills:
                    return tally
                workflow.clean()
            else:
                tally.restarts += 1
            workflow.unlock()
            process = workflow.start()
        most = max(2.0, kills * OF_ONE_STAGE) * (tally.passes + 1)
        running = [job for job in jobs_of(process.pid) if tally.stages[job[1]] < most]
        new = [job for job in running if job[1] not in tally.stages]
        # The second time, stages that last less than a second are struck as soon as they are seen.
        eager = 0.5 if tally.passes else 0.05
        if running and tally.kills < kills and (time.monotonic() >= due or (new and chance.random() < eager)):
            _strike(process, chance.choice(new or running), chance, tally)
            due = time.monotonic() + chance.expovariate(1 / pause)
        time.sleep(0.05)


def _strike(
    process: "subprocess.Popen[bytes]", victim: tuple[int, str], chance: random.Random, tally: Tally
) -> None:
    pid, stage = victim
    try:
        if chance.random() < ALL_AT_ONCE:
            for one, _ in jobs_of(process.pid):
                os.kill(one, signal.SIGKILL)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            name = "SIGKILL, Snakemake and all jobs"
        else:
            kind = chance.choices(list(SIGNALS), list(SIGNALS.values()))[0]
            os.kill(pid, kind)
            name = kind.name
    except ProcessLookupError:
        return  # it was done just then
    tally.stages[stage] += 1
    tally.signals[name] += 1
