"""Jobs go to a machine that has torch alone, are done there in two calls, and come back as done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import LINKED, ROOT, Checkout

pytestmark = pytest.mark.slow

#: Laid over the smoke config.
SHORTER = """
results_dir: results/toy
seeds: [0]
run: [pretrain]
sensitivity: null
scenarios:
  pretrain: {corpora: [toy], unseen: null, fewshot: false, methods: [uniform, chameleon]}
scales: {smoke: {train: {steps: 12}}}
"""
THERE = Path(__file__).parent / "torch_alone"
MAIN = "results/toy/tables/pretrain_main.md"


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


def test_there_and_back(checkout: Checkout, tmp_path: Path) -> None:
    home, there = checkout, tmp_path / "there"
    there.mkdir()
    for name in LINKED[:2]:
        (there / name).symlink_to(ROOT / name)
    config = home.overlay(SHORTER)
    done = home.run("chameleon", "carry", *config)
    assert done.returncode == 2 and "comes first: snakemake" in done.stderr, done.stderr
    done = home.snakemake("--until", "tokens", *config)
    assert done.returncode == 0, done.stdout + done.stderr
    done = home.run("chameleon", "carry", *config, "--out", str(there / "carried.tar.gz"))
    assert done.returncode == 0 and ": 8 jobs, " in done.stdout, done.stdout + done.stderr

    lacks = ("scipy", "pandas", "jsonschema", "lightgbm", "snakemake", "matplotlib", "sklearn", "accelerate")
    found = elsewhere(there, "-c", f"import importlib.util as u; print([u.find_spec(n) for n in {lacks}])")
    assert found.stdout == f"{[None] * len(lacks)}\n", found.stderr
    play = ("-m", "chameleon", "play", "carried.tar.gz", "--jobs", "2")
    first = elsewhere(there, *play, "--minutes", "0.1")
    assert first.returncode == 75 and "the same command goes on" in first.stderr, first.stdout + first.stderr
    done_before = int(re.search(r"played.tar.gz: (\d) of 8", first.stdout)[1])  # type: ignore[index]
    second = elsewhere(there, *play)
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"[{8 - done_before}/{8 - done_before}] " in second.stdout, "nothing is done twice"

    played = there / "played.tar.gz"
    assert played.stat().st_size < 100_000, "models stay there"
    done = home.run("chameleon", "merge", str(played), *config)
    assert (done.returncode, done.stdout) == (0, "8 of 8 jobs are taken over\n"), done.stderr
    assert set(home.plan(*config)) == {"collect", "tables", "figures", "summary", "page", "all"}
    (home.root / "other.yaml").write_text(
        "method_params: {chameleon: {temperature: 2.5}}\n", encoding="utf-8"
    )
    weights = home.plan(*config, "other.yaml")["weights"]
    assert weights and all("chameleon" in path for path in weights), "it knows what they were made with"

    done = home.snakemake(MAIN, *config)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (\w+)", (home.root / MAIN).read_text(encoding="utf-8"), re.M)
    assert rows[1:] == ["uniform", "chameleon"]
    done = home.run("chameleon", "verify", "results/toy")
    assert "stayed on the machine that made them" in done.stdout, done.stdout
    assert "wrong: results/toy/runs" not in done.stdout, done.stdout
