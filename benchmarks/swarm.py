"""A swarm of small proxies: workers against one process per proxy, and against a loop on all cores.

Every form runs the workflow's own job (`python -m chameleon swarm`: train, validate, write) at the default
config's `cpu_swarm` scale, on random tokens. The suite: as many workers as cores, one thread each, start-up
paid once per worker; beside it, workers that train their proxies as one batched model. One process per proxy:
as many at once as cores. The loop: one process with all threads. Each form's results are compared with the
loop's. Run: `make bench`, or `python benchmarks/swarm.py [--proxies N] [--rounds N]`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import _corpus
import numpy as np
import yaml
from _turns import header

CORES = os.cpu_count() or 1
DOMAINS = [f"domain{i}" for i in range(7)]
VOCAB, VALIDATION = 2048, 8192
#: Form -> proxies of one process (0: its share), processes at once, threads, proxies in a stack.
FORMS = {
    "workers (used)": (0, CORES, 1, 1),
    "workers, stacks of 8": (0, CORES, 1, 8),
    "one process per proxy": (1, CORES, 1, 1),
    f"loop on {CORES} threads": (0, 1, CORES, 1),
}


def specs(runs: dict[str, dict[str, float]], size: int) -> list[dict[str, Any]]:
    """Return the jobs' specs: shares of the runs."""
    scale = yaml.safe_load(Path("config.yaml").read_text())["scales"]["cpu_swarm"]
    common = {
        "scenario": "benchmark", "method": "regmix", "seed": 0, "seeds": {"init": 1, "data": 2},
        "domains": dict.fromkeys(DOMAINS, "random"), "max_epochs": None, "validation_tokens": VALIDATION,
        **scale,
    }  # fmt: skip
    names = list(runs)
    shares = [names[i : i + size] for i in range(0, len(names), size)]
    return [
        {**common, "group": f"part{i}", "runs": {n: runs[n] for n in share}} for i, share in enumerate(shares)
    ]


def seconds(
    form: tuple[int, int, int, int], runs: dict[str, dict[str, float]], manifest: Path
) -> tuple[float, dict[str, Any]]:
    """Return what a form takes, and every run's losses."""
    size, jobs, threads, stack = form
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            [sys.executable, "-m", "chameleon", "swarm", "--spec", json.dumps(spec),
             "--tokens", str(manifest), "--out", str(Path(folder, spec["group"], "out.json")),
             "--stack", str(stack), "--threads", str(threads)]
            for spec in specs(runs, size or -(-len(runs) // jobs))
        ]  # fmt: skip
        start = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:
            done = [pool.submit(subprocess.run, c, check=True, capture_output=True) for c in commands]
            for future in done:
                future.result()
        spent = time.perf_counter() - start
        found: dict[str, Any] = {}
        for path in Path(folder).glob("*/out.json"):
            found |= {name: run["loss"] for name, run in json.loads(path.read_text())["runs"].items()}
    return spent, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proxies", type=int, default=12, help="of the swarm (the default config has 64)")
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds per form")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    runs = {
        f"run{i:03d}": dict(zip(DOMAINS, row, strict=True))
        for i, row in enumerate(rng.dirichlet(np.ones(len(DOMAINS)), args.proxies).tolist())
    }
    times: dict[str, list[float]] = {name: [] for name in FORMS}
    losses: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        manifest = _corpus.write(Path(folder, "random"), DOMAINS, VOCAB, 200_000)
        for _ in range(args.rounds):
            for name, form in FORMS.items():
                spent, losses[name] = seconds(form, runs, manifest)
                times[name].append(spent)
    median = {name: statistics.median(values) for name, values in times.items()}
    used, last = median[next(iter(FORMS))], losses[list(FORMS)[-1]]
    print(header(f"{args.proxies} proxies, float32"))
    print(
        f"{'form':28} {'seconds':>8} {'s / proxy':>10} {'this / used':>12} {'largest difference in loss':>28}"
    )
    for name, value in median.items():
        apart = max(abs(losses[name][r][d] - last[r][d]) for r in runs for d in DOMAINS)
        print(f"{name:28} {value:8.1f} {value / len(runs):10.2f} {value / used:12.2f} {apart:28.1e}")


if __name__ == "__main__":
    main()
