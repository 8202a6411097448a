"""conda's command line as far as Snakemake uses it: py-rattler solves, installs and activates.

Called by `bin/conda`. `env create` needs, as conda itself reads them, CONDA_CHANNEL_ALIAS (the folder of
channels, as a URL) and CONDA_PKGS_DIRS (where packages are unpacked); py-rattler comes from the interpreter
that CONDA_PYTHON_EXE names. What only asks (a dry run) needs none of them.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: The oldest conda that Snakemake takes: what is answered here is its command line, not its code.
VERSION = "24.7.1"
PLATFORM = {"x86_64": "linux-64"}.get(platform.machine(), f"linux-{platform.machine()}")


def create(file: Path, prefix: Path) -> None:
    """Make the environment of an env file: conda's packages by py-rattler, the rest by the prefix's own pip.

    Raises:
        rattler.exceptions.SolverError: the channels cannot satisfy the file.
        subprocess.CalledProcessError: pip failed.
    """
    import rattler
    import yaml

    wanted = yaml.safe_load(file.read_text(encoding="utf-8"))
    specs = [entry for entry in wanted["dependencies"] if isinstance(entry, str)]
    pips = [line for entry in wanted["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]
    alias = rattler.ChannelConfig(channel_alias=os.environ["CONDA_CHANNEL_ALIAS"])
    channels = [rattler.Channel(name, alias) for name in wanted["channels"] if name != "nodefaults"]

    start = time.perf_counter()
    virtual = rattler.VirtualPackage.detect()
    records = asyncio.run(rattler.solve(channels, specs, virtual_packages=virtual))
    found = ", ".join(f"{record.name.normalized} {record.version}" for record in records)
    told("solved", start, found)

    start = time.perf_counter()
    packages = Path(os.environ["CONDA_PKGS_DIRS"])
    asyncio.run(rattler.install(records, prefix, cache_dir=packages, show_progress=False))
    told("installed", start, f"{len(records)} packages")

    if pips:
        start = time.perf_counter()
        requirements = prefix / "conda-meta" / "pip.txt"
        requirements.write_text("".join(f"{line}\n" for line in pips), encoding="utf-8")
        pip = [prefix / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], cwd=file.parent, check=True)
        told("pip", start, f"{len(pips)} requirements")


def told(step: str, start: float, what: str) -> None:
    """Print one line about a step that began at `start`."""
    print(f"conda: {step} in {time.perf_counter() - start:.1f} s: {what}", flush=True)


def activation(prefix: Path) -> str:
    """Return the lines that a POSIX shell evaluates to be in an environment."""
    from rattler.shell import ActivationVariables, Shell, activate

    return activate(prefix, ActivationVariables(), Shell.bash).script


def main(words: list[str]) -> int:
    """Answer one call; return the exit code."""
    match words:
        case ["--version"]:
            print(f"conda {VERSION}")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(HERE), "platform": PLATFORM}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["shell.posix", "activate", prefix]:
            print(activation(Path(prefix)))
        case ["clean", "-y", "--tarballs"]:
            pass  # py-rattler unpacks what it fetches and keeps no archive.
        case ["env", "create", *options]:
            parser = argparse.ArgumentParser(prog="conda env create")
            parser.add_argument("--file", type=Path, required=True)
            parser.add_argument("--prefix", type=Path, required=True)
            for flag in ("--quiet", "--no-default-packages"):
                parser.add_argument(flag, action="store_true")
            given = parser.parse_args(options)
            return attempt(given.file, given.prefix)
        case _:
            print(f"conda: no answer to: {' '.join(words)}", file=sys.stderr)
            return 2
    return 0


def attempt(file: Path, prefix: Path) -> int:
    """Create an environment; say in one line why it could not be."""
    from rattler.exceptions import SolverError

    try:
        create(file, prefix)
    except SolverError as error:
        print(f"conda: {file}: cannot be solved: {' '.join(str(error).split())}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"conda: {file}: pip ended with {error.returncode}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Not by the interpreter's own end: py-rattler's threads have been seen to end that by a signal.
    os._exit(code)
