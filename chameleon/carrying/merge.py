"""`chameleon merge`: what `play` brought back, into the results, so that the workflow takes it for done.

Files are held against the records of their jobs, records against this config's jobs and against the inputs
that are here; only then are they written, and Snakemake is told.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from chameleon.carrying import archive
from chameleon.carrying.carry import travelling
from chameleon.carrying.dag import mark_done, pending
from chameleon.carrying.job import Job
from chameleon.core import strict_json
from chameleon.core.artifacts import check, read_json, sha256_file, write_json
from chameleon.core.errors import UserError
from chameleon.core.handover import ELSEWHERE, is_record
from chameleon.experiment.load import load_over

#: Rule -> schema of its files: they were written where nothing could check them.
SCHEMAS = {"weights": "weights", "evaluate": "metrics", "start": "metrics", "embed": "embeddings"}


def merge(played: Path, configfiles: Sequence[Path]) -> str:
    """Take over every job of an archive that this config still waits for; return what was done, in words.

    A job whose model another one waits for that did not come back is not taken: the model did not either.

    Raises:
        UserError: a file is not what its job wrote, or its job read other files than are here.
    """
    came, files = archive.read(played)
    wanted = {job.name: job for job in travelling(pending(configfiles))}
    here = [job for job in came if job.name in wanted]
    changed = [job.name for job in here if not _same(job, wanted[job.name])]
    taken = _complete([wanted[job.name] for job in here if job.name not in changed], list(wanted.values()))
    for job in taken:
        _check(job, files, played)
    archive.place({path: files[path] for job in taken for path in (*job.files, job.log) if path in files})
    _note_models(Path(load_over(configfiles).results), taken)
    mark_done(configfiles, taken)
    said = [f"{len(taken)} of {len(came)} jobs are taken over"]
    if known := len(came) - len(here):
        said.append(f"{known} were done here already")
    if changed:
        said.append(f"{len(changed)} are others in this config now, and not taken ({changed[0]})")
    if left := len(wanted) - len(taken):
        said.append(f"{left} are left to do")
    return "; ".join(said)


def _note_models(results: Path, jobs: Sequence[Job]) -> None:
    """Enter the models of jobs among those that are not here, for `chameleon verify`."""
    listed = results / ELSEWHERE
    known = read_json(listed) if listed.is_file() else []
    stayed = [Path(path).relative_to(results).as_posix() for job in jobs for path in job.folders]
    if stayed:
        write_json(listed, sorted({*known, *stayed}))


def _same(one: Job, other: Job) -> bool:
    return (one.spec, one.inputs, one.outputs) == (other.spec, other.inputs, other.outputs)


def _complete(jobs: Sequence[Job], wanted: Sequence[Job]) -> list[Job]:
    """Return the jobs without those whose model a job of `wanted` needs that is not among them."""
    kept = list(jobs)
    while True:
        names = {job.name for job in kept}
        read = {path for job in wanted if job.name not in names for path in job.inputs}
        # A model may be read by a job that is only given the record or the result beside it.
        left = [job for job in kept if not (job.folders and read.intersection(job.outputs))]
        if len(left) == len(kept):
            return kept
        kept = left


def _check(job: Job, files: Mapping[str, bytes], played: Path) -> None:
    """Refuse a job's files unless they are what it wrote, from what is here."""
    for path in job.files:
        if path not in files:
            raise UserError(f"{played}: {path} of {job.name} is missing")
        if path.endswith(".json"):
            schema = "run" if is_record(Path(path)) else SCHEMAS.get(job.rule)
            found = strict_json.loads(files[path])
            if schema is not None:
                check(found, schema, path)
            if schema == "run":
                _check_record(path, found, job, files, played)


def _check_record(
    path: str, record: Mapping[str, Any], job: Job, files: Mapping[str, bytes], played: Path
) -> None:
    if record["spec"] != job.spec:
        raise UserError(f"{played}: {path} is the record of another job than {job.name}")
    for name, digest in {**record["outputs"], **record["inputs"]}.items():
        if name in files:
            found = sha256(files[name]).hexdigest()
        elif Path(name).is_file():
            found = sha256_file(name)
        else:
            continue  # a model, which stayed where it was trained
        if found != digest:
            raise UserError(
                f"{played}: {name} is not what {job.name} knew: its sha256 begins with {found[:12]}, "
                f"{path} says {digest[:12]}"
            )
