"""`make test-slurm`: the workflow on a SLURM of this machine, while a job, a node and Snakemake are killed.

A smoke-sized run, all kinds of jobs (overlay.yaml), goes through profiles/slurm on three nodes (`cluster`). A
job is cancelled in mid-training, a node dies under another, Snakemake is killed with jobs in the queue, and
the same command is given again. What comes out must have the digests of a run on this machine alone that
nobody disturbed. Prints what was done, what came of it and after how many seconds; exit code 1: it did not.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from checkout import make_checkout
from cluster import Cluster, NoSlurm, check, cluster
from killing import digests

from chameleon.experiment.hooks import slurm

HERE = Path(__file__).resolve().parent
RESULTS = "results/slurm"
CONFIGS = ("configs/smoke.yaml", "overlay.yaml")
PROFILE = (
    "--workflow-profile",
    "profiles/slurm",
    "--latency-wait",
    "10",
    "--seconds-between-status-checks",
    "3",
)
Found = TypeVar("Found")


class Failed(Exception):
    """Something did not come to pass, in one line."""


@dataclass
class Run:
    """A run of the workflow in a checkout: Snakemake's process and what it said."""

    root: Path
    env: dict[str, str]
    until: float
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self, *options: str) -> None:
        """Start Snakemake in a session of its own; it is ended at the limit of the whole test."""
        path = os.pathsep.join([str(Path(sys.executable).parent), self.env["PATH"]])
        limit = ("timeout", "--kill-after=10", str(int(self.until - time.monotonic())))
        with open(self.root / "said.log", "ab") as said:
            self.process = subprocess.Popen(
                (*limit, "snakemake", *options, "--configfile", *CONFIGS),
                cwd=self.root,
                env={**self.env, "PATH": path, "PYTHONPATH": str(self.root)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill Snakemake at once; its jobs on the cluster live on, and its lock stays."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        """What Snakemake has printed."""
        return (self.root / "said.log").read_text(encoding="utf-8", errors="replace")

    @property
    def results(self) -> Path:
        """Where the results are."""
        return self.root / RESULTS

    def wait(self, what: str, look: Callable[[], Found | None]) -> Found:
        """Return what `look` finds, once it does.

        Raises:
            Failed: Snakemake ended or the limit passed before.
        """
        while not (found := look()):
            if self.process.poll() is not None:
                raise Failed(f"Snakemake ended before {what}")
            if time.monotonic() > self.until:
                raise Failed(f"out of time, waiting for {what}")
            time.sleep(0.2)
        return found

    def end(self) -> None:
        """Wait for Snakemake's end.

        Raises:
            Failed: with another exit code than 0.
        """
        if code := self.process.wait():
            raise Failed(f"Snakemake ended with {'the limit' if code in (124, 137) else f'exit code {code}'}")


def jobs(up: Cluster) -> list[list[str]]:
    """Return id, state, node and comment of every job in the queue."""
    lines = up.call("squeue", "--noheader", "--format", "%i|%T|%N|%k").splitlines()
    return [line.strip().split("|") for line in lines]


def training(run: Run, up: Cluster, spared: set[str]) -> tuple[str, str, str] | None:
    """Return id, node and comment of a job that runs and has saved a state, unless its comment is spared."""
    for folder in run.results.rglob("states"):
        parts = [part.removeprefix("seed") for part in folder.parent.relative_to(run.results).parts]
        rule = "extra" if "extra" in parts else {"proxies": "proxy", "runs": "train"}.get(parts[0], "")
        comment = f"rule_{rule}_wildcards_{'_'.join(p for p in parts[1:] if p != 'extra')}"
        # Finetuning is over too soon.
        if any(folder.iterdir()) and comment not in spared and "finetune" not in comment:
            for job, state, node, said in jobs(up):
                if state == "RUNNING" and said == comment:
                    return job, node, comment
    return None


def disturbed(run: Run, up: Cluster) -> Iterator[tuple[str, str]]:
    """Run the workflow on the cluster to its end; yield what was done and what came of it."""
    spared: set[str] = set()
    run.start(*PROFILE)
    job, _, comment = run.wait("a job that trains", lambda: training(run, up, spared))
    up.call("scancel", job)
    spared.add(comment)
    yield f"cancelled job {job} in mid-training ({comment})", went_on(run, comment)

    job, node, comment = run.wait("another job that trains", lambda: training(run, up, spared))
    up.fail(node)
    run.wait("its way back into the queue", lambda: [j for j in jobs(up) if j[0] == job and j[2] != node])
    up.node(node)
    spared.add(comment)
    yield f"killed node {node} under job {job} ({comment})", went_on(run, comment)

    run.wait("a job that runs and one that waits", lambda: {"RUNNING", "PENDING"} <= {j[1] for j in jobs(up)})
    # Otherwise the queue might be empty before Snakemake is back.
    for partition in ("cpu", "gpu"):
        up.call("scontrol", "update", f"PartitionName={partition}", "State=DOWN")
    left = len(jobs(up))
    run.kill()
    for name in (run.root / ".snakemake" / "locks").iterdir():
        name.unlink()
    run.start(*PROFILE)
    told = run.wait("the end of what was left", lambda: re.search("slurm: cancelling (\\d+) job", run.said))
    for partition in ("cpu", "gpu"):
        up.call("scontrol", "update", f"PartitionName={partition}", "State=UP")
    yield f"killed Snakemake with {left} jobs in the queue", f"started again: {told[1]} of them cancelled"
    run.end()
    sent = len(re.findall("has been submitted with SLURM jobid", run.said))
    yield "let it go on", f"done, after {sent} jobs sent to SLURM"


def went_on(run: Run, comment: str) -> str:
    """Return at which step a job went on that was cut off, once it did."""
    rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")

    def line() -> str | None:
        for log in (run.results / "logs" / rule).rglob("*.log"):
            name = "_".join(log.relative_to(run.results / "logs" / rule).with_suffix("").parts)
            if name.replace("_seed", "_") == wildcards:
                found = re.search("goes on at step \\d+", log.read_text(encoding="utf-8", errors="replace"))
                return found and found[0]
        return None

    return run.wait(f"{comment} to go on", line)


def never(up: Cluster) -> str:
    """Return what is told of a job that asks for more time than its partition allows."""
    command = ("sbatch", "--parsable", "--job-name=never", "--comment=rule_never", "--output=/dev/null")
    job = up.call(*command, "--partition=short", "--time=60", "--wrap=true").strip()
    os.environ["SLURM_CONF"] = up.env["SLURM_CONF"]
    told = list(slurm.stuck("never", {}, time.time() + 15 * 60))
    up.call("scancel", job)
    if len(told) != 1:
        raise Failed(f"of a job that can never start was told: {told}")
    return told[0]


def install() -> None:
    """Install Debian's packages where they are missing and this is root.

    Raises:
        NoSlurm: they are still missing.
    """
    try:
        check()
    except NoSlurm:
        if os.geteuid() == 0:
            for command in (("update",), ("install", "-y", "--no-install-recommends", "slurm-wlm", "munge")):
                subprocess.run(
                    ("timeout", "600", "apt-get", *command), stdout=subprocess.DEVNULL, check=False
                )
        check()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="everything is ended after so many")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended from outside"))
    began = time.monotonic()
    until = began + 60 * args.minutes

    def row(done: str, came: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {done}: {came}", flush=True)

    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        here, there = (Run(Path(name, kind), dict(os.environ), until) for kind in ("local", "slurm"))
        try:
            install()
            for run in (here, there):
                run.root.mkdir()
                make_checkout(run.root)
                (run.root / "overlay.yaml").write_bytes((HERE / "overlay.yaml").read_bytes())
            here.start("--cores", "2")
            here.end()
            expected = digests(here.results)
            row("ran it on this machine", f"{len(expected)} files")
            with cluster(Path(name, "cluster")) as up:
                row("brought up SLURM with 3 nodes", "idle")
                row("sent a job that can never start", never(up))
                there.env.update(up.env)
                for done, came in disturbed(there, up):
                    row(done, came)
            found = digests(there.results)
        except (Failed, NoSlurm) as error:
            for run in (here, there):
                if (run.root / "said.log").exists():
                    print(f"--- the end of {run.root / 'said.log'}:\n{run.said[-4000:]}", file=sys.stderr)
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            for run in (here, there):
                if hasattr(run, "process") and run.process.poll() is None:
                    run.kill()
        wrong = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
        row(
            "compared all files with the undisturbed run",
            f"{len(wrong)} of {len(expected)} differ {wrong[:5]}",
        )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
