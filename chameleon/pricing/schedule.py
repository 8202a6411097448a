"""When a config's jobs would be done: the seconds of each, and all of them laid on cores and devices.

A list scheduler like Snakemake's: whenever something is free, the first job whose inputs are there and
which fits. Where jobs go to a cluster, they wait in its queue and Snakemake looks after them now and then.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chameleon.pricing.job import Job
from chameleon.pricing.speed import DEFAULT_FLOPS, Speed
from chameleon.pricing.text import FIXED_SECONDS, SECONDS_PER_MB

#: What the workflow starts first when several jobs are ready (the rules' `priority`).
EARLY = ("proxy", "embed", "extra", "swarm", "weights")
#: What `Queue` says of a cluster unless it is told: two starts of Snakemake of 2.9 core-seconds each (on an
#: EPYC; docs/PERFORMANCE.md), and two lines of profiles/slurm/profile.yaml.
START, LOOK, LIMIT = 6.0, 10.0, 20
#: By so many seconds more Snakemake waits after every look that finds no job done, up to so many; both are
#: the executor's (snakemake-executor-plugin-slurm 2.8, `check_active_jobs`).
SLOWER, SLOWEST = 10.0, 180.0
#: What happens, the first first where several things do at one time.
_END, _LET, _LOOK = range(3)


@dataclass(frozen=True)
class Queue:
    """A cluster's queue, and what Snakemake adds to it.

    Attributes:
        wait: seconds from a job's submission to its start, where something is free for it.
        preempted: how often an hour a running job is ended; it is submitted again.
        saved: seconds between two saved states of a run.
        start: seconds on its node before a job's command begins: Snakemake is started there, twice.
        look: seconds between Snakemake's looks at its jobs while some are done at each of them
            (`slurm-init-seconds-before-status-checks`).
        limit: jobs that Snakemake keeps in the queue (`jobs`).
    """

    wait: float = 0.0
    preempted: float = 0.0
    saved: float = 600.0
    start: float = 0.0
    look: float = 0.0
    limit: int = 1_000_000


def seconds(job: Job, speed: Speed, here: bool = True) -> float:
    """Return the wall-clock seconds of a job on its threads; on n GPUs it trains n times as fast, at best.

    Args:
        job: of the plan.
        speed: of this machine, or as assumed.
        here: jobs run where Snakemake does: those of one thread are forks of a process that has loaded torch.
    """
    kind, size = job.text
    forked = here and job.fixed == "torch" and job.threads == 1 and not job.gpus and not kind
    total = FIXED_SECONDS["fork" if forked else job.fixed]
    total += SECONDS_PER_MB[kind] * size / job.threads if kind else 0.0
    # A machine that starts sooner than that of the constants does this sooner too.
    if speed.start is not None:
        total *= speed.start / FIXED_SECONDS["torch"]
    # Measured by time where it was: an objective's operations run at another speed than a plain step's.
    train = job.train_flops / speed.train.get(job.scale, DEFAULT_FLOPS)
    if job.objective in speed.objectives:
        train *= speed.objectives[job.objective] / speed.objective_flops[job.objective]
    return total + train / max(1, job.gpus) + job.forward_flops / speed.forward.get(job.scale, DEFAULT_FLOPS)


def makespan(
    jobs: Sequence[Job],
    durations: Sequence[float | Sequence[float]],
    cores: int,
    devices: int = 0,
    queue: Queue | None = None,
) -> float:
    """Return the seconds until the last job is done.

    Args:
        jobs: with unique names; each waits for those it names.
        durations: seconds of each, or those of the stretches in which it gets done.
        cores: cores in all; a job that asks for more takes them all.
        devices: accelerators in all; jobs that ask for none need none.
        queue: that jobs go through, whose `preempted`, `saved` and `start` are in the durations already.

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
    left = [[s] if isinstance(s, float | int) else list(s)[::-1] for s in durations]
    through = queue or Queue()
    # Jobs that Snakemake may send; then those that may start, in the order in which they were sent.
    ready = [(job.stage not in EARLY, i) for i, job in enumerate(jobs) if not waiting[i]]
    heapq.heapify(ready)
    line: list[tuple[float, bool, int]] = []
    places = [(0.0, False, i) for i in range(len(jobs))]
    # What happens next: (time, _END of a job, _LET go by the queue or Snakemake's _LOOK, the job's number).
    events = [(through.look, _LOOK, -1)] if through.look else []
    ended: list[int] = []  # since the last look
    free, idle, now, sent, done, pause = cores, devices, 0.0, 0, 0, through.look
    while done < len(jobs):
        while ready and sent < through.limit:
            late, i = heapq.heappop(ready)
            here = queue is not None and jobs[i].here
            sent, places[i] = sent + (not here), (now if queue else 0.0, late, i)
            heapq.heappush(events, (now + left[i].pop(), _END, i) if here else (now + through.wait, _LET, i))
        if not events or events[0][0] > now:  # all that happens at this time first
            kept = []
            while line and free:
                entry = heapq.heappop(line)
                job = jobs[entry[2]]
                threads, gpus = min(job.threads, cores), min(job.gpus, devices)
                if threads <= free and gpus <= idle:
                    free, idle = free - threads, idle - gpus
                    heapq.heappush(events, (now + left[entry[2]].pop(), _END, entry[2]))
                else:
                    kept.append(entry)
            line = sorted(kept + line)
        if not events:
            raise ValueError("some jobs wait for each other")
        now, what, i = heapq.heappop(events)
        known: list[int] = []
        if what == _LET:
            heapq.heappush(line, places[i])
        elif what == _LOOK:
            pause = through.look if ended or not sent else min(pause + SLOWER, SLOWEST)
            known, ended = ended, []
            if sent or events:
                heapq.heappush(events, (now + pause, _LOOK, -1))
            sent -= len(known)
        elif queue is not None and jobs[i].here:
            known = [i]
        else:
            free, idle = free + min(jobs[i].threads, cores), idle + min(jobs[i].gpus, devices)
            if left[i]:
                heapq.heappush(events, (now + through.wait, _LET, i))
            elif through.look:
                ended.append(i)
            else:
                sent, known = sent - 1, [i]
        done += len(known)
        for other in (other for one in known for other in after[one]):
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, (jobs[other].stage not in EARLY, other))
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
