"""The plan: every job once, with the operations its run record will show, laid on cores."""

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from chameleon import cli
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load, load_files
from chameleon.experiment.specs import study
from chameleon.pricing import online, report, speed, text
from chameleon.pricing.job import Job
from chameleon.pricing.jobs import Walk
from chameleon.pricing.objectives import objective_runs
from chameleon.pricing.schedule import makespan, reached, seconds
from chameleon.stages import measure, runs
from chameleon.training.model import ModelShape, flops_per_token

VOCAB = 64


@pytest.fixture
def walk(raw, monkeypatch):
    monkeypatch.setattr(text, "vocabulary", lambda given: VOCAB)
    return lambda: {job.name: job for job in Walk(load(raw)).all()}


def test_every_job_is_there_once(raw, walk):
    names = list(walk())
    seeds = (0, 1)
    expected = ["report", "tokenizer"]
    expected += [f"{stage} {c}" for stage in ("fetch", "prepare", "tokens") for c in ("left", "right")]
    expected += [f"proxy toy {s}" for s in seeds]
    expected += [f"embed proxy_toy {c} {s}" for c in ("left", "right") for s in seeds]
    expected += [f"{stage} toy {m} {s}" for stage in ("weights", "base", "evaluate")
                 for m in raw["scenarios"]["toy"]["methods"] for s in seeds]  # fmt: skip
    assert sorted(names) == sorted(expected)


def test_a_corpus_in_parts_is_a_job_for_every_part(raw, walk):
    whole = walk()
    raw["data"]["parts"] = 3
    jobs = walk()
    new = {
        f"{step} {c} {i}"
        for step in ("read", "gather", "encode")
        for c in ("left", "right")
        for i in range(3)
    }
    assert jobs.keys() - whole.keys() == new
    assert set(jobs["gather left 1"].needs) == {f"read left {i}" for i in range(3)}
    assert {"read left 2", "gather left 0"} <= reached("prepare left", jobs.values())
    assert "encode right 2" in reached("base toy uniform 0", jobs.values())
    slow, start = speed.given(1e10, {}), text.FIXED_SECONDS["light"]
    raw["data"]["parts"] = 6
    halves = walk()
    assert seconds(jobs["read left 1"], slow) - start == pytest.approx(
        2 * (seconds(halves["read left 1"], slow) - start)
    )


def test_a_job_waits_for_what_it_reads(walk):
    jobs = walk()
    for i, job in enumerate(jobs.values()):
        assert all(name in jobs for name in job.needs), job.name
        assert not set(job.needs) & set(list(jobs)[i:]) or job.stage in ("tokens", "tokenizer")
    weights = reached("weights toy chameleon 1", jobs.values())
    assert {"proxy toy 1", "embed proxy_toy left 1", "tokens right", "prepare left"} <= weights
    assert not any(name.startswith("proxy") for name in reached("base toy natural 1", jobs.values()))


def test_operations_are_those_of_the_run_records(raw, walk, toy, tmp_path):
    jobs, cfg = walk(), load(raw)
    folder = tmp_path / "proxy"
    runs.proxy(specs.proxy(cfg, "toy", 0), toy.manifests, toy.tokenizer, folder, 1)
    cost = read_json(folder / "run.json", "run")["cost"]
    job = jobs["proxy toy 0"]
    assert (job.tokens, job.flops) == (cost["tokens"], cost["flops"])
    size = (folder / "model" / "model.safetensors").stat().st_size
    assert job.disk == pytest.approx(size, rel=0.1)
    out = tmp_path / "left.json"
    measure.embed(specs.embed(cfg, "proxy_toy", "left", 0), toy.manifests[:1], folder / "model", out, 1)
    cost = read_json(out.with_suffix(".run.json"), "run")["cost"]
    job = jobs["embed proxy_toy left 0"]
    assert (job.tokens, job.flops) == (cost["tokens"], cost["flops"])
    measure.evaluate(
        specs.evaluate(cfg, "toy", "natural", 0), toy.manifests, folder / "model", tmp_path / "m.json", 1
    )
    cost = read_json(tmp_path / "m.run.json", "run")["cost"]
    job = jobs["evaluate toy natural 0"]
    assert (job.tokens, job.flops) == (cost["tokens"], cost["flops"])


def test_the_studys_embedding_is_priced_like_its_record(raw, walk, toy, tmp_path):
    from chameleon.sensitivity.embed import embed

    raw["sensitivity"] = {"scenario": "toy", "layers": "all", "windows": [2], "window_lengths": [4],
                          "window_seeds": 3, "proxy_steps": [2], "checkpoints": [0.5]}  # fmt: skip
    jobs, cfg = walk(), load(raw)
    assert {n for n in jobs if n.startswith("sensitivity_")} == {
        f"sensitivity_{what} {v} {s}"
        for v in ("default", "steps_2")
        for s in (0, 1)
        for what in ("embed", "proxy")
    } - {f"sensitivity_proxy default {s}" for s in (0, 1)}
    folder = tmp_path / "proxy"
    runs.proxy(specs.proxy(cfg, "toy", 0), toy.manifests, toy.tokenizer, folder, 1)
    embed(study.embed(cfg, "default", 0), toy.manifests, folder / "model", tmp_path / "e.json", 1)
    cost = read_json(tmp_path / "e.run.json", "run")["cost"]
    job = jobs["sensitivity_embed default 0"]
    assert (job.tokens, job.flops) == (cost["tokens"], cost["flops"])


def test_an_online_methods_passes_are_counted_by_playing_its_controller(raw):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "aioli"]
    raw["scenarios"]["toy"]["base"]["steps"] = 400
    cfg = load(raw)
    passes = online.validation_passes(cfg, "toy", "aioli", 0)
    params = cfg.method("aioli")[1]
    assert passes > 0 and passes % (1 + 3 * params["lp_rounds"]) == 0, (
        "one before, one after each domain's probe"
    )
    job = {j.name: j for j in Walk(cfg).all()}["base toy aioli 0"]
    shape = ModelShape(**raw["scales"]["tiny"]["model"], vocab_size=300)
    expected = flops_per_token(shape, training=False) * 3 * passes * 64
    assert job.ordered_flops == pytest.approx(expected)


def test_an_objectives_measured_operations_replace_the_assumption(raw):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "doge"]
    cfg = load(raw)
    (key,) = (run["key"] for run in objective_runs(cfg))
    assumed = next(j for j in Walk(cfg).all() if j.stage == "extra")
    told = next(j for j in Walk(cfg, {key: 2.0}).all() if j.stage == "extra")
    assert told.objective == key and told.train_flops == pytest.approx(assumed.train_flops * 2 / (4 / 3))


def job(name, needs=(), threads=1, gpus=0, stage="base"):
    return Job(name, stage, threads=threads, gpus=gpus, needs=tuple(needs))


def test_jobs_are_laid_on_cores():
    four = [job(str(i)) for i in range(4)]
    assert makespan(four, [1.0] * 4, 2) == 2 and makespan(four, [1.0] * 4, 8) == 1
    chain = [job("a"), job("b", "a"), job("c", "b"), job("d")]
    assert makespan(chain, [1, 2, 3, 1], 2) == 6
    wide = [job("a", threads=2), job("b"), job("c")]
    assert makespan(wide, [1.0] * 3, 2) == 2 and makespan(wide, [1.0] * 3, 1) == 3
    devices = [job("a", gpus=1), job("b", gpus=1), job("c")]
    assert makespan(devices, [1.0] * 3, 8, devices=1) == 2


def test_training_jobs_alone_take_several_gpus(raw, walk):
    raw["gpus_per_job"] = 4
    jobs = walk()
    asked = {job.stage: job.gpus for job in jobs.values()}
    assert [asked[stage] for stage in ("proxy", "base", "embed", "evaluate", "tokens")] == [4, 4, 1, 1, 0]
    base = jobs["base toy natural 0"]
    pace = speed.given(1e9, raw["scales"])
    one = replace(base, gpus=1)
    training = base.train_flops / pace.train["tiny"]
    assert seconds(one, pace) - seconds(base, pace) == pytest.approx(training * 3 / 4)


def test_proxies_go_first():
    """Two base runs, a proxy and what waits for it, on two cores: 3 with the proxy first, 4 with it last."""
    jobs = [job("a"), job("b"), job("p", stage="proxy"), job("after", "p")]
    assert makespan(jobs, [1, 1, 1, 2], 2) == 3


def test_a_job_that_cannot_start_is_a_mistake():
    with pytest.raises(ValueError, match="waits for x, which is no job"):
        makespan([job("a", "x")], [1], 1)
    with pytest.raises(ValueError, match="wait for each other"):
        makespan([job("a", "b"), job("b", "a")], [1, 1], 1)


def test_seconds_of_a_job():
    found = speed.Speed({"s": 10.0}, {"s": 40.0}, {"k": 3.0}, {"k": 2.0}, start=1.0)
    base = Job("a", "base", scale="s", train_flops=20, forward_flops=80, fixed="torch")
    assert seconds(base, found, here=False) == 1 + 2 + 2
    forked = text.FIXED_SECONDS["fork"] / text.FIXED_SECONDS["torch"]
    assert seconds(base, found) == pytest.approx(forked + 2 + 2)
    assert seconds(replace(base, threads=2), found) == 1 + 2 + 2, "of several threads none is a fork"
    own = Job("a", "extra", scale="s", train_flops=20, objective="k", fixed="torch")
    assert seconds(own, found, here=False) == 1 + 2 * 3 / 2, "three plain steps for the operations of two"
    read = Job("a", "prepare", text=("prepare", 10), threads=2)
    as_assumed = text.FIXED_SECONDS["light"] + text.SECONDS_PER_MB["prepare"] * 5
    assert seconds(read, replace(found, start=None)) == pytest.approx(as_assumed)
    # Here a process starts in a second, not three.
    assert seconds(read, found) == pytest.approx(as_assumed / text.FIXED_SECONDS["torch"])


def test_the_plan_is_printed_for_files_laid_over_each_other(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    (tmp_path / "over.yaml").write_text("seeds: [7]\nscenarios: {toy: {methods: [uniform]}}\n")
    (tmp_path / "more.yaml").write_text("scenarios: {toy: {base: {steps: 16}}}\n")
    command = ["plan", "--configfile", "over.yaml", "more.yaml", "--cores", "2", "--device-flops", "1e9"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("11 jobs on 2 cores") and "1e+09 FLOP/s a job" in printed
    cfg = load_files(["config.yaml", "over.yaml", "more.yaml"])
    assert cfg.seeds == [7] and cfg.raw["scenarios"]["toy"]["base"] == {"scale": "tiny", "steps": 16}
    assert cfg.raw["scenarios"]["toy"]["proxy"] == raw["scenarios"]["toy"]["proxy"], "mappings are merged"
    jobs, _, _ = report.make(cfg, 2, flops=1e9)
    assert len(jobs) == 11 and f"{sum(job.flops for job in jobs):.2e}" in printed
    # The base run's 16 steps of 4 blocks, and the test of three domains.
    assert sum(job.tokens for job in jobs) == 16 * 4 * 16 + 3 * 320


def test_a_file_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan", "--configfile", "none.yaml"]) == 2
    assert capsys.readouterr().err == "error: none.yaml: no such file\n"


def test_a_measured_speed_is_of_the_right_size(raw):
    """Worker as `measure` starts it, one short trial: positive, and no faster than 10 TFLOP/s of one core."""
    task = {"scales": {"tiny": raw["scales"]["tiny"]}, "vocab": 64, "threads": 1, "objectives": []}
    code = ("import json, sys; from dataclasses import asdict; import chameleon.pricing.speed as s; "
            "s.SECONDS = 0.05; print(json.dumps(asdict(s.worker(json.loads(sys.argv[1])))))")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(task)], capture_output=True, text=True, check=True
    )
    found = speed.Speed(**json.loads(done.stdout))
    assert 1e5 < found.train["tiny"] < 1e13 and 1e5 < found.forward["tiny"] < 1e13
    assert found.start is not None and 0 < found.start < 120


def test_the_papers_flops_are_met_at_the_papers_scale(raw):
    raw["scales"]["82M"] = copy.deepcopy(raw["scales"]["tiny"])
    raw["scales"]["82M"]["model"] = {"n_layer": 6, "n_head": 12, "d_model": 768, "context": 512}
    raw["scales"]["82M"]["train"] |= {"batch_size": 512, "steps": 2000}
    raw["scenarios"]["toy"]["proxy"] = {"scale": "82M"}
    raw["tokenizer"] = {"kind": "gpt2"}
    raw["evaluation"] = {"test_tokens": 512, "validation_tokens": 512}
    cfg = load(raw)
    note, line = report.published(cfg, Walk(cfg).all())
    assert "6 per weight of the blocks' matrices" in note and line.startswith("toy/chameleon:")
    assert "1.34e+17 of them in the blocks' matrices; published 1.36e+17, 1 times that" in line
    raw["scales"]["82M"]["model"]["d_model"] = 384
    cfg = load(raw)
    assert report.published(cfg, Walk(cfg).all()) == []


def test_text_sizes(raw, tmp_path):
    cfg = load(raw)
    assert text.megabytes(cfg, "left") == pytest.approx(2 * 400 * text.SYNTHETIC_BYTES / 1e6)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("x" * 3000)
    raw["corpora"]["right"] = {"kind": "local", "path": str(tmp_path)}
    assert text.megabytes(load(raw), "right") == pytest.approx(0.003)
    raw["data"]["max_bytes_per_domain"] = 1000
    assert text.megabytes(load(raw), "right") == pytest.approx(0.001)
    assert text.bytes_per_token(2048) < text.bytes_per_token(50257)


def test_a_registry_corpus_counts_each_package_once(raw):
    raw["corpora"]["left"] = {"kind": "registry", "set": "slim7"}
    raw["data"]["max_bytes_per_domain"] = 12_000_000
    cfg = load(raw)
    assert text.megabytes(cfg, "left") == 7 * 12
    assert 20 < text.download(cfg, "left") < 1000 and text.unknown(cfg) == []


def test_a_hub_corpus_without_a_cap_is_said_to_be_unknown(raw):
    hub = {
        "kind": "hf",
        "path": "a/b",
        "split": "train",
        "text_field": "text",
        "configs": {"x": "x", "y": "y"},
    }
    raw["corpora"]["right"] = hub
    cfg = load(raw)
    assert text.unknown(cfg) == ["right"]
    printed = report.render(cfg, *report.make(cfg, 1, flops=1e9), cores=1)
    assert "Size unknown before it is fetched, counted as nothing: right." in printed


def test_configs_that_cannot_be_laid_over_each_other(tmp_path):
    (tmp_path / "a.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="expected a mapping"):
        load_files([tmp_path / "a.yaml"])


@pytest.mark.slow
def test_the_plan_lists_the_workflows_jobs(tmp_path):
    """As many jobs of every rule as Snakemake plans for the smoke config."""
    root = Path(__file__).resolve().parents[2]
    options = f"-n --quiet rules --cores 1 --forceall --nolock --config results_dir={tmp_path}".split()
    command = [sys.executable, "-m", "snakemake", *options, "--configfile", "configs/smoke.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    planned = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M))
    jobs = Walk(load_files([root / "config.yaml", root / "configs" / "smoke.yaml"])).all()
    mine = Counter(job.stage if job.stage != "sensitivity" else job.name.split()[0] for job in jobs)
    rules = {"base": "train"}
    for stage, count in mine.items():
        if stage != "report":
            assert int(planned[rules.get(stage, stage)]) == count, stage
    reports = {
        "items",
        "collect",
        "tables",
        "figures",
        "page",
        "summary",
        "all",
        "total",
        "sensitivity",
        "sensitivity_report",
        "models",
    }
    assert {rules.get(s, s) for s in mine} - {"report"} == set(planned) - reports
