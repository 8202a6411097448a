"""What a job takes is what the job before left: a changed input ends a job before it does anything."""

import json
import shutil
from pathlib import Path

import pytest

from chameleon.core.artifacts import read_json, sha256_file
from chameleon.core.errors import UserError
from chameleon.core.handover import digests
from chameleon.core.provenance import Recorder
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.stages import measure, report, runs, weighting


def write(stage: str, record: Path, *outputs: Path) -> None:
    """Write the record of a job that left these files and folders."""
    recorder = Recorder(stage, {})
    recorder.outputs = list(outputs)
    recorder.write(record)


@pytest.fixture
def run(tmp_path):
    """A run's folder with its record, as a training leaves it."""
    folder = tmp_path / "runs" / "toy" / "uniform" / "seed0"
    for name in ("model/model.safetensors", "model/checkpoints/step2/model.safetensors", "model/.stamp",
                 "mixture.json", "extra/probe/result.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    write("base", folder / "run.json", folder / "model", folder / "mixture.json")
    return folder


def test_a_record_has_the_digests_of_files_and_of_those_in_folders(run):
    outputs = read_json(run / "run.json", "run")["outputs"]
    names = ("mixture.json", "model/checkpoints/step2/model.safetensors", "model/model.safetensors")
    assert outputs == {str(run / name): sha256_file(run / name) for name in names}


def test_a_spec_keeps_its_order_in_the_record(tmp_path):
    spec = {"domains": {"b": "x", "a": "x"}, "about": 1}
    Recorder("weights", spec).write(tmp_path / "run.json")
    assert json.dumps(read_json(tmp_path / "run.json")["spec"]) == json.dumps(spec)


@pytest.mark.parametrize(
    "name", ["model/model.safetensors", "model/checkpoints/step2/model.safetensors", "mixture.json"]
)
def test_a_changed_output_is_refused_wherever_the_results_lie_now(run, tmp_path, name):
    moved = tmp_path / "elsewhere" / "seed0"
    shutil.copytree(run, moved)
    Recorder("evaluate", {}, [moved / name])
    (moved / name).write_text("changed")
    with pytest.raises(UserError) as caught:
        Recorder("evaluate", {}, [moved / name])
    text = str(caught.value)
    assert text.startswith(f"{moved / name}: changed since job base wrote it: ")
    now, then = (sha256_file(folder / name)[:12] for folder in (moved, run))
    assert f"begins with {now}, {moved / 'run.json'} says {then}; " in text
    assert f"snakemake --cores all --forcerun {moved / 'run.json'}" in text and "\n" not in text
    assert "fixed" not in text


def test_what_no_record_is_about_passes(run, tmp_path):
    own = run / "extra" / "probe" / "result.json"
    write("extra", own.parent / "run.json")
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"notes": "somebody else\'s"}')
    Recorder("weights", {}, [own, tmp_path / "mine.json"])


def test_a_record_that_was_cut_short_is_refused(run):
    (run / "run.json").write_text((run / "run.json").read_text()[:99])
    with pytest.raises(UserError, match=r"run.json: not a run record \(cut short\?\): .* --forcerun "):
        Recorder("collect", {}, [run / "mixture.json"])


def test_a_record_may_lie_elsewhere(tmp_path):
    tidy, record = tmp_path / "sensitivity.csv", tmp_path / "sensitivity" / "run.json"
    tidy.write_text("a\n1\n")
    write("sensitivity", record, tidy)
    Recorder("sensitivity_report", {}, [tidy], records=[record])
    tidy.write_text("a\n2\n")
    with pytest.raises(UserError, match="changed since job sensitivity wrote it"):
        Recorder("sensitivity_report", {}, [tidy], records=[record])


def test_an_input_is_hashed_once_and_before_the_clock_starts(run, monkeypatch):
    from chameleon.core import provenance

    hashed = []
    monkeypatch.setattr(provenance, "sha256_file", lambda path: hashed.append(path) or sha256_file(path))
    path = run / "mixture.json"
    recorder = Recorder("collect", {}, [path, path])
    recorder.take([path])
    assert recorder.digest(path) == sha256_file(path)
    path.write_text("changed while the job ran")
    recorder.write(run / "other.run.json")
    inputs = read_json(run / "other.run.json", "run")["inputs"]
    assert hashed == [path] and inputs == {str(path): recorder.digest(path)} != digests([path])


@pytest.fixture
def cfg(raw):
    raw["seeds"], raw["scenarios"]["toy"]["methods"] = [0], ["natural"]
    return load(raw)


@pytest.fixture
def results(toy, cfg, tmp_path):
    """Weights, model and test results of one method."""
    root = tmp_path / "results"
    weights = root / "weights" / "toy" / "natural" / "seed0.json"
    weighting.weights(specs.weights(cfg, "toy", "natural", 0), toy.manifests, [], [], weights, 1)
    run = root / "runs" / "toy" / "natural" / "seed0"
    runs.train(specs.train(cfg, "toy", "natural", 0), toy.manifests, weights, toy.tokenizer, run, 1)
    metrics = root / "metrics" / "toy" / "natural" / "seed0.json"
    measure.evaluate(specs.evaluate(cfg, "toy", "natural", 0), toy.manifests, run / "model", metrics, 1)
    return root


def test_weights_edited_by_hand_are_refused_before_training_with_a_better_way(toy, cfg, results, tmp_path):
    weights = results / "weights" / "toy" / "natural" / "seed0.json"
    found = read_json(weights)
    found["stages"][0]["weights"] = dict.fromkeys(found["domains"], 1 / 3)
    weights.write_text(json.dumps(found))
    out = tmp_path / "again"
    with pytest.raises(UserError, match=r"changed since job weights wrote it: .*method_params\.fixed\.file$"):
        runs.train(specs.train(cfg, "toy", "natural", 0), toy.manifests, weights, toy.tokenizer, out, 1)
    assert not out.exists()


def test_gathering_refuses_what_it_reads_and_leaves_the_tidy_files(cfg, results):
    spec = specs.collect(cfg)
    report.collect(spec, results)
    read = read_json(results / "run.json", "run")["inputs"]
    below = {Path(path).relative_to(results).as_posix() for path in read}
    assert below == {
        "metrics/toy/natural/seed0.json", "metrics/toy/natural/seed0.run.json",
        "weights/toy/natural/seed0.json", "weights/toy/natural/seed0.run.json",
        *(f"runs/toy/natural/seed0/{name}.json" for name in ("curve", "mixture", "run")),
    }  # fmt: skip
    before = {path.name: path.read_bytes() for path in results.glob("*.*")}
    metrics = results / "metrics" / "toy" / "natural" / "seed0.json"
    metrics.write_text(metrics.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match="seed0.json: changed since job evaluate wrote it"):
        report.collect(spec, results)
    assert {path.name: path.read_bytes() for path in results.glob("*.*")} == before


def test_tables_refuse_a_tidy_file_that_was_edited(cfg, results, tmp_path):
    report.collect(specs.collect(cfg), results)
    tidy = results / "costs.csv"
    tidy.write_text(tidy.read_text().replace("base", "bass"))
    with pytest.raises(UserError, match=r"costs\.csv: changed since job collect wrote it"):
        report.tables(specs.tables(cfg), results, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
