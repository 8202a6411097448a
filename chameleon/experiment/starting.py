"""What precedes the first job of a run of Snakemake: its limit of submissions goes, if nobody asked for it.

Snakemake submits at most 100 jobs a second (`--max-jobs-per-timespan`). To keep to that it wakes up once a
timespan for every job that ever ended, and each time asks all waiting jobs what they need (docs/DECISIONS.md
has what that cost). No run of this suite starts a hundred jobs in a second; without the limit the scheduler
wakes up when a job ends.
"""

from typing import Any

#: Snakemake's own value, (jobs, seconds). Another one was asked for, and stays.
DEFAULT = (100, 1)


def unlimited(workflow: Any) -> None:
    """Remove the default limit; to be called from `onstart`, before the first job is chosen.

    In a version of Snakemake with other names this does nothing: then it is slower, as it would be without.
    """
    scheduler = getattr(workflow, "scheduler", None)
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if scheduler and limiter and (limiter.max_jobs, limiter.timespan) == DEFAULT:
        scheduler.job_rate_limiter = None
