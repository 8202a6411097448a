"""The jobs that a run of Snakemake left undone, and why those that failed did.

`chameleon.experiment.hooks.ending` writes the list when a run has failed. Why a job failed is in the
`failure.json` that it leaves beside where its results would lie; a job that could leave none (killed, no
space) has its log.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.reporting.records.missing import FAILED, NOT_RUN

#: Characters of a reason that a table has room for.
LONGEST = 240
#: A line that says what went wrong: a user's mistake, or the last line of a traceback.
ERROR = re.compile(r"^(error: |stopped: |[\w.]*(Error|Exception|Interrupt|Exit)\b)")


@dataclass(frozen=True)
class Job:
    """One job that is not done.

    Attributes:
        name: its rule and its wildcards, as `train pretrain/uniform/seed0`.
        rule, wildcards: apart.
        outputs: files and folders it would have left; what lies there is of an earlier config.
        log: "" without one.
        failed: in the run that has just ended.
        needs: names of the undone jobs that it waits for.
    """

    name: str
    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[Path, ...]
    log: str
    failed: bool
    needs: tuple[str, ...]

    def told(self) -> list[Path]:
        """Return where the job may have said why it failed."""
        folders = [path.parent / "failure.json" for path in self.outputs if path.name == "run.json"]
        files = [path.with_suffix(".failure.json") for path in self.outputs if path.suffix == ".json"]
        return [path for path in (*folders, *files) if path.exists()]


class Unfinished:
    """All jobs that a run left undone; `started` is its start (epoch), `again` the command that goes on."""

    def __init__(self, jobs: Iterable[Job], started: float = 0.0, again: str = "") -> None:
        self.jobs = {job.name: job for job in jobs}
        self.started, self.again = started, again
        self._by_output = {path: job for job in self.jobs.values() for path in job.outputs}
        self._why: dict[str, str] = {}

    @classmethod
    def read(cls, path: Path) -> "Unfinished":
        """Read what `chameleon.experiment.hooks.ending` wrote."""
        found = read_json(path)
        jobs = [
            Job(j["name"], j["rule"], j["wildcards"], tuple(map(Path, j["outputs"])), j["log"], j["failed"],
                tuple(j["needs"]))
            for j in found["jobs"]
        ]  # fmt: skip
        return cls(jobs, found["started"], found["again"])

    def of(self, path: Path) -> Job | None:
        """Return the undone job that would have written a file."""
        return self._by_output.get(path)

    def there(self, path: Path) -> bool:
        """Return whether a file is there and is of this config."""
        return path not in self._by_output and path.exists()

    def state(self, path: Path) -> str:
        """Return what became of a file that is not there: failed or not run."""
        job = self.of(path)
        return FAILED if job is not None and self.roots(job) else NOT_RUN

    @cached_property
    def failed(self) -> list[Job]:
        """The jobs that failed, in this run."""
        return [job for job in self.jobs.values() if job.failed]

    def roots(self, job: Job) -> list[Job]:
        """Return the failed jobs that a job waits for, or itself."""
        found: dict[str, Job] = {}
        waiting, seen = [job.name], {job.name}
        while waiting:
            one = self.jobs[waiting.pop()]
            if one.failed:
                found[one.name] = one
            new = [name for name in one.needs if name in self.jobs and name not in seen]
            seen.update(new)
            waiting += new
        return list(found.values())

    def lost(self, failed: Job, among: Iterable[Job]) -> list[Job]:
        """Return those of `among` that wait for a failed job, or are it."""
        return [job for job in among if failed in self.roots(job)]

    def why(self, job: Job) -> str:
        """Return in a few words why a job failed, as the job said it or as its log ends."""
        if job.name not in self._why:
            text = " ".join((self._told(job) or _last_line(job.log)).split())
            self._why[job.name] = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        return self._why[job.name]

    def _told(self, job: Job) -> str:
        """Return the reason of the newest failure file of this run; an older one tells of another failure."""
        told = [path for path in job.told() if path.stat().st_mtime >= self.started]
        for path in sorted(told, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                found = read_json(path)
                return str(found["reason"])
            except (UserError, KeyError, TypeError):
                continue
        return ""


def _last_line(log: str) -> str:
    """Return the last line of a log that names an error; of one that just ends, its last line."""
    if not log or not Path(log).is_file():
        return "it left no log"
    text = Path(log).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "its log is empty"
    said: Sequence[str] = [line for line in lines[-30:] if ERROR.match(line)]
    return said[-1].removeprefix("error: ") if said else f"it was ended (last line: {lines[-1]})"


def reason(unfinished: Unfinished, job: Job | None, **cell: Any) -> tuple[str, str]:
    """Return (state, reason) of what a job would have left for a cell, of which `cell` are the wildcards."""
    roots = [] if job is None else unfinished.roots(job)
    if not roots:
        return NOT_RUN, ""
    mine = {name: str(value) for name, value in cell.items()}
    said = []
    for root in roots[:2]:
        own = {**root.wildcards, **mine} == dict(root.wildcards)
        name = f"{root.rule} {root.wildcards['run']}" if own and "run" in root.wildcards else root.rule
        said.append(f"{name if own else root.name}: {unfinished.why(root)}")
    more = f"; and {len(roots) - 2} more" if len(roots) > 2 else ""
    return FAILED, "; ".join(said) + more
