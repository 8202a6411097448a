"""The file that travels: a compressed tar of a list of jobs and of files by their paths.

Files lie in it and are put by paths relative to the folder of the Snakefile; nothing is put anywhere else.
"""

import io
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from chameleon.carrying.job import Job
from chameleon.core import strict_json
from chameleon.core.artifacts import atomic, dumps
from chameleon.core.errors import UserError
from chameleon.core.handover import RECORD, expand

LIST = "jobs.json"
#: Below the folder of a job, but no result of it.
STATES = "states"


def write(path: Path, jobs: Sequence[Job], files: Iterable[str], root: Path = Path()) -> int:
    """Write an archive of jobs and files, atomically; return its bytes.

    Raises:
        UserError: a file lies outside of `root`.
    """
    listed = dumps([asdict(job) for job in jobs]).encode()
    with atomic(path) as temporary:
        with tarfile.open(temporary, "w:gz", compresslevel=6) as tar:
            head = tarfile.TarInfo(LIST)
            head.size = len(listed)
            tar.addfile(head, io.BytesIO(listed))
            for name in dict.fromkeys(files):
                if not _inside(name):
                    raise UserError(f"{name}: lies outside of this folder: name it by a path below it")
                tar.add(root / name, arcname=name)
        return temporary.stat().st_size


def read(path: Path) -> tuple[list[Job], dict[str, bytes]]:
    """Return the jobs and the files of an archive.

    Raises:
        UserError: it is no such archive, or puts files elsewhere.
    """
    try:
        with tarfile.open(path) as tar:
            found = {m.name: handle.read() for m in tar if (handle := tar.extractfile(m)) is not None}
        jobs = [Job(**entry) for entry in strict_json.loads(found.pop(LIST))]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no archive of carry or play: {error}") from error
    outside = [name for name in found if not _inside(name)]
    if outside:
        raise UserError(f"{path}: {outside[0]!r} would lie outside of this folder")
    return jobs, found


def _inside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def place(files: Mapping[str, bytes], root: Path = Path()) -> None:
    """Write files; those that are there already with these bytes keep their dates."""
    for name, data in files.items():
        target = root / name
        if not (target.is_file() and target.read_bytes() == data):
            with atomic(target) as temporary:
                temporary.write_bytes(data)


def company(inputs: Collection[str], root: Path = Path()) -> list[str]:
    """Return the files that jobs read when they are given these: with shards, tokenizers, models, records.

    A job is given a manifest and reads the shards beside it: where the folder of a file is one job's, all of
    it goes.
    """
    found: list[str] = []
    for name in inputs:
        path = root / name
        beside = [path.with_suffix(f".{RECORD}"), path.parent / RECORD]
        whole = path if path.is_dir() else path.parent
        if path.is_dir() or beside[1].is_file():
            below = (p for p in expand([whole]) if STATES not in p.relative_to(whole).parts)
            found += [str(p.relative_to(root)) for p in below]
        else:
            found.append(name)
        found += [str(p.relative_to(root)) for p in beside if p.is_file()]
    return list(dict.fromkeys(found))
