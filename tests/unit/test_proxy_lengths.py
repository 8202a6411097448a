"""Proxies as long as a method asks: their jobs, what they wait for, and the lengths in the papers' config."""

from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.experiment import specs
from chameleon.experiment.load import load, load_files
from chameleon.pricing import text
from chameleon.pricing.jobs import Walk
from chameleon.stages import runs


def walk(raw):
    return {job.name: job for job in Walk(load(raw)).all()}


def test_proxies_of_own_length_are_jobs_and_cost_of_their_own(raw, monkeypatch):
    """The toy proxy takes 4 steps: with 20 of its own DoReMi trains two runs of 20 and needs no proxy."""
    monkeypatch.setattr(text, "vocabulary", lambda given: 64)
    raw["scenarios"]["toy"]["methods"] = ["doremi", "doge"]
    raw["method_params"] = {"doremi": {"steps": 20}, "doge": {"steps": 20}}
    cfg, jobs = load(raw), walk(raw)
    assert "proxy toy 0" not in jobs
    assert "extra toy doremi 0 reference_1" in jobs["extra toy doremi 0 proxy"].needs
    assert not specs.collect(cfg)["scenarios"]["toy"]["methods"]["doremi"]["reference"]
    reference = specs.extra_run(cfg, "toy", "doremi", 0, "reference_1")
    assert reference["own"] is None
    plain = specs.proxy(cfg, "toy", 0)
    assert (reference["seeds"], reference["model"]) == (plain["seeds"], plain["model"])
    runs_of = [("doremi", "reference_1"), ("doremi", "proxy"), ("doge", "proxy")]
    assert {specs.extra_run(cfg, "toy", m, 0, r)["train"]["steps"] for m, r in runs_of} == {20}
    raw["method_params"] = {}
    assert "proxy toy 0" in walk(raw)["extra toy doremi 0 proxy"].needs
    assert specs.extra_run(load(raw), "toy", "doremi", 0, "proxy")["train"]["steps"] == 4


def test_the_papers_config_gives_their_lengths_of_proxies():
    root = Path(__file__).parents[2]
    cfg = load_files([root / "config.yaml", root / "configs/slimpajama.yaml"])
    found = [specs.proxy(cfg, "pretrain", 0)["train"]["steps"]]
    found += [specs.extra_run(cfg, "pretrain", m, 0, "proxy")["train"]["steps"] for m in ("doremi", "doge")]
    assert found == [2000, 10000, 10000]


def test_a_reference_of_its_own_is_what_the_scenario_s_would_be(raw, toy, tmp_path):
    """As long as the scenario's proxy, both ways of having a reference lead to the same bytes."""
    raw["scenarios"]["toy"]["methods"] = ["doremi"]

    def play(steps, reference):
        raw["method_params"] = {"doremi": {"steps": steps}}
        spec = specs.extra_run(load(raw), "toy", "doremi", 0, "proxy")
        out = tmp_path / f"proxy_{steps}"
        own = {"after": [reference]} if steps else {"reference": reference}
        runs.extra_run(spec, toy.manifests, toy.tokenizer, out, 1, **{"after": [], **own})
        return read_json(out / "result.json")

    runs.proxy(specs.proxy(load(raw), "toy", 0), toy.manifests, toy.tokenizer, tmp_path / "shared", 1)
    shared = play(None, tmp_path / "shared")
    raw["method_params"] = {"doremi": {"steps": 4}}
    plain = specs.extra_run(load(raw), "toy", "doremi", 0, "reference_1")
    runs.extra_run(plain, toy.manifests, toy.tokenizer, tmp_path / "reference_1", 1, after=[])
    assert play(4, tmp_path / "reference_1") == shared
