"""How two cores train fastest, and what the allocator's setting is worth: tokens/s of each way, in turns.

Every way runs in processes of its own (threads and the allocator are settings of a process); the median
of the rounds counts. Run: `make bench`, or `python benchmarks/jobs_and_threads.py [--rounds N]`.
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch
from training_step import BATCH, SHAPES, step

from chameleon.core.provenance import cpu_name
from chameleon.training.device import keep_pages

#: Way -> (processes at once, threads of each, whether pages are kept).
WAYS = {
    "2 jobs, 1 thread each (used)": (2, 1, True),
    "1 job, 2 threads": (1, 2, True),
    "1 job, 1 thread": (1, 1, True),
    "1 job, 1 thread, glibc's defaults": (1, 1, False),
}
STEPS = 12
SCALES = ("cpu_proxy", "cpu")


def measure(scale: str, threads: int, keep: bool) -> float:
    """Return tokens/s of one process: the median over steps after a warm-up."""
    if keep:
        keep_pages()
    torch.set_num_threads(threads)
    run, times = step(SHAPES[scale], "ours"), []
    for _ in range(STEPS + 2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return BATCH * SHAPES[scale].context / statistics.median(times[2:])


def way(scale: str, jobs: int, threads: int, keep: bool) -> float:
    """Return tokens/s of `jobs` processes together."""
    command = [sys.executable, __file__, "--one", scale, str(threads), str(int(keep))]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(jobs)]
    return sum(float(process.communicate()[0]) for process in running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="rounds per way")
    parser.add_argument("--one", nargs=3, metavar=("SCALE", "THREADS", "KEEP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(measure(args.one[0], int(args.one[1]), args.one[2] == "1"))
        return
    print(f"{cpu_name()}; torch {torch.__version__}; float32")
    for scale in SCALES:
        rates: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(args.rounds):
            for name, settings in WAYS.items():
                rates[name].append(way(scale, *settings))
        used = statistics.median(rates[next(iter(WAYS))])
        print(f"\n{scale:36} {'tokens/s':>9} {'used / this':>12}")
        for name, values in rates.items():
            print(f"{name:36} {statistics.median(values):9.0f} {used / statistics.median(values):12.2f}")


if __name__ == "__main__":
    main()
