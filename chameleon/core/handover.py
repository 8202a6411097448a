"""What one job left is what the next one takes: digests of outputs, compared before a job works.

A record holds the digests of the files that its job wrote. A job that is given one of them hashes it anyway,
for its own record; a digest that differs ends it before it does anything. A file without a record, or with
one of another kind, passes.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError

RECORD = "run.json"
#: Folders from a file up to the record of its job: a checkpoint lies in `model/checkpoints/step{n}/`.
LEVELS = 4
#: In a results folder: its folders of models that stayed on the machine where their jobs were done.
ELSEWHERE = "elsewhere.json"
OWN_WEIGHTS = "; weights of your own go into another file, for method fixed: method_params.fixed.file"


def remedy(record: Path) -> str:
    """Return how to have made again what a record is about.

    Deleting a file does not do it: Snakemake leaves alone what is missing before files that are there.
    """
    command = f"snakemake --cores all --forcerun {shlex.quote(str(record))}"
    return f"to have it made again: {command} (with your --configfile)"


def is_record(path: Path) -> bool:
    """Return whether a file is a run record, by its name."""
    return path.name == RECORD or path.name.endswith(f".{RECORD}")


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files, and for each folder the files below it; hidden ones are other people's."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                file
                for file in path.rglob("*")
                if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
            )
        else:
            yield path


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return {path as given: SHA-256} of files, and of the files below folders."""
    return {str(path): sha256_file(path) for path in expand(paths)}


class Handover:
    """Finds what the records beside files say about them; each record is read once."""

    def __init__(self, elsewhere: Sequence[Path] = ()) -> None:
        """`elsewhere`: records that do not lie beside the files that they are about."""
        self._elsewhere = elsewhere
        self._told = cache(_load)

    def check(self, path: Path, found: str) -> None:
        """Compare a file's digest with the record of the job that wrote it.

        Raises:
            UserError: it differs, or the record cannot be read; says how to have the file made again.
        """
        if is_record(path):
            return
        above = [folder / RECORD for folder in list(path.parents)[:LEVELS]]
        for record in (path.with_suffix(f".{RECORD}"), *above, *self._elsewhere):
            told = self._told(record)
            wanted = _entry(told.get("outputs"), path, record)
            if wanted == found:
                return
            if wanted is not None:
                raise UserError(
                    f"{path}: changed since job {told.get('stage')} wrote it: its sha256 begins with "
                    f"{found[:12]}, {record} says {wanted[:12]}; {remedy(record)}"
                    f"{OWN_WEIGHTS if told.get('stage') == 'weights' else ''}"
                )


def _load(record: Path) -> dict[str, Any]:
    """Return a record; empty if there is none, or if the file is something else."""
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except ValueError as error:
        raise UserError(f"{record}: not a run record (cut short?): {error}; {remedy(record)}") from error
    return told if isinstance(told, dict) else {}


def _entry(outputs: object, path: Path, record: Path) -> str | None:
    """Return the digest of `path` among a record's outputs: the entry that ends like the path below it.

    Results may have been moved, or be named by another path than when the job ran.
    """
    if not isinstance(outputs, dict):
        return None
    below = path.is_relative_to(record.parent)
    tail = path.relative_to(record.parent).parts if below else (path.name,)
    found = (digest for key, digest in outputs.items() if Path(key).parts[-len(tail) :] == tail)
    return next((str(digest) for digest in found), None)
