"""Bad disks, damaged files and a clock that jumps, under the same workflow."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from killing import Workflow, digests, jobs_of

ROOT = Path(__file__).resolve().parents[2]
#: Sizes of a disk that is too small, in what the results take.
SMALL = (0.3, 0.5, 0.8)
Row = tuple[str, int, int]


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small disk at a folder; needs the right to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str, leader: int | None = None) -> None:
    """Change a mounted disk.

    Args:
        leader: Snakemake, whose jobs are killed until it is done: a disk that is being written to, if only by
            a log, cannot become read-only.
    """
    for _ in range(200):
        for pid, _stage in jobs_of(leader) if leader is not None else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        done = subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"remount {options}: {done.stderr.decode()}")


def may_mount(root: Path) -> bool:
    """Return whether this user can mount a disk."""
    try:
        with disk(root / "probe", "1m"):
            return True
    except (OSError, subprocess.SubprocessError):
        return False


def _finished(workflow: Workflow, expected: dict[str, str]) -> bool:
    """Give the command again on a good disk; return whether all came out as it should."""
    workflow.unlock()
    done = workflow.start().wait() == 0
    return done and digests(workflow.root / workflow.results) == expected


def _said(workflow: Workflow) -> str:
    return (workflow.root / "said.log").read_text(encoding="utf-8", errors="replace")


def taken(folder: Path) -> int:
    """Return the KiB that a folder takes in pages of 4 KiB."""
    return sum(4 * -(-p.stat().st_size // 4096) for p in folder.rglob("*") if p.is_file())


def full_disk(workflow: Workflow, expected: dict[str, str], whole: int) -> Row:
    """A disk that fills up, and gets larger; `whole`: KiB that the results take."""
    survived, folder = 0, workflow.root / workflow.results
    for part in SMALL:
        workflow.clean()
        (workflow.root / "said.log").unlink(missing_ok=True)
        with disk(folder, f"{int(part * whole)}k"):
            failed = workflow.start("--retries", "0").wait() != 0
            clear = "No space left" in _said(workflow) and "error: " in _said(workflow)
            remount(folder, "size=1g")
            survived += failed and clear and _finished(workflow, expected)
    return "disk full, then larger", len(SMALL), survived


def read_only(workflow: Workflow, expected: dict[str, str], chance: random.Random) -> Row:
    """A disk that becomes read-only while jobs run, and writable again."""
    survived, tried, folder = 0, 2, workflow.root / workflow.results
    for _ in range(tried):
        workflow.clean()
        with disk(folder, "1g"):
            process = workflow.start("--retries", "0")
            time.sleep(chance.uniform(10, 30))
            remount(folder, "ro", process.pid)
            failed = process.wait() != 0
            remount(folder, "rw")
            survived += failed and _finished(workflow, expected)
    return "results read-only for a while", tried, survived


def clock(workflow: Workflow, expected: dict[str, str], chance: random.Random) -> Row:
    """Times of files a day early or late, as after a jump of the clock, in a run that was cut off."""
    survived, tried = 0, 2
    for _ in range(tried):
        workflow.clean()
        process = workflow.start()
        time.sleep(chance.uniform(10, 40))
        os.killpg(process.pid, 9)
        process.wait()
        time.sleep(1)
        files = [p for p in (workflow.root / workflow.results).rglob("*") if p.is_file()]
        for path in chance.sample(files, len(files) // 3):
            moved = time.time() + chance.choice((-86400, 86400))
            os.utime(path, (moved, moved))
        survived += _finished(workflow, expected)
    return "clock a day early or late", tried, survived


def by_tests(name: str, *selection: str) -> Row:
    """Faults that are tried inside one process: run those tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *selection]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    words = done.stdout.strip().splitlines()[-1].split()
    counts = {words[i + 1].strip(","): int(words[i]) for i in range(len(words) - 1) if words[i].isdigit()}
    passed = counts.get("passed", 0)
    return name, passed + counts.get("failed", 0) + counts.get("errors", 0), passed


def all_of(workflow: Workflow, expected: dict[str, str]) -> Iterator[Row]:
    """Try every fault."""
    chance, whole = random.Random(1), taken(workflow.root / workflow.results)
    yield by_tests("states truncated, with a flipped bit, of another run",
                   "tests/contract/test_resume.py", "-k", "damaged or another")  # fmt: skip
    yield by_tests("cache damaged, download cut off", "tests/unit/test_fetch.py")
    yield clock(workflow, expected, chance)
    if may_mount(workflow.root):
        yield full_disk(workflow, expected, whole)
        yield read_only(workflow, expected, chance)
    else:
        print("no right to mount disks here: full and read-only disks were not tried", flush=True)
