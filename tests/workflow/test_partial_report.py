"""A method fails for one seed: all else finishes, what is there is shown, and the same command goes on."""

import csv
import shutil
from pathlib import Path

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow
CONFIG = """
results_dir: results
seeds: [0, 1]
run: [pretrain]
sensitivity: null
scenarios: {pretrain: {corpora: [toy], methods: [uniform, moody], fewshot: false}}
corpora: {toy: {documents: 200, domains: [twin_one, unique]}}
scales: {smoke: {train: {steps: 4}}}
evaluation: {test_tokens: 256, validation_tokens: 256, curve_points: [1.0]}
"""
GOOD = '''
from chameleon.core.seeds import derive
from chameleon.mixing import Method, MethodResult, MixtureSchedule, register


@register
class Moody(Method):
    """One to three."""

    name = "moody"
    version = 1

    def weights(self, inputs):
        """Return the weights, on a good day."""
        if inputs.seed == BAD:
            raise RuntimeError("no weights today")
        return MethodResult(MixtureSchedule.static(dict(zip(inputs.domains, (0.25, 0.75), strict=True))))
'''
#: A method sees a seed of its own: that of the run's seed 1.
BAD = GOOD.replace("BAD", 'derive(1, "method", "pretrain", "moody")')
GOOD = GOOD.replace("BAD", "None")
#: The parts of a report that the test looks at in complete runs; figures take longer than the training.
SHOWN = ("results/tables/pretrain_main.md", "results/summary.md")


def run(checkout: Checkout, method: str, *args: str) -> tuple[int, str]:
    folder = checkout.root / "mine"
    folder.mkdir(exist_ok=True)
    (folder / "moody.py").write_text(method, encoding="utf-8")
    done = checkout.snakemake(*args, *checkout.overlay(CONFIG), CHAMELEON_METHOD_PATH=str(folder))
    return done.returncode, done.stdout + done.stderr


def row(markdown: str, first: str) -> list[str]:
    """Return the cells of the row that begins with `first`."""
    (line,) = [x for x in markdown.splitlines() if x.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def shown(results: Path) -> dict[str, bytes]:
    """Return the tables, but for those with seconds, which differ from run to run."""
    files = [*sorted(results.glob("tables/*.md")), *sorted(results.glob("tables/*.csv"))]
    return {f.name: f.read_bytes() for f in files if f.stem != "pretrain_costs"}


def test_one_seed_of_one_method_fails_and_is_mended(checkout: Checkout) -> None:
    results = checkout.root / "results"
    partial = results / "partial"
    # A single file was asked for, and none of the report: its failure makes none.
    code, text = run(checkout, BAD, "results/weights/pretrain/moody/seed1.json")
    assert code != 0 and "no weights today" in text and "artial report" not in text
    assert (results / "logs").exists() and not partial.exists()

    code, text = run(checkout, GOOD, *SHOWN)
    assert code == 0, text
    undisturbed = shown(results)
    assert len(undisturbed) > 10 and not partial.exists()
    # As if it had never come so far: the tests and one seed of one method are still to be done.
    for name in ("metrics", "tables", "weights/pretrain/moody/seed1.json", "runs/pretrain/moody/seed1"):
        path = results / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (*results.glob("*.csv"), *results.glob("summary.*")):
        path.unlink()

    code, text = run(checkout, BAD, "--keep-going")
    assert code != 0
    # All else finished, and nothing of the complete report is there.
    done = sorted(
        str(p.relative_to(results / "metrics/pretrain")) for p in results.glob("metrics/*/*/seed?.json")
    )
    assert done == ["moody/seed0.json", "uniform/seed0.json", "uniform/seed1.json"]
    assert not (results / "metrics.csv").exists() and not (results / "tables").exists()
    # On the screen at the end: what failed, its log, where the tables are, how to go on.
    end = text[text.index("1 failed, 1 of 4 runs are missing") :]
    assert "failed: weights pretrain/moody/seed1: no weights today" in end
    assert "results/logs/weights/pretrain/moody/seed1.log" in end and "results/partial/report.html" in end
    assert "goes on where it stopped: snakemake --cores 2 --keep-going" in end
    # A mean over fewer seeds says so, and below the table stands why.
    table = (partial / "tables/pretrain_main.md").read_text(encoding="utf-8")
    assert len(row(table, "moody (1 of 2 seeds)")) == len(row(table, "uniform")) > 3
    assert "`moody`, seed 1: failed (weights: no weights today)" in table
    with open(partial / "missing.csv", encoding="utf-8") as handle:
        missing = [(r["method"], r["seed"], r["part"], r["state"]) for r in csv.DictReader(handle)]
    assert missing == [("moody", "1", "run", "failed")]
    summary = (partial / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("**This is a partial report:** 1 job failed, and 1 of 4 runs are missing.")
    assert 'src="figures/pretrain_weights.png"' in (partial / "report.html").read_text(encoding="utf-8")
    assert (partial / "figures/pretrain_weights.png").stat().st_size > 1000
    # The partial report counts for nothing: the same command has all of the complete one to do.
    plan = checkout.plan(*checkout.overlay(CONFIG), CHAMELEON_METHOD_PATH=str(checkout.root / "mine"))
    assert {"collect", "tables", "figures", "summary"} <= set(plan) and len(plan["train"]) == 5

    code, text = run(checkout, GOOD, *SHOWN)
    assert code == 0, text
    assert shown(results) == undisturbed
    assert not partial.exists() and not list(results.rglob("*failure.json"))
