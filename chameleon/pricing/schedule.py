"""When a config's jobs would be done: the seconds of each, and all of them laid on cores and devices.

A list scheduler like Snakemake's: whenever something is free, the first job whose inputs are there and
which fits.
"""

import heapq
from collections.abc import Iterable, Sequence

from chameleon.pricing.job import Job
from chameleon.pricing.speed import DEFAULT_FLOPS, Speed
from chameleon.pricing.text import FIXED_SECONDS, SECONDS_PER_MB

#: What the workflow starts first when several jobs are ready (the rules' `priority`).
EARLY = ("proxy", "embed", "extra", "swarm", "weights")


def seconds(job: Job, speed: Speed) -> float:
    """Return the wall-clock seconds of a job on its threads; on n GPUs it trains n times as fast, at best."""
    kind, size = job.text
    total = SECONDS_PER_MB[kind] * size / job.threads if kind else 0.0
    total += speed.start if job.fixed == "torch" and speed.start is not None else FIXED_SECONDS[job.fixed]
    # Measured by time where it was: an objective's operations run at another speed than a plain step's.
    train = job.train_flops / speed.train.get(job.scale, DEFAULT_FLOPS)
    if job.objective in speed.objectives:
        train *= speed.objectives[job.objective] / speed.objective_flops[job.objective]
    return total + train / max(1, job.gpus) + job.forward_flops / speed.forward.get(job.scale, DEFAULT_FLOPS)


def makespan(
    jobs: Sequence[Job], durations: Sequence[float], cores: int, devices: int = 0, wait: float = 0.0
) -> float:
    """Return the seconds until the last job is done.

    Args:
        jobs: with unique names; each waits for those it names.
        durations: seconds of each.
        cores: cores in all; a job that asks for more takes them all.
        devices: accelerators in all; jobs that ask for none need none.
        wait: seconds that a queue keeps each job, once its inputs are there, before it may start.

    Raises:
        ValueError: a job waits for one that is not there, or in a circle.
    """
    place = {job.name: i for i, job in enumerate(jobs)}
    waiting = [0] * len(jobs)
    after: list[list[int]] = [[] for _ in jobs]
    for i, job in enumerate(jobs):
        for name in set(job.needs):
            if name not in place:
                raise ValueError(f"{job.name} waits for {name}, which is no job")
            after[place[name]].append(i)
            waiting[i] += 1
    # What happens next: (time, 0 a job is done or 1 the queue lets it go, its number).
    events = [(wait, 1, i) for i in range(len(jobs)) if not waiting[i]]
    heapq.heapify(events)
    ready: list[tuple[bool, int]] = []
    free, idle, now, done = cores, devices, 0.0, 0
    while events:
        now, let_go, i = heapq.heappop(events)
        if let_go:
            heapq.heappush(ready, (jobs[i].stage not in EARLY, i))
        else:
            done += 1
            free, idle = free + min(jobs[i].threads, cores), idle + min(jobs[i].gpus, devices)
            for other in after[i]:
                waiting[other] -= 1
                if not waiting[other]:
                    heapq.heappush(events, (now + wait, 1, other))
        if events and events[0][0] == now:
            continue  # all that happens at this time first
        kept = []
        while ready and free:
            entry = heapq.heappop(ready)
            job = jobs[entry[1]]
            threads, gpus = min(job.threads, cores), min(job.gpus, devices)
            if threads <= free and gpus <= idle:
                free, idle = free - threads, idle - gpus
                heapq.heappush(events, (now + durations[entry[1]], 0, entry[1]))
            else:
                kept.append(entry)
        for entry in kept:
            heapq.heappush(ready, entry)
    if done != len(jobs):
        raise ValueError("some jobs wait for each other")
    return now


def reached(job: str, jobs: Iterable[Job]) -> set[str]:
    """Return the names of a job and of all that it waits for, directly or not."""
    by_name = {j.name: j for j in jobs}
    found, todo = set(), [job]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += by_name[name].needs
    return found
