"""What a cluster's queue makes of a plan: waits, preemptions; and the chain of jobs that none shortens."""

from collections.abc import Sequence
from graphlib import TopologicalSorter

import numpy as np

from chameleon.pricing.job import Job
from chameleon.pricing.schedule import Queue, makespan

#: Stages whose runs save their state and go on from it; all other jobs start anew.
SAVED = ("proxy", "extra", "swarm", "base")
#: Simulated runs of a plan.
RUNS = 20


def simulate(
    jobs: Sequence[Job], durations: Sequence[float], cores: int, devices: int, queue: Queue, seed: int = 0
) -> tuple[float, float, float]:
    """Return the seconds until Snakemake has ended: median, tenth and ninetieth percentile of simulated runs.

    Preemptions come at random, independent of each other; a run that trains loses what was done since its
    last state, any other job all. Snakemake's own beginning and end together are taken for as long as a start
    on a node.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RUNS if queue.preempted else 1):
        stretches = [_stretches(j, d, queue, rng) for j, d in zip(jobs, durations, strict=True)]
        found.append(queue.start + makespan(jobs, stretches, cores, devices, queue))
    middle, low, high = np.quantile(found, (0.5, 0.1, 0.9))
    return float(middle), float(low), float(high)


def _stretches(job: Job, duration: float, queue: Queue, rng: np.random.Generator) -> list[float]:
    """Return the seconds of the stretches in which a job gets done; each begins with Snakemake's start."""
    if job.here:
        return [duration]
    done: list[float] = []
    left = queue.start + duration
    while queue.preempted:
        ran = float(rng.exponential(3600 / queue.preempted))
        if ran >= left:
            break
        done.append(ran)
        if job.stage in SAVED:
            left -= max(0.0, ran - queue.start - float(rng.uniform(0, queue.saved)))
    return [*done, left]


def critical_path(jobs: Sequence[Job], durations: Sequence[float]) -> list[tuple[Job, float]]:
    """Return the chain of jobs, each waiting for the one before, that takes longest; seconds of each."""
    spent = dict(zip((job.name for job in jobs), durations, strict=True))
    by_name = {job.name: job for job in jobs}
    ends: dict[str, float] = {}
    before: dict[str, str] = {}
    for name in TopologicalSorter({job.name: job.needs for job in jobs}).static_order():
        if needs := by_name[name].needs:
            before[name] = max(needs, key=lambda need: (ends[need], need))
        ends[name] = spent[name] + (ends[before[name]] if needs else 0.0)
    at: str | None = max(ends, key=lambda name: (ends[name], name))
    path = []
    while at is not None:
        path.append((by_name[at], spent[at]))
        at = before.get(at)
    return path[::-1]
