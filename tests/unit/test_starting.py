"""Snakemake's limit of submissions goes where nobody asked for one; results of tomorrow become today's."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan

from chameleon.experiment.hooks.starting import began, date_now, unlimited


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


def test_what_is_dated_in_the_future_is_dated_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    for name, away in (("a/late", 86_400), ("a/b/later", 1e6), ("soon", 5), ("early", -86_400)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now + away, now + away))
    began(tmp_path, SimpleNamespace())
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {tmp_path}/a/b/later and 1 more: dated in the future")
    times = {p.name: p.stat().st_mtime - now for p in tmp_path.rglob("*") if p.is_file()}
    assert abs(times["late"]) < 60 and abs(times["later"]) < 60
    assert times["soon"] == pytest.approx(5, abs=1) and times["early"] == pytest.approx(-86_400, abs=1)
    assert date_now(tmp_path) == [] and date_now(tmp_path / "none") == []
