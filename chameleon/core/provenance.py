"""The run record beside every artefact: what made it, from what, with what, at what cost.

Volatile facts (times, devices, versions, commit) live here and only here, so that weights and metrics files
stay byte-stable.
"""

import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import fingerprint, sha256_file, write_json
from chameleon.core.handover import Handover, digests

PACKAGES = ("numpy", "torch", "transformers", "tokenizers", "datasets", "pandas", "snakemake")


@cache
def cpu_name() -> str:
    """Return the processor's model name."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass
class Cost:
    """Tokens processed, floating-point operations (formula: `model.flops_per_token`), wall seconds."""

    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def add(self, tokens: int, flops: float) -> None:
        self.tokens += int(tokens)
        self.flops += float(flops)


@dataclass
class Recorder:
    """Collects the run record of one job; `write` puts it beside the artefact, last.

    Args:
        stage: the job's stage.
        spec: everything that changes the job's numbers.
        inputs: files read; their digests go into the record. They are hashed here, before the job works, and
            compared with the records of the jobs that wrote them.
        outputs: files and folders written; their digests go into the record too.
        records: of inputs whose record does not lie beside them.

    Raises:
        UserError: an input is not what the job that wrote it left.
    """

    stage: str
    spec: Mapping[str, Any]
    inputs: list[Path] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    device: str = field(default_factory=cpu_name)
    threads: int = 1
    seeds: dict[str, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)
    records: Sequence[Path] = ()
    #: Seconds that an earlier process, which was cut off, spent on what this one kept.
    earlier_seconds: float = 0.0
    _clock: float = field(default_factory=time.perf_counter)
    _started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        self._digests: dict[Path, str] = {}
        self._handover = Handover(self.records)
        given, self.inputs = self.inputs, []
        self.take(given)

    def take(self, inputs: Iterable[Path]) -> None:
        """Add files that the job reads.

        Hashing is no part of the job's time. What a missing file is missing for, the job says itself.

        Raises:
            UserError: one of them is not what the job that wrote it left.
        """
        given = [path for path in dict.fromkeys(inputs) if path not in self._digests]
        if not given:
            return
        clock = time.perf_counter()
        for path in given:
            if path.is_file():
                self._handover.check(path, self.digest(path))
        self.inputs += given
        self._clock += time.perf_counter() - clock

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of an input; each is hashed once."""
        if path not in self._digests:
            self._digests[path] = sha256_file(path)
        return self._digests[path]

    def elapsed(self) -> float:
        """Return the seconds that the job has taken so far, those before it was cut off included."""
        return self.earlier_seconds + time.perf_counter() - self._clock

    def go_on_from(self, seconds: float) -> None:
        """Count the seconds of an earlier process, which was cut off."""
        self.earlier_seconds = seconds

    def deliver(self, out: Path, value: Any, schema: str | None = None) -> None:
        """Write the job's only artefact, as JSON, and the record beside it."""
        write_json(out, value, schema)
        self.outputs = [out]
        self.write(out.with_suffix(".run.json"))

    def write(self, path: Path) -> None:
        """Write the record; the clock stops here."""
        self.cost.seconds = self.elapsed()
        write_json(
            path,
            {
                "schema": 1,
                "stage": self.stage,
                "spec": dict(self.spec),
                "fingerprint": fingerprint(dict(self.spec)),
                "seeds": self.seeds,
                "git": git_state(),
                "versions": versions(),
                "device": self.device,
                "threads": self.threads,
                "inputs": {str(p): self.digest(p) for p in self.inputs},
                "outputs": digests(self.outputs),
                "cost": {
                    "tokens": self.cost.tokens,
                    "flops": self.cost.flops,
                    "seconds": round(self.cost.seconds, 3),
                },
                "started": self._started,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                **self.extra,
            },
            schema="run",
            # Domains, methods and scenarios have an order, which a spec keeps.
            sort_keys=False,
        )


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def git_state() -> dict[str, Any]:
    """Return commit and dirty flag of the code's own checkout; nulls when it is not one."""
    file = Path(__file__).resolve()

    def git(*args: str) -> str:
        command = ["git", "-C", str(file.parents[2]), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        # Fails for an installed copy that merely lies inside somebody's repository.
        git("ls-files", "--error-unmatch", str(file))
        changed = git("status", "--porcelain", "--", file.parents[1].name, "baselines")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
