"""The workflow's own linter and formatter find nothing, and every shipped config plans."""

import logging
import re
from types import SimpleNamespace

import pytest
import yaml
from checkout import ROOT, Checkout
from snakemake.cli import get_argument_parser
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

#: Planned elsewhere: the smoke run, and the profile for SLURM.
ELSEWHERE = {"smoke.yaml", "slimpajama.yaml"}
CONFIGS = sorted({path.name for path in (ROOT / "configs").glob("*.yaml")} - ELSEWHERE)


def test_lint_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakemake", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Congratulations" in done.stdout + done.stderr


def test_formatting_is_clean(checkout: Checkout) -> None:
    done = checkout.run("snakefmt", "--check", "Snakefile", "workflow")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_plans(checkout: Checkout, name: str) -> None:
    # The papers' further ones are laid over their first.
    below = ["configs/slimpajama.yaml"] if name.startswith("paper_") else []
    done = checkout.run("snakemake", "-n", "--cores", "8", "--configfile", *below, f"configs/{name}")
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
    assert "gpu=1" in text and "slurm_partition" not in text


@pytest.mark.parametrize(("gpu", "partition"), [(0, "cpu"), (1, "gpu"), (16, "gpu")])
def test_jobs_go_where_their_resources_are(gpu: int, partition: str) -> None:
    partitions = read_partition_file(ROOT / "profiles" / "slurm" / "partitions.yaml")
    resources = {"mem_mb": 8000, "runtime": 2880, "gpu": gpu}
    job = SimpleNamespace(name="train", threads=1, resources=resources)
    assert get_best_partition(partitions, job, logging.getLogger()) == partition


def test_a_retry_asks_for_more_memory(checkout: Checkout) -> None:
    """The rules' memory is a function of the attempt, which Snakemake counts."""
    for path in (checkout.root / "workflow" / "rules").glob("*.smk"):
        asked = re.findall(r"mem_mb=(.*),", path.read_text(encoding="utf-8"))
        assert all(re.fullmatch(r"memory\(\d+\)", value) for value in asked), path
    memory = "print([memory(2000)(None, attempt) for attempt in (1, 2, 3)])"
    (checkout.root / "Snakefile").write_text(
        'configfile: "config.yaml"\ninclude: "workflow/rules/common.smk"\n' + memory, encoding="utf-8"
    )
    assert "[2000, 4000, 6000]" in checkout.run("snakemake", "-n", "--cores", "1").stdout


def test_the_kubernetes_profile_names_options_that_there_are() -> None:
    """Those of its two plugins, which are not in the lock, aside."""
    known = {word for action in get_argument_parser()._actions for word in action.option_strings}
    text = (ROOT / "profiles" / "kubernetes" / "profile.yaml").read_text(encoding="utf-8")
    profile = yaml.safe_load(text)
    plugins = [key for key in profile if key.startswith(("kubernetes-", "storage-s3-"))]
    assert plugins and {f"--{key}" for key in profile if key not in plugins} <= known
    assert "snakemake-executor-plugin-kubernetes==" in text and "snakemake-storage-plugin-s3==" in text
