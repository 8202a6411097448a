"""The wiring without the science: rules, command lines, weights and tidy files are real, all else is sums.

Which files every job is given decides the numbers at the end. arithmetic/jobs.py says what the stand-ins do,
arithmetic/methods what the methods answer, arithmetic/expected.json what must come out, to the last bit.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, make_checkout

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent / "arithmetic"
RUN = ("results/metrics.csv", "--configfile", str(HERE / "config.yaml"))
ENV = {
    "PATH": os.pathsep.join([str(HERE / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
    "STANDIN_PYTHON": sys.executable,
    "CHAMELEON_METHOD_PATH": str(HERE / "methods"),
    # Forks are of the real package, not of the stand-ins.
    "CHAMELEON_KEEPER": "",
}
#: Tidy file -> columns that name a row, columns that are compared.
TIDY = {
    "metrics": (("scenario", "method", "seed", "domain_or_task", "metric"), ("value",)),
    "weights": (("scenario", "method", "seed", "step", "domain"), ("weight",)),
    "curves": (("scenario", "method", "seed", "step", "domain"), ("loss", "tokens")),
    "costs": (("scenario", "method", "seed", "stage"), ("tokens", "flops")),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    """A checkout in which everything up to the tidy files has been played, and what Snakemake said."""
    made = make_checkout(tmp_path_factory.mktemp("arithmetic"))
    run = made.snakemake("--verbose", *RUN, **ENV)
    assert run.returncode == 0, run.stdout + run.stderr
    return made, run.stdout + run.stderr


@pytest.fixture(scope="module")
def done(told: tuple[Checkout, str]) -> Checkout:
    return told[0]


def test_jobs_are_chosen_when_one_has_ended_and_at_no_other_time(told: tuple[Checkout, str]) -> None:
    """With Snakemake's default limit of submissions they were chosen 407 to 622 times for these 74 jobs."""
    _, said = told
    assert said.count("Ready jobs") <= said.count("Finished jobid") + 1 > 50


def test_a_clock_that_was_a_day_ahead_holds_nothing_up(done: Checkout) -> None:
    """Snakemake would fail the next job for ever: its output is older than its input."""
    results = done.root / "results"
    before = numbers(results)
    late = min(results.glob("metrics/*/*/seed?.json"))
    (results / "metrics.csv").unlink()
    tomorrow = time.time() + 86_400
    os.utime(late, (tomorrow, tomorrow))
    run = done.snakemake(*RUN, **ENV)
    said = run.stdout + run.stderr
    assert run.returncode == 0 and f"{late.relative_to(done.root)}: dated in the future" in said, said
    assert numbers(results) == before and done.plan(*RUN, **ENV) == {}


def flat(nested: Mapping[str, Any]) -> dict[str, Fraction]:
    """Return path -> number of a tree of numbers, fractions being written as text."""
    found: dict[str, Fraction] = {}
    for name, value in nested.items():
        below = flat(value) if isinstance(value, dict) else {"": Fraction(value)}
        found |= {f"{name}/{path}".rstrip("/"): number for path, number in below.items()}
    return found


def numbers(results: Path) -> dict[str, Fraction]:
    """Return path -> number of what a run left: weights, test losses, rows of the tidy files."""
    found: dict[str, Fraction] = {}
    for kind in ("weights", "metrics"):
        for file in results.glob(f"{kind}/*/*/seed?.json"):
            one = json.loads(file.read_text(encoding="utf-8"))
            name = f"{kind}/{one['scenario']}/{one['method']}/seed{one['seed']}"
            assert file == results / f"{name}.json", "a job wrote another one's file"
            found |= flat({name: one["loss"] if kind == "metrics" else one["stages"][0]["weights"]})
    for name, (keys, columns) in TIDY.items():
        with open(results / f"{name}.csv", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                where = "/".join(row[key] for key in keys)
                found |= {f"{name}.csv/{column}/{where}": Fraction(row[column]) for column in columns}
    return found


def differences(expected: Mapping[str, Fraction], found: Mapping[str, Fraction]) -> list[str]:
    """Return what is missing or another number, and weights and losses that nobody expects."""
    wrong = [f"{path}: {found.get(path)}, not {x}" for path, x in expected.items() if found.get(path) != x]
    files = [path for path in found if path.startswith(("weights/", "metrics/"))]
    return wrong + [f"{path}: not expected" for path in files if path not in expected]


@pytest.fixture(scope="module")
def expected() -> dict[str, Fraction]:
    return flat(json.loads((HERE / "expected.json").read_text(encoding="utf-8")))


def test_the_numbers_that_come_out(done: Checkout, expected: dict[str, Fraction]) -> None:
    assert differences(expected, numbers(done.root / "results")) == []


def test_second_run_has_nothing_to_do(done: Checkout) -> None:
    assert done.plan(*RUN, **ENV) == {}


def test_every_number_counts(done: Checkout, expected: dict[str, Fraction]) -> None:
    """The comparison can fail: any number that is moved or missing is named, and so is a file too many."""
    found = numbers(done.root / "results")
    for path, value in expected.items():
        moved = differences(expected, {**found, path: value + Fraction(1, 2**40)})
        missing = differences(expected, {p: x for p, x in found.items() if p != path})
        assert [line.split(":")[0] for line in (*moved, *missing)] == [path, path]
    assert differences(expected, {**found, "metrics/other": Fraction(1)}) == ["metrics/other: not expected"]
