"""Every run record below a results folder, as jobs with the files that they read and wrote.

A record names files as they were given to the job, relative to the folder where Snakemake ran. Results may
have been moved or copied since: names are mapped to where the files lie now.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import fingerprint, read_json
from chameleon.core.errors import UserError
from chameleon.core.handover import RECORD, is_record
from chameleon.integrity.produced import guessed

#: Where records lie; a results folder may hold others (`results/smoke`).
FOLDERS = ("corpora", "tokenizer", "tokens", "checkpoints", "proxies", "embeddings", "weights", "forecasts",
           "runs", "metrics", "fewshot", "sensitivity", "tables", "figures")  # fmt: skip
TOP = (RECORD, f"summary.{RECORD}", f"page.{RECORD}")
#: Stages that turn many files into rows and pages, followed row by row and not as jobs.
GATHERING = ("collect", "tables", "figures", "summary", "page", "sensitivity_report")


@dataclass(frozen=True)
class Job:
    """One record, with the digests of the files that its job read and wrote."""

    record: Path
    stage: str
    spec: Mapping[str, Any]
    inputs: Mapping[Path, str]
    outputs: Mapping[Path, str]


@dataclass(frozen=True)
class Broken:
    """A record that says nothing, or says other than when it was written: why, and what its job wrote."""

    record: Path
    why: str
    outputs: tuple[Path, ...]


def paths(results: Path) -> Iterator[Path]:
    """Yield every record of a results folder, in order."""
    yield from (results / name for name in TOP if (results / name).is_file())
    for folder in FOLDERS:
        yield from sorted(p for p in (results / folder).rglob(f"*{RECORD}") if is_record(p) and p.is_file())


def read(results: Path) -> tuple[list[Job], list[Broken]]:
    """Return the jobs, and the records that cannot be trusted."""
    told: dict[Path, dict[str, Any]] = {}
    broken = []
    for record in paths(results):
        try:
            told[record] = read_json(record, "run")
        except (UserError, OSError) as error:
            why = str(error).removeprefix(f"{record}: ")
            broken.append(Broken(record, why, tuple(guessed(results, record))))
    names = Names(results, told)
    jobs = []
    for record, one in told.items():
        if fingerprint(one["spec"]) != one["fingerprint"]:
            why = "its spec is not the one that it was written with"
            broken.append(Broken(record, why, tuple(guessed(results, record))))
        else:
            read, wrote = ({names.find(k): v for k, v in one[part].items()} for part in ("inputs", "outputs"))
            jobs.append(Job(record, one["stage"], one["spec"], read, wrote))
    return jobs, broken


class Names:
    """Where a file lies now that a record names."""

    def __init__(self, results: Path, told: Mapping[Path, Mapping[str, Any]]) -> None:
        """The names' part before the results folder is the one under which most of them are found."""
        self._results = results
        keys = {key for one in told.values() for key in (*one["inputs"], *one["outputs"])}
        votes: Counter[tuple[str, ...]] = Counter()
        for key in keys:
            if (length := self._before(key)) is not None:
                votes[Path(key).parts[:length]] += 1
        self._prefix = max(votes, key=lambda parts: (votes[parts], len(parts))) if votes else None

    def _before(self, key: str) -> int | None:
        """Return how many parts of a name stand before the part found in the results folder, if any is.

        A folder and a name at least: somebody's own `metrics.csv` is not the one of the results.
        """
        parts = Path(key).parts
        ends = range(int(Path(key).is_absolute()), len(parts) - 1)
        return next((i for i in ends if self._results.joinpath(*parts[i:]).exists()), None)

    def find(self, key: str) -> Path:
        """Return the path of a file of the results, or of one outside them as it was given."""
        parts = Path(key).parts
        if self._prefix is not None and parts[: len(self._prefix)] == self._prefix:
            return self._results.joinpath(*parts[len(self._prefix) :])
        length = self._before(key)
        return Path(key) if length is None else self._results.joinpath(*parts[length:])
