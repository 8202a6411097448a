"""What a cluster's queue makes of a plan: waits, preemptions; and the chain of jobs that none shortens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chameleon.pricing.job import Job
from chameleon.pricing.schedule import makespan

#: Stages whose runs save their state and go on from it; all other jobs start anew.
SAVED = ("proxy", "extra", "swarm", "base")
#: Simulated runs of a plan.
RUNS = 20


@dataclass(frozen=True)
class Queue:
    """A cluster's queue.

    Attributes:
        wait: seconds from a job's submission to its start, where something is free for it.
        preempted: how often an hour a running job is ended; it is submitted again.
        saved: seconds between two saved states of a run.
    """

    wait: float = 0.0
    preempted: float = 0.0
    saved: float = 600.0


def simulate(
    jobs: Sequence[Job], durations: Sequence[float], cores: int, devices: int, queue: Queue, seed: int = 0
) -> tuple[float, float, float]:
    """Return the seconds until all is done: median, tenth and ninetieth percentile of RUNS simulated runs.

    Preemptions come at random, independent of each other; a run that trains loses what was done since its
    last state, any other job all.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RUNS if queue.preempted else 1):
        pieces = [_pieces(j, d, queue, rng) for j, d in zip(jobs, durations, strict=True)]
        flat = [piece for of_job in pieces for piece in of_job]
        found.append(makespan([j for j, _ in flat], [d for _, d in flat], cores, devices, queue.wait))
    middle, low, high = np.quantile(found, (0.5, 0.1, 0.9))
    return float(middle), float(low), float(high)


def _pieces(job: Job, duration: float, queue: Queue, rng: np.random.Generator) -> list[tuple[Job, float]]:
    """Return the stretches in which a job gets done, as jobs in a chain; the last has its name."""
    done: list[tuple[Job, float]] = []
    left = duration
    while queue.preempted:
        ran = float(rng.exponential(3600 / queue.preempted))
        if ran >= left:
            break
        needs = job.needs if not done else (done[-1][0].name,)
        done.append((replace(job, name=f"{job.name}, stretch {len(done) + 1}", needs=needs), ran))
        if job.stage in SAVED:
            left -= max(0.0, ran - float(rng.uniform(0, queue.saved)))
    return [*done, (replace(job, needs=(done[-1][0].name,)) if done else job, left)]


def critical_path(jobs: Sequence[Job], durations: Sequence[float]) -> list[tuple[Job, float]]:
    """Return the chain of jobs, each waiting for the one before, that takes longest; seconds of each."""
    spent = dict(zip((job.name for job in jobs), durations, strict=True))
    by_name = {job.name: job for job in jobs}
    ends: dict[str, float] = {}
    before: dict[str, str] = {}

    def end(name: str) -> float:
        todo = [name]
        while todo:
            job = by_name[todo[-1]]
            if missing := [need for need in job.needs if need not in ends]:
                todo += missing
                continue
            todo.pop()
            if job.needs:
                before[job.name] = max(job.needs, key=lambda need: (ends[need], need))
            ends[job.name] = spent[job.name] + (ends[before[job.name]] if job.needs else 0.0)
        return ends[name]

    at: str | None = max(spent, key=lambda name: (end(name), name))
    path = []
    while at is not None:
        path.append((by_name[at], spent[at]))
        at = before.get(at)
    return path[::-1]
