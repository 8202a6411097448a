"""What the documents promise holds: the example method works, links lead somewhere, commands exist."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chameleon.cli import carrying, export, jobs, main, mixtures, people
from chameleon.experiment.load import load_files
from chameleon.mixing import registry

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]
RUN = """
import json
from chameleon.mixing import registry
from chameleon.mixing import MethodInputs
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
    named = set(re.findall(r"(?:-m |bin/|`|^)chameleon ([a-z][a-z-]*)", text, re.M))
    assert not named - {
        *people.COMMANDS, *mixtures.COMMANDS, *export.COMMANDS, *carrying.COMMANDS, "job",
    }  # fmt: skip
    assert not set(re.findall(r"chameleon job ([a-z_]+)", text)) - set(jobs.JOBS)
    assert not set(re.findall(r"\bmake ([a-z-]+)", "\n".join(re.findall(r"`[^`]+`", text)))) - targets()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))


def test_readme_opens_with_the_two_commands() -> None:
    lines = [line for line in read("README.md").splitlines() if line]
    assert lines[1:5] == ["```", "make reproduce", "make test", "```"]


def test_the_readme_fits_two_screens_and_leads_to_every_page() -> None:
    readme = read("README.md")
    assert len(readme.splitlines()) <= 120
    assert not [page for page in DOCUMENTS[1:] if f"]({page})" not in readme]


def test_the_pages_name_every_config_key_and_method() -> None:
    config, methods = read("docs/CONFIG.md"), read("docs/METHODS.md")
    missing = [
        key
        for key in yaml.safe_load(read("config.yaml"))
        if f"`{key}`" not in config and key != "results_dir"
    ]
    assert not missing
    assert not [name for name in registry.names() if f"| `{name}` |" not in methods]


def test_citation_is_valid_yaml_and_of_this_version() -> None:
    from chameleon import __version__

    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == __version__
    assert f"## [{__version__}]" in read("CHANGELOG.md")


def overlay_of(page: str, heading: str, tmp_path: Path) -> Path:
    """Write the first YAML block below a heading of a page to a file."""
    block = re.search(rf"^## {heading}$.*?```yaml\n(.*?)```", read(page), re.S | re.M)
    assert block is not None
    path = tmp_path / "overlay.yaml"
    path.write_text(block[1], encoding="utf-8")
    return path


def test_your_own_text_is_a_valid_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = overlay_of("docs/TEXT.md", "Your own text", tmp_path)
    for domain in ("letters", "diaries"):
        (tmp_path / "data/mine" / domain).mkdir(parents=True)
        (tmp_path / "data/mine" / domain / "some.txt").write_text("Text.", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    cfg = load_files([ROOT / "config.yaml", overlay])
    assert cfg.domains("pretrain") == {"diaries": "mine", "letters": "mine"} and cfg.scenarios == ["pretrain"]


def test_the_pages_hub_corpora_are_valid(tmp_path: Path) -> None:
    overlay = overlay_of("docs/TEXT.md", "Data sets of the Hugging Face hub", tmp_path)
    names = list(yaml.safe_load(overlay.read_text(encoding="utf-8"))["corpora"])
    use = tmp_path / "use.yaml"
    use.write_text(yaml.safe_dump({"run": ["pretrain"], "scenarios": {"pretrain": {"corpora": names}}}))
    cfg = load_files([ROOT / "config.yaml", overlay, use])
    assert cfg.domains("pretrain") == {
        "arxiv": "one_field",
        "book": "one_field",
        "french": "one_config_each",
        "german": "one_config_each",
    }


def test_numbers_in_the_documents_are_the_configs() -> None:
    """Those that a reader types or compares: they went stale before."""
    cfg = load_files([ROOT / "config.yaml"])
    tokens = cfg.raw["evaluation"]["test_tokens"]
    assert f"model.config.n_positions, {tokens}  # evaluation.test_tokens" in read("docs/REPRODUCING.md")
    assert f"Evaluation reads {tokens:,} tokens" in read("docs/DECISIONS.md")
    assert f"| a swarm of {cfg.method('regmix')[1]['num_proxies']} |" in read("docs/METHODS.md")
    base, proxy = (cfg.raw["scales"][name]["train"]["steps"] for name in ("cpu", "cpu_proxy"))
    assert f"the base models take {base} steps" in read("docs/DECISIONS.md")
    assert f"(`cpu_proxy`, {proxy:,} steps" in read("docs/FAIRNESS.md")


@pytest.mark.parametrize("command", ["mixmin", "regmix --set regression=linear", "mde --set features=log"])
def test_the_scores_on_the_methods_page_are_what_the_command_prints(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that take some seconds."""
    assert main(["score-method", *command.split()]) == 0
    line, floor = capsys.readouterr().out.splitlines()[3:5]
    for name, row in ((f"`{command}`", line), ("one run of the very mixture", floor)):
        rho, low, _, high, best, regret = row.split()[-6:]
        assert f"| {name} | {rho} ({low} to {high}) | {best} | {regret} |" in read("docs/METHODS.md")
