"""What jobs wrote whose records cannot be read, as far as the places of the files say."""

from collections.abc import Iterator
from pathlib import Path

from chameleon.core.handover import RECORD, expand, is_record
from chameleon.reporting import catalogue
from chameleon.sensitivity import catalogue as study

PAGE, SUMMARY = ("page.html",), ("summary.md", "summary.html")


def guessed(results: Path, record: Path) -> Iterator[Path]:
    """Yield the files that the job of an unreadable record wrote."""
    folder, name = record.parent, record.name
    here = folder.relative_to(results).as_posix()
    if folder == results:
        shown = PAGE if name.startswith("page.") else SUMMARY
        wrote = _tidy(results, catalogue.TIDY) if name == RECORD else [results / one for one in shown]
    elif here == "sensitivity":
        wrote = _tidy(results, study.TIDY) if name == RECORD else study.pages(results)
    elif here in ("tables", "figures"):
        wrote = sorted(path for path in folder.iterdir() if not path.name.startswith("sensitivity_"))
    elif name == RECORD:
        # Folders below with a record of their own are other jobs': the runs that a method needed.
        parts = [p for p in folder.iterdir() if p.is_file() or p.name not in ("extra", "swarm", "states")]
        wrote = list(expand(sorted(parts)))
    else:
        wrote = [record.with_name(f"{name.removesuffix(f'.{RECORD}')}.json")]
    yield from (path for path in wrote if path.is_file() and not is_record(path))


def _tidy(results: Path, names: tuple[str, ...]) -> list[Path]:
    return [results / f"{name}.csv" for name in names]
