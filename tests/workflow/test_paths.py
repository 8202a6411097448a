"""A results folder is taken as it is written by every command, and nothing in a config is run."""

import os
import re
import sys
from pathlib import Path

import pytest
from checkout import ROOT, Checkout

HERE = Path(__file__).parent / "arithmetic"
#: Jobs that are played, so that the whole workflow takes a minute (see `test_arithmetic`).
PLAYED = {
    "PATH": os.pathsep.join([str(HERE / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
    "STANDIN_PYTHON": sys.executable,
    "CHAMELEON_METHOD_PATH": str(HERE / "methods"),
    "CHAMELEON_KEEPER": "",
}
NAME = "results/my run (v1), \u00e9t\u00e9"


def files(root: Path) -> set[str]:
    """Return the files that a run left, Snakemake's own aside."""
    own = (".snakemake", ".cache")
    kept = (p for p in root.rglob("*") if p.is_file() and p.parts[len(root.parts)] not in own)
    return {str(p.relative_to(root)) for p in kept if "__pycache__" not in p.parts}


def test_every_path_in_a_command_is_quoted() -> None:
    """What stands unquoted is a number; `tee` outlives an interrupt, so that a job can still print."""
    commands = 0
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for command in re.findall(r"shell:\n((?: +\".*\"\n)+)", file.read_text(encoding="utf-8")):
            commands += 1
            loose = set(re.findall(r"\{([^{}]+)\}", command)) - {
                "threads",
                "resources.stack",
                "resources.states",
                "resources.gpu",
            }
            assert not [field for field in loose if not field.endswith(":q")], f"{file}: {command}"
            assert "$" not in command, f"{file}: {command}"
            assert command.rstrip().endswith('2>&1 | tee -i {log:q}"'), f"{file}: {command}"
    assert commands == 30


@pytest.mark.slow
def test_a_folder_with_blanks_goes_through_the_whole_workflow(checkout: Checkout) -> None:
    """Up to the tidy files: what follows is real in the next test."""
    (checkout.root / "my config.yaml").write_text(f"results_dir: '{NAME}'\n")
    before = files(checkout.root)
    config = ("--configfile", str(HERE / "config.yaml"), "my config.yaml")
    done = checkout.snakemake(f"{NAME}/metrics.csv", *config, **PLAYED)
    assert done.returncode == 0, done.stdout + done.stderr
    new = files(checkout.root) - before
    assert f"{NAME}/metrics.csv" in new and f"{NAME}/logs/collect.log" in new
    assert not [path for path in new if not path.startswith(f"{NAME}/")]
    assert checkout.plan(f"{NAME}/metrics.csv", *config, **PLAYED) == {}
