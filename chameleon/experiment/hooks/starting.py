"""What precedes the first job of a run of Snakemake; the Snakefile's `onstart` calls `began`.

Its limit of submissions goes, if nobody asked for it: Snakemake submits at most 100 jobs a second
(`--max-jobs-per-timespan`). To keep to that it wakes up once a timespan for every job that ever ended, and
each time asks all waiting jobs what they need (docs/DECISIONS.md has what that cost). No run of this suite
starts a hundred jobs in a second; without the limit the scheduler wakes up when a job ends.

Results dated in the future, as after a jump of the clock, are dated now: Snakemake fails every job whose
output is older than its input, again and again until that day has come.

Jobs that run on this machine are forks of one that has loaded torch (`chameleon.core.forks`).

On SLURM, jobs that a killed run left in the queue are ended (`slurm`).
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from chameleon.core import forks
from chameleon.experiment.hooks import slurm

#: Snakemake's own limit, (jobs, seconds). Another one was asked for, and stays.
DEFAULT = (100, 1)
#: Clocks of a cluster's nodes may differ by so many seconds; Snakemake waits for less.
SKEW = 60.0


def began(results: Path, workflow: Any) -> None:
    """Do what precedes the first job, before it is chosen."""
    unlimited(workflow)
    if getattr(workflow, "is_main_process", False) and getattr(workflow, "local_exec", False):
        forks.announce()
    slurm.began(workflow)
    if found := date_now(results):
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        said = f"{found[0]}{more}: dated in the future (was a clock wrong?); dated now"
        print(f"warning: {said}", file=sys.stderr, flush=True)


def unlimited(workflow: Any) -> None:
    """Remove the default limit.

    In a version of Snakemake with other names this does nothing: then it is slower, as it would be without.
    """
    scheduler = getattr(workflow, "scheduler", None)
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if scheduler and limiter and (limiter.max_jobs, limiter.timespan) == DEFAULT:
        scheduler.job_rate_limiter = None


def date_now(results: Path) -> list[Path]:
    """Date every file in a folder that lies in the future now; return them.

    What was made of them is older, and so made again, unless Snakemake knows their content: that is decided
    by then.
    """
    now, found = time.time(), []
    for folder, _, names in os.walk(results):
        for path in (Path(folder, name) for name in names):
            try:
                if path.lstat().st_mtime > now + SKEW:
                    os.utime(path, (now, now), follow_symlinks=False)
                    found.append(path)
            except OSError:
                continue  # another process removed it, or it is not ours: Snakemake will say so
    return sorted(found)
