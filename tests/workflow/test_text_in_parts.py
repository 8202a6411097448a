"""Text in parts, cut off: all is killed in mid-part, once in each step; what was done is not done again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Checkout

from chameleon.core.artifacts import sha256_file

PARTS = 3
OVERLAY = """
results_dir: {results}
run: [pretrain]
sensitivity: null
scenarios: {{pretrain: {{corpora: [mine], unseen: [], methods: [uniform], fewshot: false}}}}
corpora: {{mine: {{kind: local, path: mine}}}}
data: {{parts: {parts}, dedup: {{near: true}}}}
"""
SECONDS = 900


def write_text(folder: Path) -> None:
    """Two domains of documents with a word or two from another one's, and some that are another's again."""
    pick = random.Random(0)
    for domain in ("one", "two"):
        (folder / domain).mkdir(parents=True)
        told: list[str] = []
        for file in range(2 * PARTS):
            rows = []
            for _ in range(60):
                text = " ".join(f"{domain[pick.randrange(3)]}{pick.randrange(2000)}" for _ in range(120))
                told.append(f"{pick.choice(told)} again" if told and pick.random() < 0.1 else text)
                rows.append(json.dumps({"text": told[-1]}))
            (folder / domain / f"{file}.jsonl").write_text("\n".join(rows), encoding="utf-8")


def state(paths: list[Path]) -> dict[Path, list[tuple[int, int]]]:
    """Return inode and time of change of each of these paths and of all that lies in it."""
    found = {}
    for path in paths:
        inside = [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
        found[path] = [(p.stat().st_ino, p.stat().st_mtime_ns) for p in inside]
    return found


class Run:
    """Snakemake at work in a checkout, one job at a time, until something is the case."""

    def __init__(self, checkout: Checkout, overlay: tuple[str, ...], target: str) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._said = open(checkout.root / "said.txt", "a+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            # Killed, it would leave its lock behind.
            ["snakemake", "--cores", "1", "--nolock", target, "--configfile", *overlay[1:]],
            cwd=checkout.root,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout.root)},
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it must before Snakemake ends."""
        started = time.monotonic()
        while not holds():
            assert self.process.poll() is None and time.monotonic() - started < SECONDS, self.said()
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill Snakemake and its jobs with SIGKILL."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self) -> str:
        """Return what Snakemake and its jobs have written."""
        self._said.seek(0)
        return self._said.read()[-5000:]


@pytest.mark.slow
def test_killed_in_mid_part_and_run_again_no_part_is_repeated(checkout: Checkout) -> None:
    write_text(checkout.root / "mine")
    whole = checkout.overlay(OVERLAY.format(results="results/whole", parts=1))
    done = checkout.snakemake("results/whole/tokens/mine/manifest.json", "--configfile", *whole[1:])
    assert done.returncode == 0, done.stdout + done.stderr

    overlay = checkout.overlay(OVERLAY.format(results="results/cut", parts=PARTS))
    results, target = checkout.root / "results/cut", "results/cut/tokens/mine/manifest.json"
    folders = {step: results / "corpora/mine/parts" for step in ("read", "gather")}
    folders["encode"] = results / "tokens/mine/parts"
    kept: dict[Path, list[tuple[int, int]]] = {}
    for step, folder in folders.items():
        parts = [folder / f"{step}{i}" for i in range(PARTS)]
        run = Run(checkout, overlay, target)
        # One part is done, and another has begun.
        run.until(
            lambda parts=parts: (
                any(p.exists() for p in parts) and any(p.with_name(f".{p.name}.tmp").exists() for p in parts)
            )
        )
        run.kill()
        assert state([p for p in kept if p.exists()]).items() <= kept.items()
        finished = [p for p in parts if p.exists()]
        assert 0 < len(finished) < PARTS
        kept |= state([*finished, *results.glob("corpora/mine/*.parquet")])
    run = Run(checkout, overlay, target)
    run.until(lambda: all(p.exists() for p in parts))
    assert state([p for p in kept if p.exists()]).items() <= kept.items()
    assert run.process.wait(SECONDS) == 0, run.said()

    for pattern in (
        "corpora/mine/*.parquet",
        "corpora/mine/report.json",
        "tokenizer/tokenizer.json",
        "tokens/mine/*/*",
    ):
        found = sorted(p.relative_to(results) for p in results.glob(pattern) if p.parent.name != "parts")
        assert found, pattern
        for path in found:
            assert sha256_file(results / path) == sha256_file(checkout.root / "results/whole" / path), path
    for path, before in kept.items():
        assert path.parent.name == "parts" or state([path]) == {path: before}, (
            "prepared text is not made again"
        )
