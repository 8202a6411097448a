"""Tables and summary made again from the tidy files into a temporary folder, to be compared with those there.

Figures are not drawn again: a drawing's bytes depend on the version of matplotlib, and their digests are
recorded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chameleon.integrity.findings import Finding
from chameleon.integrity.records import Job
from chameleon.integrity.rows import close, table


@contextmanager
def workbench(results: Path, tidy: Mapping[str, str]) -> Iterator[Path]:
    """Yield a folder in which tables can be made: these tidy files, the results' corpora and embeddings."""
    with TemporaryDirectory() as name:
        bench = Path(name)
        for stem, text in tidy.items():
            (bench / f"{stem}.csv").write_text(text, encoding="utf-8", newline="")
        for folder in ("corpora", "sensitivity"):
            (bench / folder).symlink_to((results / folder).absolute())
        yield bench


def make(jobs: Sequence[Job], bench: Path) -> dict[str, str]:
    """Make what these jobs made, figures aside; return {path below the results folder: text}."""
    from chameleon.reporting.summary import make_summary
    from chameleon.reporting.tables import make_tables
    from chameleon.sensitivity.report import tables

    for job in jobs:
        if job.stage == "tables":
            make_tables(bench, bench / "tables", job.spec["scenarios"], job.spec.get("unseen", ()))
        elif job.stage == "summary":
            make_summary(bench, job.spec["scenarios"])
        elif job.stage == "sensitivity_report":
            tables.make_tables(job.spec, bench)
    made = [*bench.glob("*.md"), *bench.glob("*.html"), *(bench / "tables").glob("*.*")]
    return {path.relative_to(bench).as_posix(): path.read_text(encoding="utf-8") for path in sorted(made)}


def study(spec: Mapping[str, Any], results: Path) -> dict[str, str]:
    """Return the texts of the study's tidy files, measured again from its embeddings."""
    from chameleon.sensitivity.catalogue import TIDY
    from chameleon.sensitivity.measure import measure

    with workbench(results, {}) as bench:
        measure(spec, bench)
        return {name: (bench / f"{name}.csv").read_text(encoding="utf-8") for name in TIDY}


def differs(text: str, wanted: str) -> int | None:
    """Return the first line in which two CSV texts differ, last digits aside; None: in none."""
    if text == wanted:
        return None
    ours, theirs = table(text), table(wanted)
    empty: list[str] = []
    for number, (one, other) in enumerate(zip_longest(ours, theirs, fillvalue=empty), 1):
        if len(one) != len(other) or not all(map(close, one, other)):
            return number
    return None


def check(results: Path, made: Mapping[str, str], bad: Collection[Path]) -> Iterator[Finding]:
    """Yield the pages that do not follow from the tidy files.

    Text for people is compared where its table is the same to the last digit: rounding may tip over.

    Args:
        made: as `make` returns it.
        bad: files that are known to be wrong.
    """
    texts = {path: (results / path).read_text(encoding="utf-8", errors="replace")
             for path in made if (results / path).is_file()}  # fmt: skip
    for path, text in texts.items():
        beside = f"{path.rpartition('.')[0]}.csv"
        if results / path in bad or text == made[path]:
            continue
        if path.endswith(".csv"):
            line = differs(text, made[path])
        elif beside in texts and texts[beside] != made[beside]:
            continue
        else:
            pairs = zip_longest(text.splitlines(), made[path].splitlines())
            line = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
        if line is not None:
            yield Finding(results / path, f"line {line} does not follow from the tidy files")
