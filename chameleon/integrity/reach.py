"""Which tables and figures depend on a file: along the jobs to tidy rows, from rows to what shows them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from chameleon.integrity.reads import KINDS, Source, readers, study_readers
from chameleon.integrity.records import GATHERING, Broken, Job
from chameleon.integrity.rows import Gap, Row
from chameleon.reporting.records.tidy import COLUMNS

PAGES = ("csv", "md", "html", "png", "pdf")


class Reach:
    """Follows what was made from what."""

    def __init__(
        self,
        results: Path,
        jobs: Sequence[Job],
        broken: Sequence[Broken],
        rows: Mapping[str, Sequence[Row]],
        gaps: Sequence[Gap],
        cells: Mapping[str, int],
    ) -> None:
        """`cells`: how many each table has, by its name."""
        self._results = results
        self._next: dict[Path, set[Path]] = defaultdict(set)
        self._from: dict[Path, set[Source]] = defaultdict(set)
        self._scenarios: dict[str, str] = {}
        self._unseen: set[str] = set()
        for job in jobs:
            self._add(job)
        for one in broken:
            self._next[one.record] |= set(one.outputs)
        made = {self._stem(path) for job in jobs for path in job.outputs}
        known = readers(self._scenarios, self._unseen) | study_readers()
        self.readers = {stem: read for stem, read in known.items() if stem in made}
        self._empty = {stem for stem in self.readers if stem.startswith("tables/") and not cells.get(stem, 0)}
        for tidy_rows in rows.values():
            for row in tidy_rows:
                for path in row.sources:
                    self._from[path].add((row.scenario, row.kind))
        for gap in gaps:
            for path in gap.sources:
                self._from[path] |= {(gap.key[0], one) for one in gap.kinds}
        for name, kinds in KINDS.items():
            # Rows of the study are of no scenario.
            of = self._scenarios if name in COLUMNS else [""]
            self._from[results / f"{name}.csv"] |= {(scenario, one) for scenario in of for one in kinds}

    def _add(self, job: Job) -> None:
        self._next[job.record] |= set(job.outputs)
        if job.stage in ("tables", "figures", "summary", "page"):
            self._scenarios |= job.spec.get("scenarios", {})
            self._unseen |= set(job.spec.get("unseen", ()))
        if job.stage not in GATHERING:
            for path in job.inputs:
                self._next[path] |= {job.record, *job.outputs}
        for path in job.outputs:
            # What lies beside a job's main file is read with it, and by that one's name.
            for main in ("model/model.safetensors", "manifest.json", "tokenizer.json", "items.json"):
                if job.record.parent / main in job.outputs and _is_part(path, job.record.parent, main):
                    self._next[path].add(job.record.parent / main)

    def _stem(self, path: Path) -> str:
        """Return a page's name: its path below the results folder without the suffix."""
        below = path.relative_to(self._results) if path.is_relative_to(self._results) else path
        return below.with_suffix("").as_posix()

    def part_of(self, path: Path, whole: Path) -> None:
        """Say that a file is read through another one that lists it."""
        self._next[path].add(whole)

    def files(self, paths: Iterable[Path]) -> set[Path]:
        """Return these files and all that was made from them, short of tidy files and pages."""
        found: set[Path] = set()
        waiting = list(paths)
        while waiting:
            if (path := waiting.pop()) not in found:
                found.add(path)
                waiting += self._next.get(path, ())
        return found

    def pages(self, paths: Iterable[Path], sources: Iterable[Source] | None = None) -> frozenset[str]:
        """Return the tables, figures, summary and page that depend on files; a table without cells on none.

        Args:
            paths: files that are not what they should be.
            sources: which rows, where a tidy file is known to be wrong in these alone.
        """
        reached = self.files(paths) if sources is None else set()
        hit = set(sources or ()).union(*(self._from[path] for path in reached if path in self._from))
        found = {stem for stem, read in self.readers.items() if read & hit} - self._empty
        for path in reached:
            if path.name == "report.json" and path.parent.parent == self._results / "corpora":
                found |= {"tables/corpora", "tables/licences"} & set(self.readers)
            if path.suffix[1:] in PAGES:
                stem = self._stem(path)
                if stem in self.readers or path.parent.name in ("tables", "figures"):
                    found.add(stem)
        return frozenset(found)


def _is_part(path: Path, folder: Path, main: str) -> bool:
    """Return whether a file of a job is read through its main file."""
    if path == folder / main:
        return False
    return not main.startswith("model/") or path.is_relative_to(folder / "model")
