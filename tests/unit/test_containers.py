"""The images hold the lock and all that a run needs. None is built here: no more is known of them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
DEFINITION = (ROOT / "envs" / "apptainer.def").read_text(encoding="utf-8")
#: What Snakemake and its jobs read.
NEEDED = {
    "Snakefile",
    "config.yaml",
    "baselines",
    "chameleon",
    "configs",
    "envs",
    "profiles",
    "tests/data",
    "workflow",
}


def copied() -> set[str]:
    lines = re.findall(r"^COPY (.+) \./\S*$", CONTAINERFILE, re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_what_is_copied_is_there_and_all_that_is_needed() -> None:
    assert copied() == {*NEEDED, "requirements.lock"}
    assert all((ROOT / name).exists() for name in copied())


def test_the_context_is_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines and {line[1:] for line in lines if line.startswith("!")} == copied()


def test_both_install_the_lock_on_the_same_python() -> None:
    for text in (CONTAINERFILE, DEFINITION):
        assert re.search(r"pip install .*-r \S*requirements\.lock$", text, re.MULTILINE)
        assert "libgomp1" in text
    bases = {
        line
        for text in (CONTAINERFILE, DEFINITION)
        for line in re.findall(r"^(?:FROM|From:) (.+)$", text, re.M)
    }
    assert len(bases) == 1 and bases.pop().startswith("python:3.11")
    files = DEFINITION.partition("%files\n")[2].partition("\n\n")[0].splitlines()
    assert files and all((ROOT / line.split()[0]).exists() for line in files)


def test_the_entrypoint_is_the_workflow() -> None:
    assert 'ENTRYPOINT ["snakemake"]' in CONTAINERFILE and 'exec snakemake "$@"' in DEFINITION
