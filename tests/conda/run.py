"""`make test-conda`: the smoke workflow in the environment of envs/suite.yaml, made from the local channel.

py-rattler solves and installs what the file takes from conda, the environment's own pip the rest; every job
of configs/smoke.yaml runs in it; then nothing is left to be done, without --use-conda and with it. Prints
the seconds of each step. Exit code 1: a step failed, or turning conda off or on plans a job.
"""

import sys
import tempfile
import time
from pathlib import Path

import rattler_tools
from checkout import Checkout, make_checkout


def step(name: str, checkout: Checkout, *args: str, **env: str) -> str:
    """Run Snakemake, print the seconds, return what it printed.

    Raises:
        SystemExit: it failed.
    """
    start = time.perf_counter()
    done = checkout.snakemake(*args, **env)
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    if done.returncode:
        sys.exit(done.stdout[-5000:] + done.stderr[-5000:])
    return done.stdout + done.stderr


def main() -> int:
    """Run the steps in a checkout of its own; return the exit code."""
    start = time.perf_counter()
    try:
        env = rattler_tools.conda()
    except rattler_tools.Missing as error:
        sys.exit(str(error))
    print(f"tools and channel: {time.perf_counter() - start:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(dir=Path(env["CONDA_PKGS_DIRS"]).parent) as folder:
        checkout = make_checkout(Path(folder))
        # --verbose: Snakemake keeps what conda prints to itself otherwise.
        made = step("environment", checkout, "--use-conda", "--conda-create-envs-only", "--verbose", **env)
        print("".join(f"  {line}\n" for line in made.splitlines() if line.startswith("conda: ")), end="")
        step("smoke with conda", checkout, "--use-conda", **env)
        left = {"without conda": checkout.plan(), "with conda": checkout.plan("--use-conda", **env)}
    for name, jobs in left.items():
        print(
            f"then {name}: {f'{len(jobs)} rules planned: {sorted(jobs)}' if jobs else 'nothing to be done'}"
        )
    return 1 if any(left.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
