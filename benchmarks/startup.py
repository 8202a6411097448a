"""What a job of every rule costs before it works: the process, and all that it imports on its way.

Takes one job of each rule of the smoke experiment (`make smoke` first; the jobs run again in a temporary copy
of its results), notes which modules it imports, and times a process that imports them and does nothing else,
as jobs do it (`chameleon.cli.jobs.find`) and as Python would. `whole job` is that job's wall time at
toy size.
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

from chameleon.core.provenance import cpu_name

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "configs/smoke.yaml"
AUTOLOAD = "TORCH_DEVICE_BACKEND_AUTOLOAD"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


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


def seconds(command: list[str] | str, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        capture_output=True,
        check=True,
        env={**os.environ, "PATH": PATH},
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
        print(f"{'rule':<20} {'start-up, s':>12} {'plain, s':>14} {'whole job, s':>13}")
        for rule, command in commands(folder).items():
            modules = imported(command, folder)
            loading = "".join(f"import {module}\n" for module in modules)
            used = f"import gc, os\ngc.disable()\nos.environ['{AUTOLOAD}'] = '0'\n{loading}"
            forms = {"used": used, "plain": loading}
            taken: dict[str, list[float]] = {form: [] for form in forms}
            for _ in range(args.rounds):  # in turns
                for form, program in forms.items():
                    taken[form].append(seconds([sys.executable, "-c", program], folder))
            found = [statistics.median(taken[form]) for form in forms] + [seconds(command, folder)]
            print(f"{rule:<20} {found[0]:>12.2f} {found[1]:>14.2f} {found[2]:>13.2f}", flush=True)


if __name__ == "__main__":
    main()
