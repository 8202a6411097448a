"""The workflow's own linter and formatter find nothing."""

from conftest import Checkout


def test_lint_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakemake", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Congratulations" in done.stdout + done.stderr


def test_formatting_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakefmt", "--check", "Snakefile", "workflow")
    assert done.returncode == 0, done.stdout + done.stderr
