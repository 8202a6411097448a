"""Few-shot scores as rows of the tidy file, and the specs that ask for them."""

import pytest

from chameleon.evaluation.fewshot_rows import rows
from chameleon.experiment import specs
from chameleon.experiment.load import load


def test_rows_of_the_tidy_file():
    prompts = {"0": {"truncated": 0.5, "examples_seen": 0.0}}
    facts = {"items": 10, "chance": 0.5, "constant": None, "prompts": prompts}
    score = {"acc": 0.5, "acc_stderr": 0.3, "acc_norm": 0.7, "acc_norm_stderr": 0.1, "bits_per_byte": 2.0}
    one = {"method": "uniform", "seed": 3, "shots": 0}
    without = {"acc_norm": None, "acc_norm_stderr": None}
    table = {
        "scenario": "toy", "scale": "tiny", "methods": ["uniform"], "seeds": [3], "shots": [0],
        "order": ["b", "a"],
        "tasks": {"a": facts, "b": facts | {"items": 30, "chance": 0.25, "constant": 0.6}},
        "scores": [
            one | score | {"task": "a"},
            one | score | {"task": "b", "acc": 0.1, "acc_stderr": 0.4} | without,
        ],
    }  # fmt: skip
    found = list(rows(table))
    assert all(row[:5] == ("toy", "fewshot", "tiny", "uniform", 3) for row in found)
    value = {(task, metric): (value, unit) for *_, task, metric, value, unit in found}
    assert len(value) == len(found), "no number twice"
    assert list(dict.fromkeys(task for task, _ in value)) == ["b", "a", "mean"]
    assert value["a", "acc_0shot"] == (0.5, "accuracy") and value["b", "constant"] == (0.6, "accuracy")
    assert value["mean", "acc_0shot"] == (pytest.approx(0.3), "accuracy")
    assert value["mean", "acc_stderr_0shot"] == (pytest.approx(0.25), "accuracy")
    assert value["mean", "chance"] == (0.375, "accuracy") and value["mean", "items"] == (40, "items")
    assert value["mean", "bits_per_byte_0shot"] == (2.0, "bits/byte")
    assert ("b", "acc_norm_0shot") not in value and ("mean", "acc_norm_0shot") not in value
    assert ("mean", "constant") not in value


def test_specs_name_tasks_as_lm_eval_does(raw):
    given = {"source": "items", "tasks": ["piqa"], "shots": [0], "limit": None}
    raw["evaluation"]["fewshot"] = given
    cfg = load(raw)
    spec = specs.fewshot(cfg, "toy")
    assert spec["tasks"] == ["local_piqa"] and specs.items(cfg)["tasks"] == ["piqa"]
    assert (spec["methods"], spec["seeds"], spec["scale"]) == (cfg.methods("toy"), cfg.seeds, "tiny")
    raw["evaluation"]["fewshot"] = given | {"source": "lm_eval", "tasks": ["arc_easy"]}
    assert specs.fewshot(load(raw), "toy")["tasks"] == ["arc_easy"]
