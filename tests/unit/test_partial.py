"""How a partial report is made: what is there and what is not, why jobs failed, the end of a run."""

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import finished_results
import pandas as pd
import pytest
from fewshot_results import SPEC, write_items, write_results

from chameleon.core.artifacts import read_json
from chameleon.experiment import specs
from chameleon.experiment.hooks import ending
from chameleon.experiment.load import load
from chameleon.reporting import catalogue
from chameleon.reporting.partial import on_screen
from chameleon.reporting.records import tidy
from chameleon.reporting.records.partial import collect_partial
from chameleon.reporting.records.unfinished import LONGEST, Job, Unfinished, reason
from chameleon.stages import report
from chameleon.stages.fewshot import score

CFG = load(finished_results.RAW)
SPECIFIED = specs.collect(CFG)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The results of a run that went well; tests only read it."""
    return finished_results.make(tmp_path_factory.mktemp("finished"))


def job(name: str, *outputs: Path, failed: bool = False, needs: tuple[str, ...] = (), log: str = "") -> Job:
    rule, _, values = name.partition(" ")
    keys = ("scenario", "method", "seed")
    wildcards = dict(zip(keys, values.replace("seed", "").split("/"), strict=False)) if values else {}
    return Job(name, rule, wildcards, outputs, log, failed, needs)


def chain(results: Path, method: str, first: str, scenario: str = "toy") -> list[Job]:
    """Return the undone jobs of a base model from `first` on, which failed."""
    key, found = f"{scenario}/{method}/seed0", []
    outputs = {
        "weights": [results / "weights" / scenario / method / "seed0.json"],
        "train": [results / "runs" / key / name for name in ("model", "mixture.json", "run.json")],
        "evaluate": [results / "metrics" / scenario / method / "seed0.json"],
    }  # fmt: skip
    stages = list(outputs)[list(outputs).index(first) :]
    for before, stage in zip([None, *stages], stages, strict=False):
        needs = (f"{before} {key}",) if before else ()
        found.append(job(f"{stage} {key}", *outputs[stage], failed=before is None, needs=needs))
    return found


def collected(results: Path, out: Path, undone: list[Job]) -> dict[str, pd.DataFrame]:
    collect_partial(SPECIFIED, results, out, Unfinished(undone))
    return {name: tidy.read(out, name) for name in (*catalogue.TIDY, "missing")}


def test_with_nothing_undone_the_tidy_files_are_those_of_the_complete_run(finished, tmp_path):
    found = collected(finished, tmp_path, [])
    assert found["missing"].empty
    for name in catalogue.TIDY:
        assert (tmp_path / f"{name}.csv").read_bytes() == (finished / f"{name}.csv").read_bytes()


def test_losses_by_document_come_to_those_of_the_domains(finished):
    metrics, documents = (tidy.read(finished, name) for name in ("metrics", "documents"))
    losses = metrics[metrics["metric"] == "loss"]
    assert len(losses) == len(documents[["scenario", "method", "domain"]].drop_duplicates()) == 11
    for _, row in losses.iterrows():
        same = (documents[k] == row[k] for k in ("scenario", "method", "seed"))
        mine = documents[pd.concat([*same, documents["domain"] == row["domain_or_task"]], axis=1).all(axis=1)]
        # 320 tokens in blocks of 16; documents are numbered as they stand in the text.
        assert mine["blocks"].sum() == 20 and mine["document"].tolist() == list(range(len(mine)))
        assert (mine["blocks"] * mine["loss"]).sum() / 20 == pytest.approx(row["value"], abs=1e-8)


def test_what_lies_there_from_an_earlier_config_is_missing(finished, tmp_path):
    """All its files exist; Snakemake has it still to do."""
    found = collected(finished, tmp_path, chain(finished, "chameleon", "weights"))
    assert (finished / "metrics/toy/chameleon/seed0.json").exists()
    for name in ("metrics", "weights", "costs", "diagnostics"):
        mine = set(found[name][found[name]["scenario"] == "toy"]["method"])
        assert "chameleon" not in mine and {"uniform", "natural"} <= mine
    assert found["missing"].to_numpy().tolist() == [
        ["toy", "chameleon", 0, "run", "failed", "weights: it left no log"]
    ]


def test_weights_stay_where_their_run_failed(finished, tmp_path):
    found = collected(finished, tmp_path, chain(finished, "chameleon", "train"))
    assert "chameleon" in set(found["weights"][found["weights"]["scenario"] == "toy"]["method"])
    scores = found["diagnostics"][found["diagnostics"]["method"] == "chameleon"]
    assert {"score", "embedding_pc"} <= set(scores["quantity"])
    assert "effective_epochs" not in set(scores[scores["scenario"] == "toy"]["quantity"])
    assert "chameleon" not in set(found["costs"][found["costs"]["scenario"] == "toy"]["method"])


def test_a_finetuned_model_keeps_all_but_its_forgetting_without_its_starts_results(finished, tmp_path):
    """The start was trained, its test failed."""
    found = collected(finished, tmp_path, chain(finished, "natural", "evaluate"))
    tuned = found["metrics"][found["metrics"]["scenario"] == "tuned"]
    complete = tidy.read(finished, "metrics")
    complete = complete[complete["scenario"] == "tuned"]
    gone = complete[complete["metric"].str.contains("forgetting")]
    assert len(tuned) == len(complete) - len(gone) < len(complete) and "kept_loss" in set(tuned["metric"])
    missing = found["missing"][["scenario", "method", "part", "state", "reason"]].to_numpy().tolist()
    why = "evaluate toy/natural/seed0: it left no log"
    assert missing == [
        ["tuned", "uniform", "forgetting", "failed", why],
        ["tuned", "chameleon", "forgetting", "failed", why],
        ["toy", "natural", "run", "failed", why.replace(" toy/natural/seed0", "")],
    ]


def test_files_that_cannot_be_read_are_missing_and_hold_up_nothing(finished, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(finished, results)
    (results / "runs/toy/natural/seed0/curve.json").write_text("{", encoding="utf-8")
    found = collected(results, tmp_path / "out", [])
    (row,) = found["missing"].to_numpy().tolist()
    assert row[:5] == ["toy", "natural", 0, "run", "failed"] and "curve.json: not valid JSON" in row[5]
    assert {"uniform", "chameleon"} <= set(found["costs"]["method"])


def told(path: Path, why: str, age: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"stage": "train", "reason": why}), encoding="utf-8")
    os.utime(path, (time.time() - age,) * 2)


def test_why_a_job_failed(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("step 3\nTraceback (most recent call last):\nRuntimeError: boom\n", encoding="utf-8")
    run = job("train toy/a/seed0", tmp_path / "run" / "run.json", failed=True, log=str(log))
    undone = Unfinished([run], started=time.time() - 60)
    # Without a file of its own, its log's last line that names an error.
    told(tmp_path / "run" / "failure.json", "of yesterday", age=9e4)
    assert undone.why(run) == "RuntimeError: boom"
    told(tmp_path / "run" / "failure.json", "loss is not\nfinite at step 3")
    assert Unfinished([run], started=time.time() - 60).why(run) == "loss is not finite at step 3"
    single = job("weights toy/a/seed0", tmp_path / "w" / "seed0.json", failed=True)
    told(tmp_path / "w" / "seed0.failure.json", "x" * 999)
    assert len(Unfinished([single]).why(single)) == LONGEST
    for text, why in (
        ("error: a.yaml: b: 'c'\n", "a.yaml: b: 'c'"),
        ("step 1 of 9\rstep 2 of 9\n", "it was ended (last line: step 2 of 9)"),
        ("", "its log is empty"),
    ):
        log.write_text(text, encoding="utf-8")
        one = job("train toy/b/seed0", tmp_path / "other" / "run.json", failed=True, log=str(log))
        assert Unfinished([one]).why(one) == why
    none = job("train toy/c/seed0", tmp_path / "c" / "run.json", failed=True, log=str(tmp_path / "none"))
    assert Unfinished([none]).why(none) == "it left no log"


def test_a_cell_names_the_failed_job_that_it_waits_for():
    proxy = Job("proxy toy/seed1", "proxy", {"scenario": "toy", "seed": "1"}, (), "", True, ())
    extra = Job(
        "extra toy/a/seed1/no_x", "extra", {"scenario": "toy", "method": "a", "seed": "1", "run": "no_x"}, (),
        "", True, (),
    )  # fmt: skip
    both = job("weights toy/a/seed1", needs=(proxy.name, extra.name))
    last = job("evaluate toy/a/seed1", Path("m.json"), needs=(both.name,))
    idle = job("evaluate toy/b/seed1", needs=("train toy/b/seed1",))
    undone = Unfinished([proxy, extra, both, last, idle])
    cell = {"scenario": "toy", "method": "a", "seed": 1}
    state, why = reason(undone, undone.of(Path("m.json")), **cell)
    assert state == "failed" and set(why.split("; ")) == {
        "proxy toy/seed1: it left no log", "extra no_x: it left no log"}  # fmt: skip
    assert reason(undone, idle, **cell) == reason(undone, None, **cell) == ("not run", "")
    assert undone.lost(proxy, [last, idle]) == [last]
    assert undone.state(Path("m.json")) == "failed" and undone.state(Path("n.json")) == "not run"


def listing(results: Path, undone: list[Job], score: bool = False) -> Path:
    """Write the list of undone jobs as Snakemake's end writes it."""
    jobs = [
        {**one.__dict__, "outputs": list(map(str, one.outputs)), "needs": list(one.needs)} for one in undone
    ]
    found = {"jobs": jobs, "started": 0.0, "again": "make again", "corpora": ["left", "right", "later"],
             "fewshot": {}, "score": score}  # fmt: skip
    path = results / "logs" / "unfinished.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, default=lambda mapping: dict(mapping)), encoding="utf-8")
    return path


def test_the_folder_is_complete_or_not_there(finished, tmp_path, monkeypatch, capsys):
    results = tmp_path / "results"
    shutil.copytree(finished, results)
    monkeypatch.setattr(catalogue, "FIGURES", {"weights": ("pretrain", "finetune")})
    before = {p: p.read_bytes() for p in results.rglob("*.*") if p.is_file()}
    undone = chain(results, "chameleon", "train")
    report.partial(SPECIFIED, results, listing(results, undone), 1)
    partial = results / "partial"
    names = {path.name for path in partial.iterdir()}
    assert {
        "summary.md",
        "report.html",
        "tables",
        "figures",
        "metrics.csv",
        "missing.csv",
        "run.json",
    } <= names
    assert (partial / "figures/toy_weights.png").exists() and (partial / "tables/toy_main.md").exists()
    assert (partial / "tables/tuned_unseen.md").exists() and not (partial / "tables/toy_unseen.md").exists()
    assert "tuned unseen" in (partial / "report.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert said.startswith("1 failed, 1 of 5 runs are missing:") and "make again" in said
    first = (partial / "summary.md").read_text(encoding="utf-8")
    assert "| train toy/chameleon/seed0 | it left no log | – | 1 |" in first and "`make again`" in first
    assert "| toy | `chameleon`, seed 0: failed (train: it left no log) |" in first
    # Nothing else of the results has changed, and a second failure replaces the first report.
    assert {p: p.read_bytes() for p in before} == before
    report.partial(SPECIFIED, results, listing(results, chain(results, "uniform", "train")), 1)
    assert "uniform" in (partial / "missing.csv").read_text(encoding="utf-8")

    def broken(*args, **kwargs):
        raise ValueError("no tables today")

    monkeypatch.setattr("chameleon.reporting.tables.make_tables", broken)
    with pytest.raises(ValueError, match="no tables today"):
        report.partial(SPECIFIED, results, listing(results, undone), 1)
    assert "uniform" in (partial / "missing.csv").read_text(encoding="utf-8")
    assert not list(results.glob(".partial*"))


def test_when_nothing_is_there_the_first_page_says_what_failed(finished, tmp_path, capsys):
    results = tmp_path / "results"
    results.mkdir()
    report.partial(SPECIFIED, results, listing(results, [job("prepare left", failed=True)]), 1)
    assert "no run is there yet" in capsys.readouterr().out
    text = (results / "partial" / "summary.md").read_text(encoding="utf-8")
    assert "5 of 5 runs are missing" in text and "| prepare left |" in text
    assert not (results / "partial" / "tables").exists() and (results / "partial" / "report.html").exists()


def test_one_mistake_of_many_jobs_is_one_line(tmp_path):
    jobs = []
    for seed in range(40):
        log = tmp_path / f"{seed}.log"
        log.write_text(f"error: toy/a/seed{seed}.json: no such file\n", encoding="utf-8")
        jobs.append(job(f"weights toy/a/seed{seed}", failed=True, log=str(log)))
    jobs.append(job("train toy/b/seed0", failed=True))
    empty = {name: pd.DataFrame(columns=list(columns)) for name, columns in tidy.COLUMNS.items()}
    frames = {"toy": {**empty, "missing": pd.DataFrame(columns=list(tidy.MISSING))}}
    text = on_screen(frames, Unfinished(jobs, again="make it"), Path("out"))
    assert text.count("  failed: ") == 2 and "and 37 more like it" in text and len(text.splitlines()) <= 8


@pytest.mark.filterwarnings("ignore")
def test_scores_of_the_models_that_are_there(tmp_path):
    """Those kept are taken; the others are scored where that is wanted, and kept for the complete run."""
    results = tmp_path / "results"
    results.mkdir()
    write_results(results)
    write_items(results)
    shutil.rmtree(results / "runs/toy/natural")
    out, undone = tmp_path / "out" / "toy.json", Unfinished([])
    report._score(SPEC, results, out, undone, 1, now=False)
    assert not out.exists()
    report._score(SPEC, results, out, undone, 1, now=True)
    assert {s["method"] for s in read_json(out, "fewshot")["scores"]} == {"uniform"}
    kept = results / "fewshot/parts/toy/uniform-seed0.json"
    assert kept.exists()
    out.unlink()
    score(SPEC, results, out, 1, [("uniform", 0)], kept_only=True)
    assert read_json(out.with_suffix(".run.json"))["models"][0]["kept"] is True
    # What trips while it scores costs the scores only.
    kept.unlink()
    out.unlink()
    (results / "runs/toy/uniform/seed0/model/model.safetensors").write_bytes(b"broken")
    report._score(SPEC, results, out, undone, 1, now=True)
    assert not out.exists()


class Dag:
    """As much of Snakemake's graph as the end of a run asks for."""

    def __init__(self, undone: dict[str, list[str]], done: tuple[str, ...] = ("collect",)) -> None:
        def made(name: str):
            rule, _, values = name.partition(" ")
            named = zip(("scenario", "method", "seed"), filter(None, values.split("/")), strict=False)
            return {"rule": SimpleNamespace(name=rule), "wildcards_dict": dict(named),
                    "output": [f"results/{rule}.json"], "log": [f"results/logs/{rule}.log"]}  # fmt: skip

        class Hashable(SimpleNamespace):
            __hash__ = object.__hash__

        self.by_name = {name: Hashable(**made(name)) for name in (*undone, *done)}
        self.jobs, self._undone = list(self.by_name.values()), undone

    def needrun_jobs(self):
        return [self.by_name[name] for name in self._undone]

    def job_dependencies(self, one):
        (name,) = [name for name, other in self.by_name.items() if other is one]
        return [self.by_name[needed] for needed in self._undone[name]]


def ended(undone: dict[str, list[str]], *failed: str, **more) -> SimpleNamespace:
    dag = Dag(undone, **more)
    return SimpleNamespace(
        dag=dag, scheduler=SimpleNamespace(failed={dag.by_name[name] for name in failed}),
        is_main_process=True, local_exec=True, execution_settings=SimpleNamespace(keep_going=True),
    )  # fmt: skip


def test_the_undone_jobs_with_what_they_wait_for():
    workflow = ended(
        {"train toy/a/0": [], "evaluate toy/a/0": ["train toy/a/0", "collect"], "all": []}, "train toy/a/0"
    )
    found = ending.unfinished(workflow.dag, workflow.scheduler.failed)
    assert [(j["name"], j["failed"], j["needs"]) for j in found] == [
        ("evaluate toy/a/seed0", False, ["train toy/a/seed0"]),
        ("train toy/a/seed0", True, []),
    ]
    assert found[1]["outputs"] == ["results/train.json"] and found[1]["log"] == "results/logs/train.log"


@pytest.fixture
def calls(tmp_path, monkeypatch) -> list[list[str]]:
    """The commands that the end of a run gave; the working folder is a throwaway one."""
    monkeypatch.chdir(tmp_path)
    found: list[list[str]] = []

    def fake(command, **kwargs):
        found.append(command)
        return SimpleNamespace(returncode=0, stdout="the report\n")

    monkeypatch.setattr(ending.subprocess, "run", fake)
    return found


def test_a_failure_makes_the_report_with_the_jobs_own_spec(calls, capsys, monkeypatch):
    monkeypatch.setenv("CHAMELEON_COMMAND", "make reproduce CORES=4")
    undone = {"train toy/a/0": [], "collect": ["train toy/a/0"]}
    ending.failed(CFG, ended(undone, "train toy/a/0", done=()))
    (command,) = calls
    assert command[:5] == ["python", "-m", "chameleon", "job", "partial"]
    assert json.loads(command[command.index("--spec") + 1]) == json.loads(specs.dump(SPECIFIED))
    found = read_json("results/logs/unfinished.json")
    assert found["again"] == "make reproduce CORES=4" and found["score"] is True
    assert [j["name"] for j in found["jobs"]] == ["collect", "train toy/a/seed0"]
    assert capsys.readouterr().err.rstrip().endswith("the report")


@pytest.mark.parametrize(
    "workflow",
    [
        ended({"train toy/a/0": []}),  # stopped by a signal: nothing failed
        ended({"train toy/a/0": []}, "train toy/a/0", done=()),  # single files were asked for
        SimpleNamespace(**{**ended({"collect": []}, "collect", done=()).__dict__, "is_main_process": False}),
    ],
    ids=["stopped", "single_files", "inner_process"],
)
def test_no_report_where_none_is_due(calls, workflow, capsys):
    ending.failed(CFG, workflow)
    assert not calls and capsys.readouterr() == ("", "")


def test_a_complete_report_stays_the_report_when_something_beside_it_fails(calls, capsys):
    Path("results/partial").mkdir(parents=True)
    ending.failed(CFG, ended({"sensitivity": []}, "sensitivity"))
    said = capsys.readouterr().err
    assert not calls and "are complete; failed: sensitivity (results/logs/sensitivity.log)" in said
    assert not Path("results/partial").exists()


def test_a_success_removes_the_partial_report(calls):
    Path("results/partial").mkdir(parents=True)
    ending.succeeded(CFG, ended({}, done=()))
    assert Path("results/partial").exists(), "single files were asked for"
    Path("results/logs").mkdir()
    Path("results/logs/unfinished.json").touch()
    ending.succeeded(CFG, ended({}))
    assert not Path("results/partial").exists() and not list(Path("results/logs").iterdir())


def test_a_mistake_at_the_end_hides_nothing(calls, capsys, monkeypatch):
    ending.failed(CFG, SimpleNamespace())
    assert "No partial report: AttributeError" in capsys.readouterr().err
    monkeypatch.setattr(
        ending.subprocess, "run", lambda command, **kwargs: SimpleNamespace(returncode=1, stdout="")
    )
    ending.failed(CFG, ended({"collect": []}, "collect", done=()))
    said = capsys.readouterr().err
    assert "No partial report: see results/logs/partial.log" in said and "Failed: collect" in said
