"""Compares the tidy files with their rows gathered again."""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from chameleon.core.versions import STAGES
from chameleon.integrity import pages, rows
from chameleon.integrity.findings import Finding
from chameleon.integrity.records import Job
from chameleon.integrity.rows import STUMBLES, Difference, Gap, Row
from chameleon.reporting.records.tidy import COLUMNS


def content(path: Path) -> str | None:
    """Return a file's text; None if it is missing or no text."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def gaps(found: Iterable[Gap], bad: Collection[Path]) -> Iterator[Finding]:
    """Yield the files that rows cannot be gathered from, each once, unless one is known to be wrong."""
    seen = set(bad)
    for gap in found:
        if gap.sources and seen.isdisjoint(gap.sources):
            culprit = gap.sources[-1]
            seen.add(culprit)
            yield Finding(culprit, gap.why.removeprefix(f"{culprit}: "))


class Tidy:
    """The tidy files as they are and as they should be."""

    def __init__(
        self, results: Path, found: Mapping[str, Sequence[Row]], holes: Sequence[Gap],
        recorded: Mapping[Path, str],
    ) -> None:  # fmt: skip
        """`recorded`: digests of tidy files that the job which wrote them, or one that read them, noted."""
        self._results, self._rows, self._gaps, self._recorded = results, found, holes, recorded

    def check(self, bad: Collection[Path]) -> Iterator[Finding]:
        """Yield tidy files with rows that their files do not give; `bad` are the files known to be wrong."""
        for name in COLUMNS if any(self._rows.values()) else ():
            path = self._results / f"{name}.csv"
            text, wanted = content(path), self.restored(name, bad)
            if text is None or text == wanted:
                continue
            # Gathering is exact where it gives the recorded bytes; else last digits are the processor's.
            exact = wanted is not None and self._recorded.get(path) == sha256(wanted.encode()).hexdigest()
            same = str.__eq__ if exact else rows.close
            found = list(rows.compare(name, text, list(self._rows[name]), list(self._gaps), same, bad))
            if found and (path in bad or path not in self._recorded or any(not d.sources for d in found)):
                known = frozenset((one.scenario, one.kind) for one in found)
                yield Finding(
                    path, _said(found), sources=known if all(one.scenario for one in found) else None
                )
            elif found:
                yield from _culprits(path, found)

    def restored(self, name: str, bad: Collection[Path]) -> str | None:
        """Return the text that a tidy file should have; None if not all it comes from can be trusted."""
        mine = self._rows[name]
        known = any(self._rows.values()) and all(gap.tidy != name for gap in self._gaps)
        if not known or any(not set(row.sources).isdisjoint(bad) for row in mine):
            return None
        return _csv([COLUMNS[name], *(row.cells for row in mine)])

    def trusted(self, name: str, bad: Collection[Path]) -> str | None:
        """Return the text to make tables from: the file's own, or, if that was changed, the one restored."""
        path = self._results / f"{name}.csv"
        return self.restored(name, bad) if path in bad else content(path)


def _csv(lines: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def _said(found: Sequence[Difference]) -> str:
    first = found[0]
    more = f" ({len(found)} rows in all)" if len(found) > 1 else ""
    return f"{'' if first.line is None else f'line {first.line}: '}{first.text}{more}"


def _culprits(path: Path, found: Sequence[Difference]) -> Iterator[Finding]:
    """Yield the files that changed since an intact tidy file was gathered from them."""
    by_file: dict[Path, list[Difference]] = defaultdict(list)
    for one in found:
        by_file[one.sources[-1]].append(one)
    for file, mine in by_file.items():
        yield Finding(file, f"changed since {path} was gathered from it: {_said(mine)}")


def study(job: Job | None, results: Path, bad: Collection[Path]) -> Iterator[Finding]:
    """Yield the study's tidy files that its embeddings do not give."""
    if job is None or job.spec.get("version") != STAGES["sensitivity"] or not set(job.inputs).isdisjoint(bad):
        return
    try:
        made = pages.study(job.spec, results)
    except STUMBLES as error:
        yield Finding(job.record, f"the study cannot be measured again: {type(error).__name__}: {error}")
        return
    for name, wanted in made.items():
        path = results / f"{name}.csv"
        text = content(path)
        if text is not None and (line := pages.differs(text, wanted)) is not None:
            yield Finding(path, f"line {line} is not what the embeddings give")
