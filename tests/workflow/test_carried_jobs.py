"""Jobs go to a machine that has torch alone, are done there in two calls, and come back as done."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import LINKED, ROOT, Checkout

pytestmark = pytest.mark.slow

#: Laid over the smoke config, whose text is tokens already.
SHORTER = """
seeds: [0]
run: [pretrain]
sensitivity: null
scenarios:
  pretrain: {unseen: null, fewshot: false, methods: [uniform, regmix, chameleon]}
method_params:
  regmix: {regression: linear}
swarm: {runs_per_job: 8, stack: 8}
scales: {smoke: {train: {steps: 12}}}
"""
THERE = Path(__file__).parent / "torch_alone"
MAIN = "results/smoke/tables/pretrain_main.md"


def elsewhere(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python where nothing but torch, numpy, transformers and the two packages is to be had."""
    hidden = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**hidden, "PYTHONPATH": os.pathsep.join([str(THERE), str(folder)])},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_there_and_back(smoke: Checkout, tmp_path: Path) -> None:
    shutil.copytree(smoke.root, tmp_path / "home", symlinks=True)
    home, there = Checkout(tmp_path / "home"), tmp_path / "there"
    there.mkdir()
    for name in LINKED[:2]:
        (there / name).symlink_to(ROOT / name)
    config = ("--configfile", *home.overlay(SHORTER)[1:])

    done = home.run("chameleon", "carry", *config, "--out", str(there / "carried.tar.gz"))
    assert done.returncode == 0, done.stderr
    jobs = int(re.search(r": (\d+) jobs, ", done.stdout)[1])  # type: ignore[index]
    assert jobs == 13

    absent = "import torch, transformers, importlib.util as u; print([u.find_spec(n) for n in {}])"
    lacks = ("scipy", "pandas", "jsonschema", "lightgbm", "snakemake", "matplotlib", "sklearn", "accelerate")
    assert elsewhere(there, "-c", absent.format(lacks)).stdout == f"{[None] * len(lacks)}\n"
    play = ("-m", "chameleon", "play", "carried.tar.gz", "--jobs", "2")
    first = elsewhere(there, *play, "--minutes", "0.12")
    assert first.returncode == 75 and "the same command goes on" in first.stderr, first.stdout + first.stderr
    second = elsewhere(there, *play)
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count(" s\n") < jobs or "0 of" in first.stdout, "nothing is done twice"

    played = str(there / "played.tar.gz")
    assert Path(played).stat().st_size < 300_000, "models stay there"
    done = home.run("chameleon", "merge", played, *config)
    assert (done.returncode, done.stdout) == (0, f"{jobs} of {jobs} jobs are taken over\n"), done.stderr
    assert set(home.plan(*config)) == {"forecast", "collect", "tables", "figures", "summary", "page", "all"}
    other = home.root / "other.yaml"
    other.write_text("method_params: {chameleon: {temperature: 2.5}}\n", encoding="utf-8")
    changed = home.plan(*config, other.name)
    assert changed["weights"] == {
        f"results/smoke/weights/pretrain/chameleon/seed0.{kind}" for kind in ("json", "run.json")
    }, "Snakemake knows what they were made with"

    done = home.snakemake(MAIN, *config)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (\w+)", (home.root / MAIN).read_text(encoding="utf-8"), re.M)
    assert rows[1:] == ["uniform", "regmix", "chameleon"]
    assert home.plan(MAIN, *config) == {}
    again = home.run("chameleon", "carry", *config)
    assert again.returncode == 2 and again.stderr.startswith("error: nothing to carry"), again.stderr
