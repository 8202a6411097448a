"""Leverage scores from 10 to 100,000 domains: seconds and memory, with and without the k x k affinity.

Each size runs in a process of its own, so that its peak memory is its own (what Python and numpy take by
themselves is subtracted). Both ways are compared where both run. Run: `make bench`, or
`python benchmarks/krls.py [--features D]`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from _turns import arguments, header

from chameleon import krls

SIZES = (10, 100, 1000, 3000, 10_000, 100_000)
#: Most domains for which the k x k affinity is tried.
SQUARE = 3000


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(task: dict[str, int | str]) -> None:
    """Print seconds, peak memory beyond the start and some scores of one size."""
    k, d = int(task["domains"]), int(task["features"])
    krls.scores_of(np.eye(3))
    before = peak()
    x = np.random.default_rng(0).normal(size=(k, d)).astype(np.float32) * 10
    start = time.perf_counter()
    by_features = task["way"] == "features"
    scores = krls.scores_of(x) if by_features else krls.leverage_scores(krls.affinity(x))
    spent = time.perf_counter() - start
    weights = krls.pretrain_weights(scores, 5.0)
    assert abs(weights.sum() - 1) < 1e-9
    print(json.dumps({"seconds": spent, "mb": peak() - before, "scores": scores[:100].tolist()}))


def measured(way: str, k: int, d: int) -> dict[str, object]:
    task = json.dumps({"way": way, "domains": k, "features": d})
    answer = subprocess.run([sys.executable, __file__, "--worker", task], check=True, capture_output=True)
    found: dict[str, object] = json.loads(answer.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=256, help="of an embedding")
    args = arguments(parser, worker)
    print(header(f"{args.features} features, float64", "numpy"))
    print(f"{'domains':>8} {'seconds':>9} {'MB':>7} | {'k x k: seconds':>15} {'MB':>7} {'difference':>11}")
    for k in SIZES:
        found = measured("features", k, args.features)
        line = f"{k:8} {found['seconds']:9.3f} {found['mb']:7.0f} |"
        if k <= SQUARE:
            other = measured("square", k, args.features)
            a, b = (np.array(f["scores"]) for f in (found, other))
            apart = np.abs(a - b).max() / b.max()
            line += f" {other['seconds']:15.3f} {other['mb']:7.0f} {apart:11.1e}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
