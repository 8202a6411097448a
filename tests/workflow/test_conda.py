"""`--use-conda`: the workflow plans and runs with it, and the environment file agrees with the lock.

No conda is needed: a stand-in (standin/bin/conda) answers Snakemake and builds a virtual environment. That
the environment can be solved from the channels is for a machine with conda to show.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT, Checkout

STANDIN = Path(__file__).parent / "standin" / "bin"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def with_standin() -> str:
    return os.pathsep.join([str(STANDIN), str(Path(sys.executable).parent), os.environ["PATH"]])


def test_plans_with_conda(checkout: Checkout) -> None:
    done = checkout.run("snakemake", "-n", "--cores", "all", "--use-conda", PATH=with_standin())
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Conda environment envs/suite.yaml will be created", done.stdout + done.stderr)


@pytest.mark.slow
def test_runs_with_conda(checkout: Checkout) -> None:
    """One real job in an environment that Snakemake created and activated."""
    target = "results/smoke/corpora/toy/report.json"
    done = checkout.snakemake("--use-conda", target, PATH=with_standin())
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((checkout.root / target).read_text(encoding="utf-8"))
    made = list((checkout.root / ".snakemake" / "conda").glob("*/bin/python"))
    assert len(made) == 1, "every rule shares one environment"


def test_the_default_profile_does_not_ask_for_conda() -> None:
    """It would stop every user without conda, even a dry run."""
    profile = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_text(encoding="utf-8"))
    assert not {"sdm", "software-deployment-method", "use-conda"} & set(profile)


def test_every_rule_names_an_environment_that_exists() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    named = set(re.findall(r'conda:\s+"\.\./\.\./envs/([^"]+)"', text))
    assert named == {path.name for path in ENVIRONMENTS}
    assert len(re.findall(r"^    conda:", text, re.M)) == len(re.findall(r"^    shell:", text, re.M))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_takes_python_from_conda_and_the_lock_from_pip(path: Path) -> None:
    environment = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *plain, pip = environment["dependencies"]
    assert plain == ["python=3.11", "pip"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert pip["pip"] == [line for line in lock if line and not line.startswith("#")]


def test_lock_writer_drops_what_only_this_machine_has(tmp_path: Path) -> None:
    """Local version labels and the accelerator's wheels go; an editable line is refused."""
    script = tmp_path / "envs" / "lock.py"
    script.parent.mkdir()
    script.write_text((ROOT / "envs/lock.py").read_text(encoding="utf-8"), encoding="utf-8")
    freeze = "torch==2.13.0+cpu\nnvidia-cublas-cu12==12.8\nNumpy==2.4.6\npip==23.2.1\n"
    subprocess.run([sys.executable, script], input=freeze, text=True, check=True, capture_output=True)
    lock = (tmp_path / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lock if not line.startswith("#")] == ["Numpy==2.4.6", "torch==2.13.0"]
    done = subprocess.run([sys.executable, script], input="-e .\n", text=True, capture_output=True)
    assert done.returncode != 0 and "-e ." in done.stderr
