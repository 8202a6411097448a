"""Integrity of a whole run: `chameleon verify` on it, and what a file edited by hand does to the workflow."""

import re
import shutil
from pathlib import Path

import pytest
from checkout import Checkout

from chameleon.integrity.verify import verify
from chameleon.sensitivity import catalogue as study

pytestmark = pytest.mark.slow

STUDY = {f"tables/sensitivity_{name}" for name in study.TABLES} | {
    f"figures/sensitivity_{name}" for name in study.FIGURES
}


#: What is over all scenarios.
OVERALL = {"tables/verdicts", "summary", "page"}


def pages(scenario: str, tables: str, figures: str = "") -> set[str]:
    return {f"tables/{scenario}_{name}" for name in tables.split()} | {
        f"figures/{scenario}_{name}" for name in figures.split()
    }


#: Files of the smoke run that do not depend on each other, and what depends on each.
CHANGED = {
    "fewshot/pretrain.json": pages("pretrain", "main details fewshot", "fewshot") | OVERALL,
    "metrics/transfer/uniform/seed1.json": pages(
        "transfer",
        "main details perplexity difference robust noise",
        "ranks distance relative_perplexity quality_cost",
    )
    | OVERALL,
    # RegMix's weights come from it, and what it foretells.
    "runs/pretrain/regmix/seed0/swarm/part0.json": pages(
        "pretrain",
        "main details perplexity difference robust unseen noise weights agreement epochs forecast fewshot "
        "costs",
        "ranks distance relative_perplexity learning_curves learning_curves_domains weights "
        "weights_over_time fewshot quality_cost",
    )
    | OVERALL,
    "sensitivity/embeddings/steps_30/seed0.json": STUDY,
    "sensitivity/proxies/steps_30/seed1/model/checkpoints/step15/model.safetensors": STUDY,
    "figures/pretrain_krls.png": pages("pretrain", "", "krls"),
}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_finished_run_is_clean_in_less_than_two_minutes(smoke: Checkout) -> None:
    done = smoke.run("python", "-m", "chameleon", "verify", "results/smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    found = re.fullmatch(
        r"([\d,]+) of ([\d,]+) cells of 48 tables traced, ([\d,]+) files hashed, .* MB, ([\d.]+) s: "
        "nothing is wrong",
        line,
    )
    assert found is not None, line
    assert found[1] == found[2] and int(found[3].replace(",", "")) > 700 and float(found[4]) < 120


def test_changed_files_of_every_stage_are_found_with_what_depends_on_them(
    smoke: Checkout, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(smoke.root / "results" / "smoke", results)
    for path in CHANGED:
        flip(results / path)
    wrong = [finding for finding in verify(results).findings if finding.wrong]
    assert {f.path.relative_to(results).as_posix(): set(f.pages) for f in wrong} == CHANGED


def test_weights_edited_by_hand_stop_training_and_are_made_again(smoke: Checkout, tmp_path: Path) -> None:
    shutil.copytree(smoke.root, tmp_path / "copy", symlinks=True)
    copy = Checkout(tmp_path / "copy")
    run, weights = "runs/pretrain/natural/seed0", "results/smoke/weights/pretrain/natural/seed0.json"
    path = copy.root / weights
    path.write_text(path.read_text().replace('"seed": 0', '"seed":  0'))
    assert set(copy.plan()) >= {"train", "evaluate"}, "Snakemake sees that the file is newer"
    done = copy.snakemake(f"results/smoke/{run}/run.json")
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in said
    refusal = rf"error: {weights}: changed since job weights wrote it: .*method_params\.fixed\.file"
    assert re.search(refusal, said), said
    assert not list((copy.root / "results" / "smoke" / run).glob("model/*")), "nothing half-trained is left"
    command = re.search(r"snakemake --cores all (--forcerun \S+)", said)
    assert command is not None
    plan = copy.plan(*command[1].split())
    assert plan["weights"] >= {weights} and {"train", "evaluate", "collect", "tables"} <= set(plan)
