"""The real workflow at toy size: what a run leaves, and what a change makes Snakemake run again."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout, make_checkout
from killing import digests

from chameleon.reporting.catalogue import TIDY, figure_stems, table_stems

pytestmark = pytest.mark.slow
KINDS = {"pretrain": "pretrain", "transfer": "transfer", "finetune_toy": "finetune"}
TABLES = table_stems(KINDS, ["pretrain"])
METHODS = ("uniform", "natural", "doremi", "doge", "regmix", "aioli", "aioli_mean", "chameleon",
           "chameleon_permuted", "chameleon_untrained", "single_domain")  # fmt: skip
SEEDS = (0, 1)
#: What follows from any new number: the tidy files and everything drawn from them.
LAST = {"collect", "tables", "figures", "summary", "page", "all"}
#: What follows from new base models: tests, few-shot tasks and all that is drawn from them.
TESTED = {"evaluate", "fewshot"} | LAST
STUDY = {"sensitivity_proxy", "sensitivity_embed", "sensitivity", "sensitivity_report"}


def test_run_leaves_every_file(smoke: Checkout) -> None:
    results = smoke.root / "results" / "smoke"
    wanted = [f"{name}.csv" for name in TIDY]
    wanted += [f"tables/{stem}.{kind}" for stem in TABLES for kind in ("csv", "md", "html")]
    wanted += [f"figures/{stem}.{kind}" for stem in figure_stems(KINDS) for kind in ("png", "pdf")]
    wanted += ["summary.md", "page.html", "sensitivity.csv", "fewshot/pretrain.json", "fewshot/transfer.json"]
    for method in METHODS:
        for seed in SEEDS:
            run = f"pretrain/{method}/seed{seed}"
            wanted += [f"weights/{run}.json", f"metrics/{run}.json", f"runs/{run}/run.json"]
            model = ("config.json", "model.safetensors", "tokenizer.json")
            wanted += [f"runs/{run}/model/{name}" for name in model]
    missing = [n for n in wanted if not (results / n).is_file() or not (results / n).stat().st_size]
    assert not missing
    assert not list(results.rglob("*.tmp")), "temporary files were left behind"


def test_jobs_leave_nothing_in_the_temporary_folder(smoke: Checkout) -> None:
    assert not list((smoke.root / "temporary").iterdir())


def test_second_run_has_nothing_to_do(smoke: Checkout) -> None:
    assert smoke.plan() == {}


def test_a_method_parameter_reruns_that_method_and_what_is_made_of_it(smoke: Checkout) -> None:
    plan = smoke.plan("--configfile", *smoke.overlay("method_params: {chameleon: {temperature: 2.5}}\n")[1:])
    assert set(plan) == {"weights", "train", "forecast", "sensitivity", "sensitivity_report"} | TESTED
    for rule in ("weights", "train", "evaluate"):
        assert {p.split("/")[4] for p in plan[rule]} == {"chameleon", "chameleon_permuted"}


def test_a_new_seed_reruns_no_old_one(smoke: Checkout) -> None:
    plan = smoke.plan("--configfile", *smoke.overlay("seeds: [0, 1, 7]\n")[1:])
    new = {"proxy", "extra", "swarm", "embed", "weights", "forecast", "train", "evaluate"}
    assert set(plan) == new | STUDY | TESTED
    # The study embeds with every proxy under every seed's windows, the old proxies too.
    made = {path for rule in new | {"sensitivity_proxy"} for path in plan[rule]}
    assert made and all("seed7" in path for path in made)


@pytest.fixture(scope="module")
def copied(smoke: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The smoke checkout once more: others look at it while its package is edited here."""
    root = tmp_path_factory.mktemp("copied") / "smoke"
    shutil.copytree(smoke.root, root, symlinks=True)
    return Checkout(root)


@pytest.fixture
def package(copied: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The copied checkout's own package, to be edited; the link is put back afterwards."""
    # Coverage would report on the copy, which is gone by then.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    link = copied.root / "chameleon"
    target = link.readlink()
    link.unlink()
    shutil.copytree(target, link, ignore=shutil.ignore_patterns("__pycache__"))
    yield link
    shutil.rmtree(link)
    link.symlink_to(target)


def test_a_comment_in_the_package_reruns_nothing(copied: Checkout, package: Path) -> None:
    for file in package.rglob("*.py"):
        file.write_text(file.read_text(encoding="utf-8") + "# A remark.\n", encoding="utf-8")
    assert copied.plan() == {}


@pytest.mark.parametrize(
    ("stage", "rules"),
    [
        ("train", {"proxy", "extra", "swarm", "embed", "weights", "forecast", "train"} | STUDY | TESTED),
        ("evaluate", {"evaluate"} | LAST),
        ("tables", {"tables", "summary", "all"}),
    ],
)
def test_a_version_reruns_its_stage(copied: Checkout, package: Path, stage: str, rules: set[str]) -> None:
    versions = package / "core" / "versions.py"
    text, count = re.subn(rf'"{stage}": (\d+)', lambda m: f'"{stage}": {int(m[1]) + 1}', versions.read_text())
    assert count == 1
    versions.write_text(text)
    assert set(copied.plan()) == rules


def test_everything_has_the_same_bytes_elsewhere_on_one_core_in_another_order(
    smoke: Checkout, tmp_path: Path
) -> None:
    """A second checkout in another folder computes one seed of two methods from the start."""
    methods = ("chameleon", "aioli")
    other = make_checkout(tmp_path)
    # One job at a time; the smoke run had two, and everything else between them.
    done = other.snakemake(
        "--cores", "1", *(f"results/smoke/metrics/pretrain/{m}/seed0.json" for m in methods)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    here, there = (digests(one.root / "results" / "smoke") for one in (other, smoke))
    assert len(here) > 40 and not [name for name in here if here[name] != there.get(name)]


def test_transfer_trains_no_proxy_and_embeds_no_old_domain(smoke: Checkout) -> None:
    """What Chameleon's weights in transfer were made from, read off the run records."""
    results = smoke.root / "results" / "smoke"
    record = json.loads((results / "weights/transfer/chameleon/seed0.run.json").read_text())
    embedded = {path.split("embeddings/")[1] for path in record["inputs"] if "embeddings/" in path}
    assert embedded == {f"proxy_pretrain/seed0/{c}.json" for c in ("toy", "whale", "toy_new")}
    before = json.loads((results / "weights/pretrain/chameleon/seed0.run.json").read_text())
    kept = {path: sha for path, sha in before["inputs"].items() if "embeddings/" in path}
    assert len(kept) == 2 and all(record["inputs"][path] == sha for path, sha in kept.items())
    new = json.loads((results / "embeddings/proxy_pretrain/seed0/toy_new.run.json").read_text())
    assert new["domains_embedded"] == ["cousin"]
    proxy = results / "proxies/pretrain/seed0/model/model.safetensors"
    assert hashlib.sha256(proxy.read_bytes()).hexdigest() in new["inputs"].values()
    with open(results / "costs.csv", encoding="utf-8") as handle:
        rows = [r for r in csv.DictReader(handle) if r["scenario"] == "transfer" and r["seed"] == "0"]
    stages = {m: [r["stage"] for r in rows if r["method"] == m] for m in ("chameleon", "chameleon_retrained")}
    assert stages["chameleon"] == ["embed", "weights", "base", "evaluate", "fewshot"]
    assert stages["chameleon_retrained"] == ["proxy", *stages["chameleon"]]


def test_report_is_made_from_the_results(smoke: Checkout) -> None:
    done = smoke.snakemake("--report", "results/smoke/report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (smoke.root / "results/smoke/report.html").read_text(encoding="utf-8")
    for stem in (*figure_stems(KINDS), *TABLES, "summary", "page.html"):
        assert stem in text, f"{stem} is not in the report"


def test_weights_of_another_tokenizer_are_refused(smoke: Checkout, tmp_path: Path) -> None:
    results = smoke.root / "results" / "smoke"
    weights = json.loads((results / "weights/pretrain/uniform/seed0.json").read_text())
    weights["tokenizer_sha256"] = "0" * 64
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps(weights))
    spec = json.loads((results / "runs/pretrain/uniform/seed0/run.json").read_text())["spec"]
    files = {
        "--weights": foreign,
        "--tokenizer": results / "tokenizer",
        "--out": tmp_path / "run",
    }
    command = ["python", "-m", "chameleon", "job", "train", "--spec", json.dumps(spec)]
    command += [str(part) for pair in files.items() for part in pair]
    command += ["--tokens", *(str(results / "tokens" / c / "manifest.json") for c in ("toy", "whale"))]
    done = smoke.run(*command)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "tokenizer" in done.stderr and "foreign.json" in done.stderr
    assert not (tmp_path / "run").exists()
