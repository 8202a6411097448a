"""The few-shot job: scores by hand, what is kept, and the command line of lm-eval on the same folder."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fewshot_results import SPEC, VOCAB, open_scorer, plain, requests, write_items, write_results

from chameleon.cli import main
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.evaluation.harness import Harness, mean_and_error
from chameleon.stages.fewshot import fewshot
from chameleon.training.model import Decoder, ModelShape, save_pretrained


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def scorer(results):
    return open_scorer(results)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Keep what the job sets for its own process out of the other tests."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_DATASETS_CACHE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for name in ("TQDM_DISABLE", "TOKENIZERS_PARALLELISM", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


@pytest.fixture
def copy(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    write_items(tmp_path / "results")
    return tmp_path / "results"


def test_the_job_scores_every_model_and_keeps_what_it_has(copy):
    out = copy / "fewshot" / "toy.json"
    fewshot(SPEC, copy, out, 1)
    first = out.read_bytes()
    table = read_json(out, "fewshot")
    assert table["tasks"]["local_habits"]["prompts"]["0"] == {"truncated": 0.0, "examples_seen": 0.0}
    seen = table["tasks"]["local_habits"]["prompts"]["3"]
    assert seen["truncated"] == 1.0 and 0 < seen["examples_seen"] < 3
    assert table["tasks"]["local_notes"]["constant"] >= 0.5 == table["tasks"]["local_notes"]["chance"]
    assert len(table["scores"]) == 2 * 2 * 2
    assert len({s["bits_per_byte"] for s in table["scores"]}) == 8, "models, tasks and shots differ"
    record = read_json(out.with_suffix(".run.json"), "run")
    assert [(m["method"], m["kept"]) for m in record["models"]] == [("uniform", False), ("natural", False)]
    assert record["cost"]["tokens"] == sum(m["cost"]["tokens"] for m in record["models"]) > 0

    (copy / "fewshot" / "parts" / "toy" / "natural-seed0.json").unlink()
    fewshot(SPEC, copy, out, 1)
    assert out.read_bytes() == first
    record = read_json(out.with_suffix(".run.json"), "run")
    assert [m["kept"] for m in record["models"]] == [True, False]

    # Another model under the same name, or another limit, is not what was kept. The second model's scores
    # were made second, the first one's are made anew: equal, so a model's place decides nothing.
    runs = copy / "runs" / "toy"
    shutil.copy(
        runs / "natural/seed0/model/model.safetensors", runs / "uniform/seed0/model/model.safetensors"
    )
    fewshot(SPEC, copy, out, 1)
    mine = {k: [s for s in read_json(out)["scores"] if s["method"] == k] for k in SPEC["methods"]}
    assert [s | {"method": ""} for s in mine["uniform"]] == [s | {"method": ""} for s in mine["natural"]]
    fewshot(SPEC | {"limit": 3}, copy, out, 1)
    assert read_json(out)["tasks"]["local_habits"]["items"] == 3


def test_scores_by_hand(copy, scorer):
    """Zero-shot scores of one task from the files alone."""
    out = copy / "fewshot" / "toy.json"
    fewshot(SPEC | {"tasks": ["local_habits"], "shots": [0], "methods": ["uniform"]}, copy, out, 1)
    (found,) = read_json(out)["scores"]
    file = copy / "fewshot" / "tasks" / "local_habits" / "test.jsonl"
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()][:6]
    right, right_by_length, nats, size = [], [], 0.0, 0
    for item in items:
        values = []
        for choice in item["choices"]:
            _, prompt, answer = requests(scorer, (item["query"], f" {choice}"))[0]
            values.append(plain(scorer.model, prompt, answer))
        gold = item["gold"]
        right.append(float(np.argmax(values) == gold))
        by_length = [v / len(c) for v, c in zip(values, item["choices"], strict=True)]
        right_by_length.append(float(np.argmax(by_length) == gold))
        nats, size = nats - values[gold], size + len(f" {item['choices'][gold]}".encode())
    assert (found["acc"], found["acc_norm"]) == (
        pytest.approx(np.mean(right)), pytest.approx(np.mean(right_by_length)),
    )  # fmt: skip
    assert found["acc_stderr"] == pytest.approx(np.std(right, ddof=1) / math.sqrt(6))
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ["local_gone"]}, "lm-eval has no task 'local_gone'"),
        ({"shots": [9]}, "shots: 9 is more than the 8 examples of local_habits"),
    ],
)
def test_bad_specs_are_one_line(results, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        fewshot(SPEC | change, results, tmp_path / "toy.json", 1)


def test_an_answer_longer_than_the_context_names_both(copy, tmp_path, capsys):
    folder = copy / "runs" / "toy" / "uniform" / "seed0" / "model"
    save_pretrained(Decoder(ModelShape(1, 1, 8, 2, VOCAB)).initialise(0), folder, 0)
    spec = SPEC | {"methods": ["uniform"], "seeds": [0]}
    options = ["--results", str(copy), "--out", str(tmp_path / "toy.json")]
    assert main(["job", "fewshot", "--spec", json.dumps(spec), *options]) == 2
    assert "tokens does not fit a context of 2" in capsys.readouterr().err


def test_models_of_two_tokenizers_are_refused(copy, tmp_path):
    (copy / "runs" / "toy" / "natural" / "seed0" / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="its tokenizer is not that of"):
        fewshot(SPEC, copy, tmp_path / "toy.json", 1)


def test_mean_and_standard_error():
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    mean, error = mean_and_error(values)
    assert mean == 0.6 and error == pytest.approx(np.std(values, ddof=1) / math.sqrt(5), abs=1e-9)
    assert mean_and_error([1.0]) == (1.0, None) and mean_and_error([]) == (None, None)


OTHER_KINDS = {
    "last_word": {
        "output_type": "loglikelihood",
        "doc_to_text": "query",
        "doc_to_target": "{{' ' + choices[gold]}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean"}],
    },
    "which_start": {
        "output_type": "multiple_choice",
        "doc_to_text": "gold",
        "doc_to_choice": "choices",
        "doc_to_target": "query",
        "metric_list": [{"metric": "acc", "aggregation": "mean"}],
    },
}


def reading(file, name):
    """Return what a task that reads one file of items says about it."""
    data = {"data_files": {"test": str(file)}}
    return {"task": name, "dataset_path": "json", "dataset_kwargs": data, "test_split": "test"}


def test_lm_evals_other_kinds_of_task_are_scored_too(copy, scorer, tmp_path):
    """An open answer (as LAMBADA), and choices before a common end (as WinoGrande)."""
    file = copy / "fewshot" / "tasks" / "local_habits" / "test.jsonl"
    for name, task in OTHER_KINDS.items():
        data = {
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(file)}},
            "test_split": "test",
        }
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"task": name, **data, **task}), encoding="utf-8")
    harness = Harness(list(OTHER_KINDS), tmp_path, 5)
    scores = harness.run(scorer, 0)
    items = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()][:5]
    golds = [item["choices"][item["gold"]] for item in items]
    asked = {
        "last_word": [(item["query"], f" {gold}") for item, gold in zip(items, golds, strict=True)],
        "which_start": [(gold, f" {item['query']}") for item, gold in zip(items, golds, strict=True)],
    }
    for name, pairs in asked.items():
        nats = -sum(plain(scorer.model, p, a) for _, p, a in requests(scorer, *pairs))
        size = sum(len(answer.encode()) for _, answer in pairs)
        assert scores[name]["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)
        assert scores[name]["acc"] is not None and scores[name]["acc_norm"] is None
    assert harness.facts["last_word"]["chance"] == 0.0
    shares = [1 / len(item["choices"]) for item in items]
    assert harness.facts["which_start"]["chance"] == pytest.approx(np.mean(shares))
    assert all(facts["constant"] is None for facts in harness.facts.values())


def test_tasks_that_generate_text_are_refused(copy, tmp_path):
    file = copy / "fewshot" / "tasks" / "local_habits" / "test.jsonl"
    task = OTHER_KINDS["last_word"] | {
        "task": "free",
        "output_type": "generate_until",
        "dataset_path": "json",
    }
    task |= {"dataset_kwargs": {"data_files": {"test": str(file)}}, "test_split": "test"}
    (tmp_path / "free.yaml").write_text(json.dumps(task | {"metric_list": [{"metric": "exact_match"}]}))
    with pytest.raises(UserError, match="'free' generates text"):
        Harness(["free"], tmp_path, 5)


def test_a_copied_task_folder_and_changed_items_are_refused(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    with pytest.raises(
        UserError, match="not the items of .*results/fewshot/tasks/items.json; remove the latter"
    ):
        fewshot(SPEC, tmp_path / "results", tmp_path / "toy.json", 1)
    write_items(tmp_path / "results")
    file = tmp_path / "results/fewshot/tasks/local_notes/test.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("gold", "Gold"), encoding="utf-8")
    with pytest.raises(UserError, match="local_notes/test.jsonl: not the items of"):
        fewshot(SPEC, tmp_path / "results", tmp_path / "toy.json", 1)


def command_line(results, tmp_path, shots):
    """Return lm-eval's own results for the saved uniform model, by its command line."""
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--batch_size", "4"]
    command += ["--model_args", f"pretrained={results / 'runs/toy/uniform/seed0/model'}"]
    command += ["--include_path", str(results / "fewshot" / "tasks"), "--tasks", ",".join(SPEC["tasks"])]
    command += ["--num_fewshot", str(shots), "--limit", str(SPEC["limit"]), "--log_samples"]
    command += ["--output_path", str(tmp_path / "out")]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = (tmp_path / "out").rglob("results_*.json")
    logged = {
        task: [json.loads(line) for line in next((tmp_path / "out").rglob(f"samples_{task}_*")).open()]
        for task in SPEC["tasks"]
    }
    return json.loads(file.read_text())["results"], logged


@pytest.mark.slow
def test_the_command_line_of_lm_eval_gives_the_numbers_of_our_table(copy, tmp_path):
    out = copy / "fewshot" / "toy.json"
    fewshot(SPEC, copy, out, 1)
    shots = max(SPEC["shots"])
    asked = [s for s in read_json(out)["scores"] if s["method"] == "uniform" and s["shots"] == shots]
    mine = {s["task"]: s for s in asked}
    theirs, logged = command_line(copy, tmp_path, shots)
    for task in SPEC["tasks"]:
        for metric in ("acc", "acc_stderr", "acc_norm", "acc_norm_stderr"):
            assert mine[task][metric] == pytest.approx(theirs[task][f"{metric},none"], abs=1e-9)
        nats, size = 0.0, 0
        for sample in logged[task]:
            gold = int(sample["target"])
            nats -= float(sample["filtered_resps"][gold][0])
            size += len(sample["arguments"][f"gen_args_{gold}"]["arg_1"].encode())
        assert mine[task]["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)
