"""The workflow's own linter and formatter find nothing, and every shipped config plans."""

import pytest
from checkout import ROOT, Checkout

CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))


def test_lint_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakemake", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Congratulations" in done.stdout + done.stderr


def test_formatting_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakefmt", "--check", "Snakefile", "workflow")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_plans(checkout: Checkout, name: str) -> None:
    done = checkout.run("snakemake", "-n", "--cores", "8", "--configfile", f"configs/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "evaluate" in done.stdout + done.stderr


def test_the_slurm_profile_plans(checkout: Checkout) -> None:
    command = (
        "snakemake",
        "-n",
        "--workflow-profile",
        "profiles/slurm",
        "--configfile",
        "configs/slimpajama.yaml",
    )
    done = checkout.run(*command)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert "slurm_partition=main" in text and "gpu=1" in text
