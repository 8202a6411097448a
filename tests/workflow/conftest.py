"""A throwaway checkout with the smoke run done in it, shared by the workflow tests."""

from pathlib import Path

import pytest
from checkout import Checkout, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout without results."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the smoke config has run to the end; tests look and plan, and build nothing."""
    made = make_checkout(tmp_path_factory.mktemp("smoke"))
    done = made.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return made
