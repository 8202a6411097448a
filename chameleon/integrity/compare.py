"""Compares the files' digests with what was written down about them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.core.handover import ELSEWHERE, is_record
from chameleon.integrity.digests import Claim, Digests
from chameleon.integrity.findings import Finding, wrong_paths
from chameleon.integrity.reach import PAGES
from chameleon.integrity.records import Broken, Job


def compare(
    results: Path, jobs: Sequence[Job], claims: Iterable[Claim], digests: Digests
) -> Iterator[Finding]:
    """Yield every file that is missing or changed, and every job that worked on other input than there is.

    Records and lists come first: what is said in one that was changed is no evidence.
    """
    known = list(claims)
    said = {claim.by for claim in known}
    first = list(_compare(results, jobs, [claim for claim in known if claim.path in said], digests))
    bad = wrong_paths(first)
    rest = [claim for claim in known if claim.path not in said and claim.by not in bad]
    yield from first
    yield from _compare(results, jobs, rest, digests)


def _compare(
    results: Path, jobs: Sequence[Job], claims: Iterable[Claim], digests: Digests
) -> Iterator[Finding]:
    by_path: dict[Path, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_path[claim.path].append(claim)
    jobs_of = {job.record: job for job in jobs}
    for path, group in by_path.items():
        now = digests.of(path)
        if now is None:
            # Text may have been fetched elsewhere, and a user's own files need not be kept.
            inside = path.is_relative_to(results)
            yield Finding(path, f"missing; {group[0].by} names it", wrong=inside)
            continue
        makers = [claim for claim in group if not claim.reader]
        others = [claim for claim in makers if claim.digest != now]
        if not makers and all(claim.digest != now for claim in group):
            others = group
        if others:
            yield Finding(path, f"changed: its sha256 begins with {now[:12]}, "
                                f"{others[0].by} says {others[0].digest[:12]}")  # fmt: skip
            continue
        for claim in group:
            if claim.reader and claim.digest != now:
                then = f"its sha256 began with {claim.digest[:12]}, now with {now[:12]}"
                yield Finding(
                    claim.by, f"its job read another {path}: {then}", files=tuple(jobs_of[claim.by].outputs)
                )


def elsewhere(results: Path, known: Sequence[Claim]) -> tuple[list[Claim], list[Finding]]:
    """Leave out what is claimed of models that stayed where their jobs were done; a note says how many."""
    listed = results / ELSEWHERE
    folders = {results / name for name in read_json(listed)} if listed.is_file() else set()
    stayed = {c.path for c in known if not folders.isdisjoint(c.path.parents) and not c.path.exists()}
    text = f"{len(stayed)} files of models stayed on the machine that made them"
    return [c for c in known if c.path not in stayed], [Finding(listed, text, wrong=False)] * bool(stayed)


def unrecorded(
    results: Path, jobs: Sequence[Job], found: Sequence[Broken], known: Collection[Path]
) -> Iterator[Finding]:
    """Yield files of the results that jobs read, or that are shown, and that no record says what made.

    Args:
        known: files about which something is found already.
    """
    made = {path for job in jobs for path in job.outputs}.union(*(one.outputs for one in found))
    read: Mapping[Path, Path] = {path: job.record for job in jobs for path in job.inputs}
    for path, reader in read.items():
        own = is_record(path) or path.name == "sources.json" or not path.is_relative_to(results)
        if not own and path not in made and path not in known and path.is_file():
            yield Finding(path, f"no record says what made it; {reader} read it")
    for folder in ("tables", "figures"):
        for path in sorted((results / folder).glob("*.*")):
            if path.suffix[1:] in PAGES and path not in made and not is_record(path):
                yield Finding(path, "no record says what made it: left over from another run? Then delete it")
