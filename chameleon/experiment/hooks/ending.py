"""What follows the end of a run of Snakemake: a partial report after a failure, its removal after a success.

The Snakefile's hooks call `failed` and `succeeded`. Which jobs are undone nobody knows better than Snakemake:
its own graph is asked, so that results of an earlier config count as missing. If a version of it has other
names for `workflow.dag` and `workflow.scheduler.failed`, there is no partial report, and the failure is shown
as ever. Imports nothing heavy: Snakemake reads this for every job.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import write_json
from chameleon.experiment import specs
from chameleon.experiment.config import Config

#: When this run began: older failure files tell of older failures.
STARTED = time.time()
#: The jobs without which there is no complete report.
REPORT = ("collect", "tables", "figures", "summary", "page")


@contextmanager
def _quietly() -> Iterator[None]:
    """Let no mistake in here hide how the run itself ended."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        _say(f"No partial report: {type(error).__name__}: {error}")


@_quietly()
def succeeded(cfg: Config, workflow: Any) -> None:
    """Remove an earlier partial report once everything is there."""
    if workflow.is_main_process and asked_for_report(workflow.dag):
        _clear(cfg)


@_quietly()
def failed(cfg: Config, workflow: Any) -> None:
    """Make the partial report of a run that failed; print where it is, as the last thing on the screen."""
    undone = unfinished(workflow.dag, workflow.scheduler.failed)
    lost = [job for job in undone if job["failed"]]
    # Nothing failed: it was stopped. Nothing of the report was asked for: single files were.
    if not workflow.is_main_process or not lost or not asked_for_report(workflow.dag):
        return
    partial = Path(cfg.results) / "partial"
    if not [job for job in undone if job["rule"] in REPORT]:
        _clear(cfg)
        _say(f"The tables and figures in {cfg.results} are complete; failed: {_names(lost)}")
        return
    logs = Path(cfg.results) / "logs"
    settings = workflow.execution_settings
    write_json(
        logs / "unfinished.json",
        {
            "jobs": undone,
            "started": STARTED,
            "again": os.environ.get("CHAMELEON_COMMAND") or shlex.join(["snakemake", *sys.argv[1:]]),
            "corpora": specs.tables(cfg)["corpora"],
            "fewshot": {s: specs.fewshot(cfg, s) for s in cfg.scenarios if specs.has_fewshot(cfg, s)},
            # Scoring models is work: only where the run was to do all it can, not on a cluster's front end.
            "score": bool(settings.keep_going and workflow.local_exec),
        },
    )
    _say(f"Making a partial report of what is there, in {partial} (Ctrl-C leaves it out) ...")
    command = ["python", "-m", "chameleon", "job", "partial", "--spec", specs.dump(specs.collect(cfg))]
    command += ["--results", cfg.results, "--unfinished", str(logs / "unfinished.json")]
    command += ["--threads", str(cfg.raw["threads"]["evaluate"])]
    with open(logs / "partial.log", "w", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
    if done.returncode:
        _say(f"No partial report: see {logs / 'partial.log'}. Failed: {_names(lost)}")
    else:
        _say(done.stdout.rstrip())


def _clear(cfg: Config) -> None:
    """Remove an earlier partial report and what it was made from."""
    shutil.rmtree(Path(cfg.results) / "partial", ignore_errors=True)
    for name in ("unfinished.json", "partial.log"):
        (Path(cfg.results) / "logs" / name).unlink(missing_ok=True)


def asked_for_report(dag: Any) -> bool:
    """Return whether the run was to end in tidy files, and so in a report."""
    return any(job.rule.name == "collect" for job in dag.jobs)


def unfinished(dag: Any, failed: Any) -> list[dict[str, Any]]:
    """Return the jobs that Snakemake still has to do, as `chameleon.reporting.records.unfinished` reads them.

    Args:
        dag: Snakemake's graph of jobs.
        failed: the jobs of it that failed.
    """
    undone = {job: job_name(job) for job in dag.needrun_jobs() if job.rule.name != "all"}
    return sorted(
        (
            {
                "name": name,
                "rule": job.rule.name,
                "wildcards": dict(job.wildcards_dict),
                "outputs": [str(path) for path in job.output],
                "log": str(next(iter(job.log), "")),
                "failed": job in failed,
                "needs": sorted(undone[other] for other in dag.job_dependencies(job) if other in undone),
            }
            for job, name in undone.items()
        ),
        key=lambda job: str(job["name"]),
    )


def job_name(job: Any) -> str:
    """Return `train pretrain/uniform/seed0` of a job of Snakemake's."""
    values = [f"seed{v}" if k == "seed" else str(v) for k, v in job.wildcards_dict.items()]
    return " ".join(filter(None, [job.rule.name, "/".join(values)]))


def _names(jobs: list[dict[str, Any]], most: int = 5) -> str:
    said = ", ".join(f"{job['name']} ({job['log']})" for job in jobs[:most])
    return f"{said} and {len(jobs) - most} more" if len(jobs) > most else said


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
