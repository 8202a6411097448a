"""`chameleon carry`: the jobs that train and measure, and what they read, in one file for another machine."""

from collections.abc import Sequence
from pathlib import Path

from chameleon.carrying import archive
from chameleon.carrying.dag import pending
from chameleon.carrying.job import Job, before
from chameleon.core.errors import UserError

#: The rules whose results are wanted from there, and those that must be done before.
WANTED = ("evaluate", "start")
AT_HOME = (
    "fetch",
    "read",
    "gather",
    "prepare",
    "tokenizer",
    "encode",
    "tokens",
    "items",
    "encoder",
    "provide",
)


def travelling(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs of a graph that another machine is to do: tests of models, and what they wait for."""
    return before(jobs, [job for job in jobs if job.rule in WANTED])


def carry(configfiles: Sequence[Path], out: Path) -> str:
    """Write what another machine needs; return what was written, for the reader.

    Raises:
        UserError: text is not tokens yet, nothing is left to do, or a job at home reads a model that would
            not come back.
    """
    jobs = pending(configfiles)
    going = travelling(jobs)
    if not going:
        raise UserError("nothing to carry: every model of this config is trained and tested")
    early = [job for job in going if job.rule in AT_HOME]
    if early:
        raise UserError(
            f"{early[0].name} comes first: snakemake --cores all --until tokens (with your --configfile)"
        )
    names = {job.name for job in going}
    models = {path: job for job in going for path in job.folders}
    for job in jobs:
        if job.name not in names and (read := [path for path in job.inputs if path in models]):
            raise UserError(
                f"{job.name} reads {read[0]}, and models do not come back: leave it out of the config "
                "(fewshot: false, sensitivity: null)"
            )
    made = {path for job in going for path in job.outputs}
    inputs = {path: None for job in going for path in job.inputs if path not in made}
    files = archive.company(list(inputs))
    size = archive.write(out, going, files)
    return f"{out}: {len(going)} jobs, {len(files)} files, {size / 1e6:.1f} MB"
