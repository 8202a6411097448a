"""What is known about each file's bytes, and what they are now: every file is hashed once.

A claim is a digest that somebody wrote down: the job that made the file, a list beside it (the manifest of
shards, the few-shot items, a corpus's sources), or a job that read it.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from chameleon.core.artifacts import sha256_file
from chameleon.core.cache import cache_dir
from chameleon.integrity.records import Job

#: Seconds between lines where there is no terminal.
EVERY = 10.0


class Claim(NamedTuple):
    """What `by` says is the digest of a file; `reader`: as a job that read it, not one that made it."""

    path: Path
    digest: str
    by: Path
    reader: bool = False


def claims(results: Path, jobs: Sequence[Job]) -> Iterator[Claim]:
    """Yield every digest that was written down about a file."""
    for job in jobs:
        yield from (Claim(path, digest, job.record) for path, digest in job.outputs.items())
        yield from (Claim(path, digest, job.record, reader=True) for path, digest in job.inputs.items())
    lists = {"tokens/*/manifest.json": _shards, "fewshot/tasks/items.json": _items,
             "corpora/*/sources.json": _sources}  # fmt: skip
    for pattern, claimed in lists.items():
        for path in sorted(results.glob(pattern)):
            # Of one that is no such list its own digest tells that it was changed.
            with suppress(OSError, ValueError, AttributeError, LookupError, TypeError):
                yield from claimed(path, json.loads(path.read_text(encoding="utf-8")))


def _shards(manifest: Path, told: Any) -> Iterator[Claim]:
    for splits in told["domains"].values():
        for shard in (shard for split in splits.values() for shard in split["shards"]):
            yield Claim(manifest.parent / shard["file"], str(shard["sha256"]), manifest)


def _items(listed: Path, told: Any) -> Iterator[Claim]:
    for task, about in told["tasks"].items():
        for part, digest in about["sha256"].items():
            yield Claim(listed.parent / task / f"{part}.jsonl", str(digest), listed)


def _sources(listed: Path, told: Any) -> Iterator[Claim]:
    """Yield the claims about downloaded packages in the cache, and about a user's own files."""
    for source in told:
        if source["sha256"] and source["file"]:
            local = source["registry"] == "local"
            folder = Path(source["package"]) if local else cache_dir() / "artefacts"
            yield Claim(folder / source["file"], str(source["sha256"]), listed)


@dataclass
class Digests:
    """The digests of files as they are now; counts what was hashed."""

    files: int = 0
    bytes: int = 0
    _known: dict[Path, str | None] = field(default_factory=dict)

    def of(self, path: Path) -> str | None:
        """Return a file's digest; None if there is no such file."""
        if path not in self._known:
            self._known[path] = None
            with suppress(OSError, ValueError):
                self._known[path] = sha256_file(path)
                self.bytes += path.stat().st_size
                self.files += 1
        return self._known[path]

    def fill(self, paths: Iterable[Path]) -> None:
        """Hash these files, with a bar on a terminal and a line now and then elsewhere."""
        listed = list(dict.fromkeys(paths))
        last = time.monotonic()
        with tqdm(total=len(listed), desc="hashing", unit="file", disable=not sys.stderr.isatty()) as bar:
            for number, path in enumerate(listed, 1):
                self.of(path)
                bar.update()
                if bar.disable and time.monotonic() - last > EVERY:
                    last = time.monotonic()
                    said = f"verify: {number} of {len(listed)} files, {self.bytes / 1e6:.0f} MB hashed"
                    print(said, file=sys.stderr, flush=True)
