"""Disk and memory that the plan prints for the jobs from text to tokens, held against jobs that run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.pricing import report
from chameleon.pricing.jobs import Walk

PARTS = 2
#: The plan and a job may be so many times apart.
MEMORY, DISK = 1.5, 2.0


def write_text(folder: Path) -> None:
    """Write two domains of 4 MB of words that no one wrote."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghijklmnop"), n)) for n in rng.integers(2, 9, 20000)])
    for domain in ("one", "two"):
        (folder / domain).mkdir(parents=True)
        for i in range(20):
            pages = [" ".join(words[rng.zipf(1.2, 300) % len(words)]) for _ in range(100)]
            (folder / domain / f"{i}.txt").write_text("\n\n".join(pages), encoding="utf-8")


#: A process of its own starts the job: what one has that forks counts as its child's largest moment too.
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run(*command: Any) -> float:
    """Run a job; return the bytes of its largest moment."""
    words = [sys.executable, "-m", "chameleon", "job", *map(str, command)]
    done = subprocess.run([sys.executable, "-c", WATCH, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1]) * 1024


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, PARTS])
def test_the_plan_is_near_what_jobs_need(raw: dict[str, Any], tmp_path: Path, parts: int) -> None:
    write_text(tmp_path / "text")
    raw["corpora"]["left"] = {"kind": "local", "path": str(tmp_path / "text")}
    raw["scenarios"]["toy"]["corpora"] = ["left"]
    raw["data"] |= {"parts": parts, "max_characters": 4000}
    raw["tokenizer"] = {"kind": "bpe", "vocab_size": 1000, "bytes_per_domain": 500_000, "seed": 0}
    cfg = load(raw)
    plan = {job.name: job for job in Walk(cfg).all()}
    corpora, tokenizer, tokens = tmp_path / "corpora", tmp_path / "tokenizer", tmp_path / "tokens" / "left"
    corpus = corpora / "left"
    corpus.mkdir(parents=True)
    (corpus / "sources.json").write_text("{}")
    of = {step: [tmp_path / f"{step}{i}" for i in range(parts)] for step in ("read", "gather", "encode")}
    numbers = range(parts if parts > 1 else 0)

    def spec(made: Any) -> tuple[str, str]:
        return "--spec", json.dumps(made)

    took: dict[str, float] = {}
    for i in numbers:
        part = spec(specs.part_of_text(cfg, "left", i))
        took[f"read left {i}"] = run("read", *part, "--out", of["read"][i])
    for i in numbers:
        part = spec(specs.part_of_text(cfg, "left", i))
        took[f"gather left {i}"] = run("gather", *part, "--reads", *of["read"], "--out", of["gather"][i])
    done = ("--reads", *of["read"], "--gathers", *of["gather"]) if parts > 1 else ()
    out = ("--out", corpus, "--threads", 1)
    took["prepare left"] = run("prepare", *spec(specs.prepare(cfg, "left")), *done, *out)
    learn = spec(specs.tokenizer(cfg))
    took["tokenizer"] = run("tokenizer", *learn, "--corpora", corpora, "--out", tokenizer)
    both = ("--corpus", corpus, "--tokenizer", tokenizer, "--threads", 1)
    for i in numbers:
        part = spec(specs.part_of_tokens(cfg, "left", i))
        took[f"encode left {i}"] = run("encode", *part, *both, "--out", of["encode"][i])
    done = ("--encoded", *of["encode"]) if parts > 1 else ()
    took["tokens left"] = run("tokens", *spec(specs.tokens(cfg, "left")), *both, *done, "--out", tokens)

    assert took.keys() == {name for name, job in plan.items() if job.memory}
    far = {name: plan[name].memory / found for name, found in took.items()}
    assert all(1 / MEMORY < ratio < MEMORY for ratio in far.values()), far
    folders = {"prepare left": corpus, "tokens left": tokens}
    passing = {f"{step} left {i}": of[step][i] for step in of for i in numbers}
    off = {name: plan[name].disk / size(folder) for name, folder in folders.items()}
    off |= {name: plan[name].passing / size(folder) for name, folder in passing.items()}
    assert all(1 / DISK < ratio < DISK for ratio in off.values()), off


def test_the_rows_are_printed(raw: dict[str, Any]) -> None:
    raw["data"]["parts"] = 3
    cfg = load(raw)
    printed = report.render(cfg, *report.make(cfg, 1, flops=1e9), cores=1)
    rows = printed.partition("From text to tokens")[2].splitlines()[3:9]
    counts = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert counts == {"read": 6, "gather": 6, "prepare": 2, "tokenizer": 1, "encode": 6, "tokens": 2}


def test_processes_that_prepare_take_memory_each(raw: dict[str, Any]) -> None:
    raw["threads"]["prepare"] = 1
    one = {job.name: job for job in Walk(load(raw)).all()}["prepare left"]
    raw["threads"]["prepare"] = 3
    three = {job.name: job for job in Walk(load(raw)).all()}["prepare left"]
    assert three.memory == 3 * one.memory and three.passing == 2 * three.disk
