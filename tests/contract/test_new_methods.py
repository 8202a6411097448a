"""Two methods written as a user would (tests/data/methods), run end to end at toy size.

One asks for extra runs and weighs domains by their losses, the other moves its weights while the base model
trains. No file of the suite knows either name.
"""

import csv
import math
from pathlib import Path

import pytest

from chameleon.core.artifacts import read_json
from chameleon.data.sampler import allocate
from chameleon.data.tokens import TokenCorpus
from chameleon.evaluation.perplexity import block_losses, blocks
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.reporting.records.collect import collect
from chameleon.stages import measure, runs, weighting
from chameleon.training.model import Decoder, ModelShape, flops_per_token, load_pretrained

METHODS = Path(__file__).parents[1] / "data" / "methods"
DOMAINS = ("twin_one", "unique", "blend")
SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64)
TRAIN, FORWARD = flops_per_token(SHAPE), flops_per_token(SHAPE, training=False)
STEP = 4 * 16  # tokens of one step of the toy scale
CHECK = 3 * 64  # tokens of one evaluation on the validation split


@pytest.fixture
def cfg(raw, tmp_path, monkeypatch):
    registry.names()
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))
    monkeypatch.setattr(registry, "_scanned", set(registry._scanned))
    monkeypatch.setenv(registry.METHOD_PATH, str(METHODS))
    raw["seeds"] = [0]
    raw["scenarios"]["toy"]["methods"] = ["probe", "swing"]
    return load(raw)


def run_all(cfg, toy, results: Path, label: str) -> None:
    """Run one method's jobs in the workflow's order, into the workflow's folders."""
    run = results / "runs" / "toy" / label / "seed0"
    folders = [run / "extra" / spec.run_id for spec in specs.extra_runs(cfg, "toy", label, 0)]
    for folder in folders:
        spec = specs.extra_run(cfg, "toy", label, 0, folder.name)
        runs.extra_run(spec, toy.manifests, toy.tokenizer, folder, 1)
    weights = results / "weights" / "toy" / label / "seed0.json"
    weighting.weights(specs.weights(cfg, "toy", label, 0), toy.manifests, [], folders, weights, 1)
    runs.train(specs.train(cfg, "toy", label, 0), toy.manifests, weights, toy.tokenizer, run, 1)
    metrics = results / "metrics" / "toy" / label / "seed0.json"
    measure.evaluate(specs.evaluate(cfg, "toy", label, 0), toy.manifests, run / "model", metrics, 1)


def validation_losses(model: Decoder, toy) -> dict[str, float]:
    """Return the loss on the first 64 tokens of every validation split, which no method may train on."""
    corpora = [TokenCorpus(m) for m in toy.manifests]
    return {
        d: block_losses(model.eval(), blocks(c.stream(d, "validation"), 64, 16, d).ids).mean()
        for c in corpora
        for d in c.domains
    }


def tidy(cfg, results: Path, name: str) -> list[dict[str, str]]:
    collect(specs.collect(cfg), results)
    return list(csv.DictReader((results / f"{name}.csv").open()))


def test_a_method_with_extra_runs(cfg, toy, raw, tmp_path):
    raw["scenarios"]["toy"]["methods"] = ["probe"]
    cfg, results = load(raw), tmp_path / "results"
    run_all(cfg, toy, results, "probe")
    run = results / "runs" / "toy" / "probe" / "seed0"
    losses = {}
    for domain in DOMAINS:
        folder = run / "extra" / f"no_{domain}"
        found = read_json(folder / "result.json")
        losses[domain] = found["loss"][domain]
        assert found["weights"][domain] == 0
        assert found["loss"] == pytest.approx(
            validation_losses(load_pretrained(folder / "model"), toy), rel=1e-4
        )
        mixture = read_json(folder / "mixture.json")
        assert mixture["segments"][0]["blocks"] == {d: 0 if d == domain else 4 for d in DOMAINS}
        record = read_json(folder / "run.json", "run")
        assert (record["stage"], record["spec"]["run"]) == ("extra", f"no_{domain}")
        assert record["cost"]["tokens"] == 2 * STEP + CHECK
        assert record["cost"]["flops"] == 2 * STEP * TRAIN + CHECK * FORWARD
    weights = read_json(results / "weights" / "toy" / "probe" / "seed0.json", "weights")
    expected = {d: x / math.fsum(losses.values()) for d, x in losses.items()}
    assert weights["stages"] == [{"start_step": 0, "weights": pytest.approx(expected, rel=1e-12)}]
    assert len(set(expected.values())) == 3 and not weights["online"]
    assert weights["diagnostics"]["runs"] == {f"no_{d}": True for d in DOMAINS}
    played = read_json(run / "mixture.json")["segments"]
    assert [s["blocks"] for s in played] == [allocate(weights["stages"][0]["weights"], 8 * 4)]
    costs = {row["stage"]: row for row in tidy(cfg, results, "costs")}
    assert {stage: int(row["tokens"]) for stage, row in costs.items()} == {
        "extra": 3 * (2 * STEP + CHECK),
        "weights": 0,
        "base": 8 * STEP,
        "evaluate": 3 * 320,
    }


def test_an_online_method(cfg, toy, raw, tmp_path):
    raw["scenarios"]["toy"]["methods"] = ["swing"]
    cfg, results = load(raw), tmp_path / "results"
    run_all(cfg, toy, results, "swing")
    assert read_json(results / "weights" / "toy" / "swing" / "seed0.json", "weights")["online"]
    run = results / "runs" / "toy" / "swing" / "seed0"
    segments = read_json(run / "mixture.json")["segments"]
    assert [(s["start_step"], s["steps"]) for s in segments] == [(0, 3), (3, 3), (6, 2)]
    for segment in segments:
        assert segment["blocks"] == allocate(segment["weights"], segment["steps"] * 4)
    first = validation_losses(
        Decoder(SHAPE).initialise(specs.train(cfg, "toy", "swing", 0)["seeds"]["init"]), toy
    )
    assert segments[0]["weights"] == pytest.approx(
        {d: x / sum(first.values()) for d, x in first.items()}, rel=1e-4
    )
    assert segments[0]["weights"] != segments[1]["weights"] != segments[2]["weights"]
    record = read_json(run / "run.json", "run")
    assert record["cost"]["tokens"] == 8 * STEP and record["cost"]["flops"] == 8 * STEP * TRAIN
    ordered = record["validation_cost"]
    assert ordered["tokens"] == 3 * CHECK, "what the method measured is counted"
    assert ordered["flops"] == 3 * CHECK * FORWARD
    costs = {r["stage"]: r for r in tidy(cfg, results, "costs")}
    assert int(costs["validation"]["tokens"]) == 3 * CHECK and int(costs["base"]["tokens"]) == 8 * STEP
    asked = {(int(r["step"]), r["domain"]): float(r["weight"]) for r in tidy(cfg, results, "weights")}
    assert asked == {(s["start_step"], d): s["weights"][d] for s in segments for d in DOMAINS}


def test_parameters_reach_the_jobs_they_decide(cfg, raw):
    """An online method's move the base run; those of a method with extra runs move the runs they name."""

    def jobs_of(cfg, label):
        jobs = {"weights": specs.weights(cfg, "toy", label, 0), "train": specs.train(cfg, "toy", label, 0)}
        for run in specs.extra_runs(cfg, "toy", label, 0):
            jobs[run.run_id] = specs.extra_run(cfg, "toy", label, 0, run.run_id)
        return jobs

    def changed(label, **params):
        one, other = jobs_of(cfg, label), jobs_of(load({**raw, "method_params": {label: params}}), label)
        return {job for job in one if one[job] != other[job]}

    assert changed("swing", every=2) == {"weights", "train"}
    assert changed("probe", power=2.0) == {"weights"}
    assert changed("probe", steps=3) == {"weights", *(f"no_{d}" for d in DOMAINS)}
    runs = [specs.extra_run(cfg, "toy", "probe", 0, f"no_{d}") for d in DOMAINS]
    proxy = specs.proxy(cfg, "toy", 0)
    assert all(r["seeds"] == proxy["seeds"] and r["model"] == proxy["model"] for r in runs)
