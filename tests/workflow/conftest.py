"""A throwaway checkout with the smoke run done in it, shared by the workflow tests."""

from pathlib import Path

import pytest
from checkout import Checkout, make_checkout
from filelock import FileLock


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout without results."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """A checkout in which the smoke config has run to the end; tests look and plan, and build nothing.

    Made once, also where tests run side by side: who comes first makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    root = base / "smoke"
    with FileLock(base / "smoke.lock"):
        if root.exists():
            return Checkout(root)
        root.mkdir()
        made = make_checkout(root)
        (root / "temporary").mkdir()
        done = made.snakemake(TMPDIR=str(root / "temporary"))
    assert done.returncode == 0, done.stdout + done.stderr
    return made
