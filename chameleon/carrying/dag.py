"""The workflow's own graph of jobs: Snakemake is asked, so that there is no second one.

Needs Snakemake, at home only.
"""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from chameleon.carrying.job import Job
from chameleon.core.errors import UserError
from chameleon.experiment.hooks.ending import job_name

#: How the rules of the workflow call a job, and where its output goes.
PROGRAM, TEE = "python -m chameleon ", " 2>&1 | tee -i "
#: So many that no rule's threads are scaled down: what is on a command line must not depend on the machine.
CORES = 1024


def pending(configfiles: Sequence[Path], targets: Collection[str] = ("all",)) -> list[Job]:
    """Return the jobs that Snakemake would run, each after those that it waits for.

    Raises:
        UserError: Snakemake has no such graph.
    """
    return _jobs(_executed(configfiles, targets, (), "dryrun"))


def mark_done(configfiles: Sequence[Path], jobs: Sequence[Job]) -> None:
    """Let Snakemake take jobs for done, with the params, the code and the inputs that they have now.

    Their files are there and are dated anew, each after those that it was made of.

    Raises:
        UserError: they wait for something that is not there.
    """
    files = [path for job in jobs for path in job.files]
    if not files:
        return
    ours = {job.name for job in jobs}
    others = [j.name for j in _jobs(_executed(configfiles, files, files, "dryrun")) if j.name not in ours]
    if others:
        raise UserError(
            f"{others[0]} comes first and is not done ({len(others)} in all): let Snakemake do it"
        )
    _executed(configfiles, files, files, "touch")


def _executed(
    configfiles: Sequence[Path], targets: Collection[str], forced: Collection[str], executor: str
) -> Any:
    """Return Snakemake's workflow after a dry run, or after one that only touches files."""
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    # As profiles/default says.
    triggers = frozenset(
        {RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT, RerunTrigger.CODE},
    )
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=CORES),
                config_settings=ConfigSettings(configfiles=tuple(configfiles)),
            )
            dag = workflow.dag(
                DAGSettings(
                    targets=frozenset(targets),
                    forcerun=frozenset(forced),
                    rerun_triggers=triggers,
                    force_incomplete=True,
                )
            )
            dag.execute_workflow(executor=executor)
            return workflow._workflow
    except WorkflowError as error:
        raise UserError(f"Snakemake: {error}") from error


def _jobs(workflow: Any) -> list[Job]:
    dag = workflow.dag
    # A dry run counts the jobs that it has listed as finished.
    needed = set(dag.needrun_jobs(exclude_finished=False))
    return [_job(job) for level in dag.toposorted() for job in level if job in needed and job.shellcmd]


def _job(job: Any) -> Job:
    """Return what travels of a job of Snakemake's."""
    command, _, log = job.shellcmd.partition(TEE)
    if not command.startswith(PROGRAM) or not log:
        raise UserError(f"rule {job.rule.name}: its command is not `{PROGRAM}... {TEE}LOG`: {job.shellcmd}")
    return Job(
        name=job_name(job),
        rule=job.rule.name,
        command=shlex.split(command.removeprefix(PROGRAM)),
        log=shlex.split(log)[0],
        threads=int(job.threads),
        priority=int(job.priority),
        inputs=[str(path) for path in job.input],
        outputs=[str(path) for path in job.output],
        folders=[str(path) for path in job.output if path.is_directory],
    )
