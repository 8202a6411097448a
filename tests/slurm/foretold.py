"""The second half of `make test-slurm`: a run on the SLURM of this machine takes as long as the plan said.

A smoke-sized run (foretold.yaml) goes through profiles/slurm on a node of two cores, undisturbed. Before it,
what `chameleon plan` asks of a cluster is measured as a user would: training steps (`--measure`), the queue's
wait by empty jobs (`--wait`), a job's start on its node by the first jobs of another run (`--start`). Prints
the plan's and the real seconds, by stage and in all; exit code 1: more than a quarter apart.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean as mean

from checkout import make_checkout
from cluster import Cluster, NoSlurm, cluster
from through_slurm import PROFILE, Failed, Run, install

from chameleon.experiment.load import load_files
from chameleon.pricing import report
from chameleon.pricing.queue import simulate
from chameleon.pricing.schedule import LIMIT, LOOK, Queue, makespan

HERE = Path(__file__).resolve().parent
#: How far apart the plan and the run may be.
APART = 0.25
#: Of a rule, where the plan has another name for its jobs.
STAGES = {"train": "base"}
#: Cores of the node that takes jobs without a GPU.
CORES = 2


def over(up: Cluster) -> dict[str, dict[str, datetime]]:
    """Return by id when every job that is over was submitted, started and ended."""
    keys = {"submitted": "SubmitTime", "start": "StartTime", "end": "EndTime"}
    found = {}
    for line in (up.folder / "jobs.txt").read_text(encoding="utf-8").splitlines():
        told = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        found[told["JobId"]] = {key: datetime.fromisoformat(told[name]) for key, name in keys.items()}
    return found


def waited(up: Cluster) -> float:
    """Return the mean seconds from an empty job's submission to its start, of five that find a node free."""
    for _ in range(5):
        up.call("sbatch", "--wait", "--partition=cpu", "--mem=100", "--output=/dev/null", "--wrap=true")
    return mean((job["start"] - job["submitted"]).total_seconds() for job in over(up).values())


def on_nodes(run: Run, up: Cluster) -> dict[str, list[float]]:
    """Return by stage the seconds that a run's jobs were on their node."""
    found = defaultdict(list)
    times = over(up)
    for rule, job in re.findall(r"slurm_logs/rule_(\w+)/(?:.*/)?(\d+)\.log", run.said):
        found[STAGES.get(rule, rule)].append((times[job]["end"] - times[job]["start"]).total_seconds())
    return found


def started(run: Run, up: Cluster, seconds: Sequence[float]) -> float:
    """Return the seconds on a node before a job's command, by a run that prepares text alone.

    Args:
        run: a checkout of its own.
        up: the cluster.
        seconds: of each of these jobs, by the plan.
    """
    run.start(*PROFILE, "--until", "prepare")
    run.end()
    return mean(on_nodes(run, up)["prepare"]) - mean(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="everything is ended after so many")
    until = time.monotonic() + 60 * parser.parse_args().minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended from outside"))
    configs = ("configs/smoke.yaml", "overlay.yaml")
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        runs = [Run(Path(name, kind), dict(os.environ), until) for kind in ("first", "whole", "last")]
        try:
            install()
            for run in runs:
                run.root.mkdir()
                make_checkout(run.root)
                (run.root / "overlay.yaml").write_bytes((HERE / "foretold.yaml").read_bytes())
            cfg = load_files([run.root / file for file in ("config.yaml", *configs)])
            jobs, seconds, speed = report.make(cfg, CORES, measured=True, here=False)
            stages = defaultdict(list)
            for job, spent in zip(jobs, seconds, strict=True):
                stages[job.stage].append(spent)
            with cluster(Path(name, "cluster")) as up:
                wait = waited(up)
                first, whole, last = runs
                for run in runs:
                    run.env.update(up.env)
                start = started(first, up, stages["prepare"])
                said = f"plan --measure --wait {wait / 60:.3f} --start {start:.1f}"
                print(f"{said}: {speed.origin}", flush=True)
                queue = Queue(wait, start=start, look=LOOK, limit=LIMIT)
                foretold, *_ = simulate(jobs, seconds, CORES, 0, queue)
                began = time.monotonic()
                whole.start(*PROFILE)
                whole.end()
                took = time.monotonic() - began
                found = on_nodes(whole, up)
                after = started(last, up, stages["prepare"])
        except (Failed, NoSlurm) as error:
            for run in runs:
                if (run.root / "said.log").exists():
                    print(f"--- the end of {run.root / 'said.log'}:\n{run.said[-4000:]}", file=sys.stderr)
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            for run in runs:
                if hasattr(run, "process") and run.process.poll() is None:
                    run.kill()
    print(f"{'jobs on nodes':16} {'jobs':>4} {'plan, s':>8} {'real, s':>8}")
    for stage, spent in found.items():
        told = sum(stages[stage]) + start * len(stages[stage])
        print(f"{stage:16} {len(spent):4} {told:8.0f} {sum(spent):8.0f}")
    real = [mean(found[j.stage]) if j.stage in found else s for j, s in zip(jobs, seconds, strict=True)]
    again = start + makespan(jobs, real, CORES, 0, queue)
    print(f"given what the jobs of every stage really took the plan would have said {again:.0f} s")
    print(
        f"a job's start took {start:.1f} s before and {after:.1f} s after: apart where others use the machine"
    )
    off = foretold / took - 1
    print(f"start to end: plan {foretold:.0f} s, real {took:.0f} s; {off:+.0%}, {APART:.0%} allowed")
    return int(abs(off) > APART)


if __name__ == "__main__":
    sys.exit(main())
