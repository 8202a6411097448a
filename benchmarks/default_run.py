"""Where the time of a finished run goes: seconds per stage, from the run records beside its artefacts.

Reads `results/` (or the folder given); nothing is run. "Wall" is from the first record's start to the last
record's end, which a run that was cut off or added to makes meaningless; job seconds are sums.
Run: `make bench`, or `python benchmarks/default_run.py [--results DIR]`.
"""

import argparse
import json
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a finished run")
    folder = parser.parse_args().results
    # Another run may lie in this folder (the smoke config's does): it has its tidy files at its root.
    others = {p.parent for p in folder.rglob("metrics.csv")} - {folder}
    own = [p for p in sorted(folder.rglob("*run.json")) if not others & set(p.parents)]
    records = [json.loads(p.read_text()) for p in own]
    records = [r for r in records if {"stage", "cost", "started", "finished", "device"} <= set(r)]
    if not records:
        print(f"{folder} holds no run records: nothing has been run here", file=sys.stderr)
        return
    jobs: dict[str, list[float]] = defaultdict(list)
    for record in records:
        jobs[record["stage"]].append(record["cost"]["seconds"])
    started = min(datetime.fromisoformat(r["started"]) for r in records)
    finished = max(datetime.fromisoformat(r["finished"]) for r in records)
    total = sum(map(sum, jobs.values()))
    device, versions = records[0]["device"], records[0]["versions"]
    print(f"{device}; torch {versions.get('torch')}; {len(records)} records")
    print(f"{'stage':20} {'jobs':>5} {'seconds':>9} {'s / job':>8} {'share':>6}")
    for stage, values in sorted(jobs.items(), key=lambda item: -sum(item[1])):
        spent = sum(values)
        print(
            f"{stage:20} {len(values):5} {spent:9.0f} {spent / len(values):8.1f} {100 * spent / total:5.0f}%"
        )
    wall = (finished - started).total_seconds()
    print(f"{'all':20} {len(records):5} {total:9.0f}")
    print(f"wall: {wall / 60:.1f} minutes; {total / wall:.2f} jobs at work on average")


if __name__ == "__main__":
    main()
