"""A job of the workflow as it travels: its command as the rule gives it, its inputs and its outputs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chameleon.core import strict_json
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.core.handover import is_record


@dataclass(frozen=True)
class Job:
    """One job; paths are relative to the folder of the Snakefile.

    Attributes:
        name: rule and wildcards, for the reader.
        rule: of the workflow.
        command: `job STAGE --spec ...`, what follows `python -m chameleon`.
        log: where its output goes.
        threads: that its rule asks for.
        priority: of its rule: the highest first.
        inputs, outputs: files and folders.
        folders: the outputs that are folders: models, which stay where they were trained.
    """

    name: str
    rule: str
    command: Sequence[str]
    log: str
    threads: int
    priority: int
    inputs: Sequence[str]
    outputs: Sequence[str]
    folders: Sequence[str]

    @property
    def spec(self) -> Any:
        """Everything that changes its numbers."""
        return strict_json.loads(self.command[self.command.index("--spec") + 1].encode())

    @property
    def files(self) -> list[str]:
        """The outputs that are files."""
        return [path for path in self.outputs if path not in self.folders]

    def made(self, root: Path = Path()) -> bool:
        """Return whether all its files are there, made by this very job; models are another question."""
        if not all((root / path).is_file() for path in self.files):
            return False
        try:
            # Written last.
            records = [root / path for path in self.files if is_record(Path(path))]
            return all(read_json(record)["spec"] == self.spec for record in records)
        except (UserError, KeyError, TypeError):
            return False


def undone(jobs: Collection[Job], root: Path = Path()) -> list[Job]:
    """Return the jobs that must run: whose files are missing, or a model that another such job reads."""
    last = [job for job in jobs if not job.made(root)]
    return before(jobs, last, lambda path: not (root / path).exists())


def before(
    jobs: Collection[Job], last: Iterable[Job], lacking: Callable[[str], bool] = lambda path: True
) -> list[Job]:
    """Return `last` and all jobs that they wait for, in the order of `jobs`; `lacking`: for which paths."""
    makers = {path: job for job in jobs for path in job.outputs}
    waiting, found = list(last), set()
    while waiting:
        job = waiting.pop()
        if job.name not in found:
            found.add(job.name)
            waiting += [makers[path] for path in job.inputs if path in makers and lacking(path)]
    return [job for job in jobs if job.name in found]
