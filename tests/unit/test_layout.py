"""The house: imports go one way, files and folders stay small, CONTRIBUTING's map is the real one."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
FILES = sorted(path for package in ("chameleon", "baselines") for path in (ROOT / package).rglob("*.py"))
#: A method costs a file: folders of methods may grow.
OF_METHODS = {"baselines", "chameleon/methods"}


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run([LINT, "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_contracts_hold() -> None:
    code, text = lint(ROOT)
    assert code == 0, text
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", text)


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("core/seeds.py", "from chameleon.experiment import config", "Each wing uses those below it"),
        ("stages/runs.py", "from chameleon.experiment import config", "A job knows nothing but its spec"),
        ("data/sampler.py", "from chameleon.mixing import schedule", "Each wing uses those below it"),
        ("core/errors.py", "from chameleon.core import artifacts", "No circles"),
        ("experiment/config.py", "def f():\n    import torch", "Building the DAG imports nothing heavy"),
        ("mixing/registry.py", "import baselines.doge", "Nothing in the core knows a baseline"),
        ("../baselines/uniform.py", "from chameleon.stages import runs", "A baseline sees what"),
        ("attic.py", "", "Each wing uses those below it"),
    ],
)
def test_a_forbidden_import_breaks_a_contract(tmp_path: Path, file: str, line: str, broken: str) -> None:
    for package in ("chameleon", "baselines"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / "chameleon" / file, "a", encoding="utf-8") as handle:
        handle.write(f"\n{line}\n")
    code, text = lint(tmp_path)
    verdicts = re.sub(r"\s+", " ", text)
    assert code == 1 and re.search(rf"{broken}[^.]*?BROKEN", verdicts), text


def test_one_idea_a_file() -> None:
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 300}
    assert len(FILES) > 100 and not long


def test_no_folder_is_a_hall() -> None:
    modules = [path.parent.relative_to(ROOT).as_posix() for path in FILES if path.name != "__init__.py"]
    crowded = {folder: n for folder, n in Counter(modules).items() if n > 12 and folder not in OF_METHODS}
    assert not crowded
    top = {p.stem for p in FILES if p.parent == ROOT / "chameleon"}
    assert top == {"__init__", "__main__", "krls"}


def wing(module: str) -> str:
    """Return the folder below `chameleon` that a module is in; `baselines` is a wing of its own."""
    parts = module.split(".")
    return parts[0] if len(parts) == 1 or parts[0] == "baselines" else parts[1]


def arrows() -> set[tuple[str, str]]:
    """Return the imports between wings, without those that follow from others (transitive reduction)."""
    graph = grimp.build_graph("chameleon", "baselines", exclude_type_checking_imports=True)
    edges = {
        (wing(module), wing(other))
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    }
    uses: dict[str, set[str]] = {}
    for one, other in edges:
        if one != other and not {"chameleon", "__main__"} & {one, other}:
            uses.setdefault(one, set()).add(other)

    def below(name: str) -> set[str]:
        return uses.get(name, set()).union(*(below(other) for other in uses.get(name, set())))

    return {
        (one, other)
        for one, others in uses.items()
        for other in others
        if not any(other in below(between) for between in others - {other})
    }


def test_the_map_in_contributing_is_the_real_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"```mermaid\n(.*?)```", text, re.S)
    assert block is not None
    drawn = set(re.findall(r"^\s*(\w+)(?:\[[^\]]*\])? --> (\w+)", block[1], re.M))
    assert drawn == arrows()
