"""`chameleon verify`: every cell of the tables followed back to the files that it was made from.

Digests first; then the tidy files are gathered again from what the jobs left, the sensitivity study is
measured again from its embeddings, and the tables are made again from the tidy files. A file that is wrong is
named once, where the chain breaks, with what depends on it; what was made from it is not blamed as well.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chameleon.core.errors import UserError
from chameleon.core.handover import is_record
from chameleon.core.versions import STAGES
from chameleon.integrity import compare, pages, records, tidy
from chameleon.integrity.digests import Claim, Digests, claims
from chameleon.integrity.findings import Finding, wrong_paths
from chameleon.integrity.reach import Reach
from chameleon.integrity.records import Job
from chameleon.integrity.rows import STUMBLES, Gap, Row, gather, table
from chameleon.reporting.records.tidy import COLUMNS
from chameleon.sensitivity import catalogue as study

#: Jobs whose pages are made again, and the stage whose version their specs carry.
REMADE = {"tables": "tables", "summary": "tables", "sensitivity_report": "sensitivity"}


@dataclass(frozen=True)
class Report:
    """What was found and how much was looked at.

    Attributes:
        findings: errors, then notes.
        pages: all tables and figures there are, and the summary.
        cells, broken_cells: cells of the tables, and how many of them depend on something wrong.
        files, bytes: hashed.
        seconds: taken.
    """

    findings: tuple[Finding, ...]
    pages: frozenset[str]
    cells: int
    broken_cells: int
    files: int
    bytes: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.wrong for finding in self.findings)

    def lines(self) -> Iterator[str]:
        """Yield one line per finding, and a last one with the counts."""
        yield from (finding.line(self.pages) for finding in self.findings)
        count = sum(finding.wrong for finding in self.findings)
        tables = sum(page.startswith("tables/") for page in self.pages)
        traced = f"{self.cells - self.broken_cells:,} of {self.cells:,} cells of {tables} tables traced"
        hashed = f"{self.files:,} files hashed, {self.bytes / 1e6:,.1f} MB, {self.seconds:.1f} s"
        yield f"{traced}, {hashed}: {'nothing is wrong' if not count else f'{count} wrong'}"


def verify(results: Path) -> Report:
    """Check a results folder.

    Raises:
        UserError: it holds no run records.
    """
    started = time.perf_counter()
    jobs, broken = records.read(results)
    if not jobs and not broken:
        raise UserError(
            f"{results}: no run records here; give the results folder of a run (default: results)"
        )
    known, stayed = compare.elsewhere(results, list(claims(results, jobs)))
    digests = Digests()
    _say(f"{len(jobs)} jobs; hashing what they read and wrote")
    digests.fill(claim.path for claim in known)
    found = [
        *(Finding(one.record, one.why) for one in broken),
        *compare.compare(results, jobs, known, digests),
        *stayed,
    ]
    found += compare.unrecorded(results, jobs, broken, wrong_paths(found))
    _say("gathering the tidy files and making the tables again")
    rows, gaps = _gathered(results, jobs, found)
    cells = _cells(results, jobs)
    reach = Reach(results, jobs, broken, rows, gaps, cells)
    for claim in known:
        if not claim.reader and not is_record(claim.by):
            reach.part_of(claim.path, claim.by)
    found += _remade(results, jobs, known, rows, gaps, found, reach)
    judged = [_judged(finding, reach) for finding in _once(found)]
    every = frozenset(reach.readers)
    lost = frozenset().union(*(finding.pages for finding in judged if finding.wrong))
    broken_cells = sum(count for stem, count in cells.items() if stem in lost)
    ordered = sorted(judged, key=lambda finding: (not finding.wrong, str(finding.path)))
    seconds = time.perf_counter() - started
    return Report(
        tuple(ordered), every, sum(cells.values()), broken_cells, digests.files, digests.bytes, seconds
    )


def _say(what: str) -> None:
    print(f"verify: {what}", file=sys.stderr, flush=True)


def _job(jobs: Sequence[Job], stage: str) -> Job | None:
    return next((job for job in jobs if job.stage == stage), None)


def _gathered(
    results: Path, jobs: Sequence[Job], found: list[Finding]
) -> tuple[dict[str, list[Row]], list[Gap]]:
    """Return the rows of the tidy files and what is missing of them; a record that misleads is a finding."""
    job = _job(jobs, "collect")
    if job is not None and job.record not in wrong_paths(found):
        try:
            return gather(job.spec, results)
        except STUMBLES as error:
            found.append(Finding(job.record, f"cannot be followed: {type(error).__name__}: {error}"))
    return {name: [] for name in COLUMNS}, []


def _remade(
    results: Path, jobs: Sequence[Job], known: Sequence[Claim], rows: dict[str, list[Row]], gaps: list[Gap],
    found: Sequence[Finding], reach: Reach,
) -> list[Finding]:  # fmt: skip
    """Return what is wrong with tidy files and tables by what they say."""
    bad = wrong_paths(found)
    more = list(tidy.gaps(gaps, bad))
    bad |= wrong_paths(more)
    recorded = {claim.path: claim.digest for claim in known}
    files = tidy.Tidy(results, rows, gaps, recorded)
    collected = _job(jobs, "collect")
    if collected is not None and collected.spec.get("version") == STAGES["collect"]:
        more += files.check(bad)
    more += tidy.study(_job(jobs, "sensitivity"), results, bad)
    bad |= wrong_paths(more)
    texts = {name: files.trusted(name, bad) for name in COLUMNS}
    studied = {name: results / f"{name}.csv" for name in study.TIDY}
    texts |= {name: tidy.content(path) for name, path in studied.items() if path not in bad}
    made: dict[str, str] = {}
    for job in jobs:
        if job.stage not in REMADE or job.record in bad:
            continue
        names = study.TIDY if job.stage == "sensitivity_report" else tuple(COLUMNS)
        if job.spec.get("version") != STAGES[REMADE[job.stage]]:
            more.append(Finding(job.record, "of another version of this stage: not made again", wrong=False))
            continue
        given = {name: text for name in names if (text := texts.get(name)) is not None}
        if len(given) < len(names):
            more.append(Finding(job.record, "not made again: its tidy files cannot be restored", wrong=False))
            continue
        try:
            with pages.workbench(results, given) as bench:
                made |= pages.make([job], bench)
        except STUMBLES as error:
            text = f"cannot be made again: {type(error).__name__}: {error}"
            more.append(Finding(job.record, text, wrong=False))
    stale = reach.pages(path for path in bad if path.name == "report.json")
    made = {path: text for path, text in made.items() if path.rpartition(".")[0] not in stale}
    return [*more, *pages.check(results, made, bad)]


def _once(found: Sequence[Finding]) -> list[Finding]:
    """Return one finding a file: what is said of it later is added to what is said first."""
    by_file: dict[tuple[Path, bool], Finding] = {}
    for one in found:
        key = one.path, one.wrong
        if (first := by_file.get(key)) is not None:
            one = one._replace(text=f"{first.text}; {one.text}", files=one.files or first.files)
        by_file[key] = one
    return list(by_file.values())


def _judged(finding: Finding, reach: Reach) -> Finding:
    """Return a finding with the pages that depend on it."""
    if not finding.wrong:
        return finding
    files = (finding.path,) if finding.files is None else finding.files
    return finding._replace(pages=reach.pages(files, finding.sources))


def _cells(results: Path, jobs: Sequence[Job]) -> dict[str, int]:
    """Return how many cells each table has, by its name."""
    counts = {}
    for job in jobs:
        for path in job.outputs:
            if job.stage in REMADE and path.suffix == ".csv" and (text := tidy.content(path)) is not None:
                stem = path.relative_to(results).with_suffix("").as_posix()
                counts[stem] = sum(map(len, table(text)[1:]))
    return counts
