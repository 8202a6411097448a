"""What is imported is this checkout; planning stays light; nothing in the core knows a baseline by name."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["torch", "transformers", "pandas", "datasets", "matplotlib", "scipy", "pyarrow", "sklearn",
         "lightgbm", "lm_eval"]  # fmt: skip
PROBE = """
import importlib, json, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
from chameleon.mixing import registry
registry.names()
print(json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))
"""


@pytest.mark.parametrize("package", ["chameleon", "baselines"])
def test_the_checkout_is_what_is_imported(package: str, tmp_path: Path) -> None:
    # From elsewhere, so that it is the installation and not the working directory that answers.
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}; print({package}.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).resolve() == ROOT / package / "__init__.py"


def test_planning_imports_nothing_heavy() -> None:
    """Snakemake parses the Snakefile again for every cluster job: a heavy import would be paid each time."""
    modules = [
        "chameleon.experiment.config",
        "chameleon.experiment.specs",
        "chameleon.mixing.registry",
        "chameleon.data.corpora.base",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(HEAVY), *modules], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_data_files_are_declared_for_wheels() -> None:
    """Every schema and every corpus table matches a package-data pattern."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["chameleon"]
    declared = {path for pattern in patterns for path in (ROOT / "chameleon").glob(pattern)}
    kinds = ("json", "yaml", "csv", "js", "css", "html", "typed")
    present = {p for suffix in kinds for p in (ROOT / "chameleon").rglob(f"*.{suffix}")}
    assert present and present == declared


def test_lock_covers_every_direct_pin() -> None:
    """requirements.in and requirements.lock name the same versions, and the lock is nothing but pins."""

    def read(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        pins = [line.strip().lower() for line in lines if line.strip() and not line.startswith("#")]
        return {pin.split("==")[0].split("[")[0].replace("_", "-"): pin.split("==")[1] for pin in pins}

    direct, lock = read("requirements.in"), read("requirements.lock")
    assert {name: lock.get(name) for name in direct} == direct
    assert "setuptools" in lock, "`pip install --no-build-isolation -e .` builds with the locked setuptools"
    assert not [v for v in lock.values() if "+" in v or "@" in v]
