"""What the documents promise holds: the example method works, links lead somewhere, commands exist."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chameleon import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]
RUN = """
import json
from chameleon import registry
from chameleon.interfaces import MethodInputs
inputs = MethodInputs(("a", "b"), {"a": 900, "b": 100}, registry.parameters("tempered", {}, "test"), 0, 10)
print(json.dumps(registry.get("tempered").weights(inputs).schedule.stages[0].weights))
"""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_example_method_is_complete(tmp_path: Path) -> None:
    """CONTRIBUTING's file, dropped into a folder, is found and gives the weights it says."""
    code = re.search(r"```python\n(.*?)```", read("CONTRIBUTING.md"), re.S)
    assert code is not None
    (tmp_path / "tempered.py").write_text(code[1], encoding="utf-8")
    env = {**os.environ, "CHAMELEON_METHOD_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    # √900 : √100 = 3 : 1.
    assert json.loads(done.stdout) == pytest.approx({"a": 0.75, "b": 0.25})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths_exist(name: str) -> None:
    text = read(name)
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    targets += re.findall(r"`((?:chameleon|workflow|configs|envs|profiles|tests|baselines)/[\w./-]+)`", text)
    example = {"baselines/tempered.py"}
    missing = [
        t
        for t in targets
        if t not in example and not ((ROOT / name).parent / t).exists() and not (ROOT / t).exists()
    ]
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(name: str) -> None:
    text = read(name)
    assert not set(re.findall(r"python -m chameleon ([a-z]+)", text)) - set(cli.COMMANDS)
    assert not set(re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`[^`]+`", text)))) - targets()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))


def test_readme_opens_with_the_two_commands() -> None:
    lines = [line for line in read("README.md").splitlines() if line]
    assert lines[1:5] == ["```", "make reproduce", "make test", "```"]


def test_readme_names_every_config_key_and_method() -> None:
    readme = read("README.md")
    missing = [
        key
        for key in yaml.safe_load(read("config.yaml"))
        if f"`{key}`" not in readme and key != "results_dir"
    ]
    assert not missing
    done = subprocess.run(
        [sys.executable, "-m", "chameleon", "methods"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split()
    assert not [name for name in done.stdout.split() if f"| `{name}` |" not in readme]


def test_citation_is_valid_yaml_and_of_this_version() -> None:
    from chameleon import __version__

    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == __version__
    assert f"## [{__version__}]" in read("CHANGELOG.md")
