"""What is wrong or worth knowing, one line each, with the tables that depend on it."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from chameleon.integrity.reads import Source


class Finding(NamedTuple):
    """One file that is not what it should be.

    Attributes:
        path: of the file.
        text: what is the matter with it.
        wrong: False for what is only worth knowing.
        files: where dependence starts, if not at the file itself: what a job made from other input, say.
        sources: the rows that are wrong, where only some of a tidy file are.
        pages: `tables/NAME`, `figures/NAME`, `summary` and `page` that depend on it.
    """

    path: Path
    text: str
    wrong: bool = True
    files: tuple[Path, ...] | None = None
    sources: frozenset[Source] | None = None
    pages: frozenset[str] = frozenset()

    def line(self, every: Collection[str]) -> str:
        """Return the finding as one line; `every` is all the pages that there are."""
        said = f"{'wrong' if self.wrong else 'note'}: {self.path}: {' '.join(self.text.split())}"
        return f"{said}; {depending(self.pages, every)}" if self.wrong else said


def depending(pages: Collection[str], every: Collection[str]) -> str:
    """Return which pages depend on a file, in words."""
    if not pages:
        return "no table depends on it"
    if len(pages) > 1 and set(pages) >= set(every):
        return f"every table and figure ({len(pages)}) depends on it"
    by_folder: dict[str, list[str]] = {"tables": [], "figures": [], "": []}
    for page in sorted(pages):
        folder, _, name = page.rpartition("/")
        by_folder[folder].append(name)
    said = [f"{folder or 'page'}: {', '.join(names)}" for folder, names in by_folder.items() if names]
    return "; ".join(said)


def wrong_paths(findings: Iterable[Finding]) -> set[Path]:
    """Return the files that are wrong."""
    return {finding.path for finding in findings if finding.wrong}
