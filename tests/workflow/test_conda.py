"""`--use-conda`: the environment is solved, installed and activated, and its file agrees with the lock.

conda's command line is answered by py-rattler from a channel that is built here (tests/conda), out of this
machine's Python. `make test-conda` installs all of envs/suite.yaml so; here pip gets one small wheel that
lends the environment our own packages.
"""

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import rattler_tools
import yaml
from checkout import ROOT, Checkout

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PROFILES = sorted((ROOT / "profiles").glob("*/profile.yaml"))
#: What a dry run asks of conda needs no py-rattler.
ASKED = {"PATH": rattler_tools.path()}


@pytest.fixture(scope="module")
def conda() -> Mapping[str, str]:
    """The variables under which `conda` is py-rattler's, with the local channel."""
    try:
        return rattler_tools.conda()
    except rattler_tools.Missing as error:
        pytest.skip(str(error))


def lend_packages(folder: Path) -> str:
    """Return the URL of a wheel that puts this environment's packages behind those of another."""
    wheel, info = folder / "lent-1.0-py3-none-any.whl", "lent-1.0.dist-info"
    files = {
        "lent.pth": sysconfig.get_path("purelib"),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: lent\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel.as_uri()


def test_plans_with_conda(checkout: Checkout) -> None:
    done = checkout.run("snakemake", "-n", "--cores", "all", "--use-conda", **ASKED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Conda environment envs/suite.yaml will be created", done.stdout + done.stderr)


@pytest.mark.slow
def test_runs_with_conda(checkout: Checkout, tmp_path: Path, conda: Mapping[str, str]) -> None:
    """One real job in an environment that was solved, installed and activated; then nothing to be done."""
    suite = checkout.root / "envs" / "suite.yaml"
    wanted = yaml.safe_load(suite.read_text(encoding="utf-8"))
    wanted["dependencies"][-1] = {"pip": [f"lent @ {lend_packages(tmp_path)}"]}
    suite.write_text(yaml.safe_dump(wanted), encoding="utf-8")
    target = "results/smoke/corpora/toy/report.json"
    done = checkout.snakemake("--use-conda", target, **conda)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((checkout.root / target).read_text(encoding="utf-8"))

    (prefix,) = {path.parent.parent for path in (checkout.root / ".snakemake/conda").glob("*/bin/python")}
    records = [json.loads(path.read_text()) for path in (prefix / "conda-meta").glob("*.json")]
    assert {record["name"] for record in records} == {"python", "pip"}
    assert all(record["url"].startswith(conda["CONDA_CHANNEL_ALIAS"]) for record in records)
    assert len(list(prefix.glob("lib/python3.11/site-packages/lent-*"))) == 1
    activate = f"set -euo pipefail; source {rattler_tools.HERE}/bin/activate '{prefix}'; python -c"
    said = checkout.run("bash", "-c", f"{activate} 'import sys; print(sys.prefix, sys.base_prefix)'", **conda)
    assert said.stdout.split() == [str(prefix)] * 2, said.stderr

    assert checkout.plan(target) == {}, "turning conda off reruns nothing"
    assert checkout.plan(target, "--rerun-triggers", "software-env"), "what the profiles leave out"


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_turning_conda_on_reruns_nothing(smoke: Checkout, profile: str) -> None:
    assert smoke.plan("--use-conda", "--workflow-profile", f"profiles/{profile}", **ASKED) == {}


def create(
    checkout: Checkout, conda: Mapping[str, str], dependencies: list[str]
) -> subprocess.CompletedProcess[str]:
    file = checkout.root / "asked.yaml"
    file.write_text(yaml.safe_dump({"channels": ["conda-forge"], "dependencies": dependencies}))
    return checkout.run("conda", "env", "create", "--file", str(file), "--prefix", "made", **conda)


def test_what_a_package_needs_is_solved(checkout: Checkout, conda: Mapping[str, str]) -> None:
    done = create(checkout, conda, ["pip"])
    assert done.returncode == 0 and re.search(r"solved in .*\bpython 3\.11", done.stdout), done.stderr


def test_what_the_channel_has_not_is_refused(checkout: Checkout, conda: Mapping[str, str]) -> None:
    done = create(checkout, conda, ["python=3.10", "pip"])
    assert done.returncode == 1 and not (checkout.root / "made").exists()
    assert re.fullmatch(r"conda: .*asked\.yaml: cannot be solved: .*python.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_no_profile_reruns_for_another_environment(path: Path) -> None:
    triggers = yaml.safe_load(path.read_text(encoding="utf-8"))["rerun-triggers"]
    assert triggers == ["mtime", "params", "input", "code"]


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
