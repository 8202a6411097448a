"""Snakemake's limit of submissions goes where nobody asked for one."""

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan

from chameleon.experiment.starting import unlimited


@pytest.mark.parametrize(("limit", "stays"), [("100/1s", False), ("50/1m", True), ("100/2s", True)])
def test_only_the_default_goes(limit: str, stays: bool) -> None:
    limiter = JobRateLimiter(MaxJobsPerTimespan.parse_choice(limit))
    workflow = SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter=limiter))
    unlimited(workflow)
    assert (workflow.scheduler.job_rate_limiter is limiter) == stays


@pytest.mark.parametrize(
    "workflow", [SimpleNamespace(), SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter=None))]
)
def test_other_versions_are_left_alone(workflow: Any) -> None:
    unlimited(workflow)
