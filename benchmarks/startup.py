"""What a job of every rule costs before it works: the process, and all that it imports on its way.

Takes one job of each rule of the smoke experiment (`make smoke` first; the jobs run again in a temporary copy
of its results), notes which modules it imports, and times a process that imports them and does nothing else,
as jobs do it (`chameleon.cli.jobs.find`) and as Python would. `whole job` is that job's wall time at toy
size, in a process of its own and, where jobs are forks of one that has loaded torch
(`chameleon.core.forks`), so.
Run: `make bench`, or `python benchmarks/startup.py [--rounds N]`.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from chameleon.cli.jobs import FORKED
from chameleon.core import forks
from chameleon.core.provenance import cpu_name

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "configs/smoke.yaml"
AUTOLOAD = "TORCH_DEVICE_BACKEND_AUTOLOAD"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


def commands(folder: Path) -> dict[str, str]:
    """Return rule -> shell command of one of its jobs."""
    asked = ["snakemake", "-n", "-F", "-p", "--cores", "1", "--configfile", CONFIG]
    done = subprocess.run(
        asked, cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, "PATH": PATH}
    )
    found: dict[str, str] = {}
    rule = ""
    for line in done.stdout.splitlines():
        if said := re.match(r"(?:local)?rule (\w+):", line):
            rule = said[1]
        elif shell := re.match(r"(?:Shell command: )?(python -m chameleon .*)", line.strip()):
            found.setdefault(rule, shell[1].partition(" 2>&1 | tee ")[0])
    return found


def imported(command: str, folder: Path) -> list[str]:
    """Run a job; return the modules that it imported, leaving out those that others brought along."""
    env = {**os.environ, "PATH": PATH, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr[-2000:]}")
    lines = re.findall(r"^import time:\s*\d+ \|\s*\d+ \|( +)([\w.]+)$", done.stderr, re.M)
    return [name for indent, name in lines if len(indent) == 1 and name not in ("site", "__main__")]


def seconds(command: list[str] | str, folder: Path, keeper: str = "") -> float:
    start = time.perf_counter()
    subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        capture_output=True,
        check=True,
        env={**os.environ, **THREADS, "PATH": PATH, forks.NAME: keeper},
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to measure")
    args = parser.parse_args()
    if not (args.root / "results/smoke/run.json").exists():
        print("startup: no results/smoke here; run `make smoke` first", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for entry in args.root.iterdir():
            if entry.name not in ("results", ".snakemake", ".git"):
                (folder / entry.name).symlink_to(entry)
        shutil.copytree(args.root / "results/smoke", folder / "results/smoke")
        print(f"{cpu_name()}; medians of {args.rounds} rounds in turns; torch {version('torch')}")
        print(f"{'rule':<18}{'start-up, s':>14}{'plain, s':>14}{'whole job, s':>14}{'as a fork, s':>14}")
        keeper, started = f"{os.getpid()}.benchmark", False
        for rule, command in commands(folder).items():
            modules = imported(command, folder)
            loading = "".join(f"import {module}\n" for module in modules)
            used = f"import gc, os\ngc.disable()\nos.environ['{AUTOLOAD}'] = '0'\n{loading}"
            forms = {"used": used, "plain": loading}
            runs = {form: ([sys.executable, "-c", program], "") for form, program in forms.items()}
            runs["whole job"] = command, ""
            if command.split()[4] in FORKED:
                runs["fork"] = command, keeper
                for _ in range(0 if started else 2):  # the first starts the keeper, the next waits for it
                    seconds(command, folder, keeper)
                started = True
            taken: dict[str, list[float]] = {form: [] for form in runs}
            for _ in range(args.rounds):  # in turns
                for form, (what, keeps) in runs.items():
                    taken[form].append(seconds(what, folder, keeps))
            found = [f"{statistics.median(times):>14.2f}" for times in taken.values()]
            print(f"{rule:<18}{''.join(found)}", flush=True)


if __name__ == "__main__":
    main()
