"""Exports, format by format: what stands in the files, and that their own rules accept it."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from chameleon.core.errors import UserError
from chameleon.exports import FORMATS, audit, export
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixture import Domain, Mixture

#: Names that YAML, JSON, comma lists, shells and Python stumble over.
ODD = {"yes": 0.4, "a: b #1": 0.3, 'say "hi"': 0.19999, "null": 0.1, "1e3": 0.00001}
PATHS = {d: [f"text/{i}.jsonl"] for i, d in enumerate(ODD)}
FACTS = {
    d: {"paths": PATHS[d], "tokens": 1e9, "tokens_per_document": 100 * (i + 1)} for i, d in enumerate(ODD)
}
MOVING = Mixture(
    MixtureSchedule(
        (Stage(0, {"a": 0.75, "b": 0.25, "c": 0.0}), Stage(100, {"a": 0.25, "b": 0.25, "c": 0.5}))
    )
)


def files(form: str, out: Path, mixture: Mixture | None = None, **options) -> dict[str, str]:
    """Return the texts of an export, by name."""
    done = export(Mixture.of(ODD) if mixture is None else mixture, form, out, **{"data": FACTS, **options})
    return {path.name: path.read_text(encoding="utf-8") for path in done.paths}


@pytest.mark.parametrize("form", FORMATS)
def test_its_own_rules_read_every_export_and_its_weights_sum_to_one(form: str, tmp_path: Path) -> None:
    done = export(Mixture.of(ODD), form, tmp_path / form, data=FACTS)
    assert sum(entry.weight for entry in done.plan.entries) == 1
    (read,) = FORMATS[form].read(tmp_path / form)
    written = [(getattr(e, FORMATS[form].key), float(e.weight)) for e in done.plan.entries]
    assert read == written and [e.domain for e in done.plan.entries] == list(ODD)
    found = audit(tmp_path / form, draws=200_000)
    assert found.difference < 6 * found.stages[0].chance + 5e-4
    assert {p.name for p in (tmp_path / form).iterdir()} == {
        *FORMATS[form].files,
        "README.txt",
        "export.json",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_no_number_has_an_exponent(form: str, tmp_path: Path) -> None:
    facts = {d: {"paths": f"{d}.jsonl", "tokens_per_document": 10} for d in "ab"}
    texts = files(form, tmp_path, Mixture.of({"a": 0.99999, "b": 0.00001}), data=facts)
    assert any("0.00001" in texts[name] for name in FORMATS[form].files)
    assert not any("e-0" in texts[name] for name in FORMATS[form].files)


@pytest.mark.parametrize("form", FORMATS)
def test_unit_budget_and_epochs_stand_with_every_export(form: str, tmp_path: Path) -> None:
    texts = files(form, tmp_path, budget=2e9)
    note = texts["README.txt"]
    assert (
        f"unit: a weight is a share of {FORMATS[form].unit}" in note
        and "budget: 2,000,000,000 tokens" in note
    )
    assert "epochs: yes 0.800, a: b #1 0.600" in note
    commented = [name for name in FORMATS[form].files if Path(name).suffix in (".yaml", ".py")]
    assert all("# unit: a weight is a share of" in texts[name] for name in commented)


def test_megatron_blend(tmp_path: Path) -> None:
    texts = files(
        "megatron", tmp_path, Mixture.of({"web": 0.7, "code": 0.3}), data={"web": {"paths": "/d/web.bin"}}
    )
    assert texts["data-args.txt"] == "0.700000 /d/web\n0.300000 code\n"
    assert texts["data-path.txt"] == "0.700000 /d/web 0.300000 code\n"
    splits = json.loads(texts["per-split.json"])
    assert splits["train"] == ["0.700000", "/d/web", "0.300000", "code"]
    assert splits["valid"][1::2] == ["/d/web_valid", "code_valid"] and splits["test"][3] == "code_test"


def test_megatron_refuses_white_space(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="paths of 'web': '/my data/web' holds white space"):
        export(
            Mixture.of({"web": 1.0}), "megatron", tmp_path / "out", data={"web": {"paths": "/my data/web"}}
        )
    assert not (tmp_path / "out").exists()


def test_automodel_blend(tmp_path: Path) -> None:
    texts = files("automodel", tmp_path, Mixture.of({"web": 0.7, "code": 0.3}), data={})
    assert json.loads(texts["blend.json"]) == ["0.700000", "web", "0.300000", "code"]
    assert yaml.safe_load(texts["dataset.yaml"])["dataset"]["split"] == "99,1,0"


def test_olmo_repeats_what_the_budget_needs(tmp_path: Path) -> None:
    facts = {"web": {"paths": ["w/*.npy"], "tokens": 1000}, "code": {"paths": "c.npy", "tokens": 1000}}
    texts = files("olmo-core", tmp_path, Mixture.of({"web": 0.8, "code": 0.2}), data=facts, budget=2500)
    web, code = yaml.safe_load(texts["sources.yaml"])["sources"]
    assert web == {
        "source_name": "web",
        "target_ratio": 0.8,
        "paths": ["w/*.npy"],
        "max_repetition_ratio": 2.01,
    }
    assert code["max_repetition_ratio"] == 1.0
    # OLMo-core's own condition.
    assert all(int(1000 * s["max_repetition_ratio"]) >= int(2500 * s["target_ratio"]) for s in (web, code))


def test_levanter_keeps_the_stages(tmp_path: Path) -> None:
    texts = files("levanter", tmp_path, MOVING, data={})
    data = yaml.safe_load(texts["data.yaml"])["data"]
    assert data["train_weights"] == [[0, {"a": 0.75, "b": 0.25}], [100, {"a": 0.25, "b": 0.25, "c": 0.5}]]
    assert list(data["configs"]) == ["a", "b", "c"] and data["mixture_block_size"] == 2048
    assert [s.start_step for s in audit(tmp_path).stages] == [0, 100]


def test_levanter_s_block_fits_the_smallest_weight(tmp_path: Path) -> None:
    texts = files("levanter", tmp_path, Mixture.of({"a": 0.9999, "b": 0.0001}), data={})
    assert yaml.safe_load(texts["data.yaml"])["data"]["mixture_block_size"] == 16384
    texts = files("levanter", tmp_path, Mixture.of({"a": 0.99999, "b": 0.00001}), data={})
    assert "too small to be drawn at all: b" in texts["data.yaml"]
    assert audit(tmp_path).stages[0].realised["b"] == 0


def test_nanotron_counts_steps_from_one(tmp_path: Path) -> None:
    texts = files("nanotron", tmp_path, MOVING, data={}, steps=150)
    first, second = yaml.safe_load(texts["data_stages.yaml"])["data_stages"]
    assert (first["start_training_step"], second["start_training_step"]) == (1, 101)
    assert first["data"]["dataset"] == {"dataset_folder": ["a", "b"], "dataset_weights": [0.75, 0.25]}
    assert second["data"]["dataset"]["dataset_weights"] == [0.25, 0.25, 0.5]


def test_other_formats_take_the_average_and_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 stages.*json takes one set of weights: give --steps"):
        export(MOVING, "json", tmp_path)
    texts = files("json", tmp_path, MOVING, data={}, steps=200)
    assert json.loads(texts["mixture.json"]) == {"a": 0.5, "b": 0.25, "c": 0.25}
    assert "average over 200 steps" in texts["README.txt"]


def test_streams_have_a_proportion_each(tmp_path: Path) -> None:
    facts = {"web": {"paths": "s3://b/web"}, "code": {"paths": ["/c/0", "/c/1"]}}
    texts = files("llm-foundry", tmp_path, Mixture.of({"web": 0.7, "code": 0.3}), data=facts)
    assert yaml.safe_load(texts["train_loader.yaml"])["train_loader"]["dataset"]["streams"] == {
        "web": {"remote": "s3://b/web", "proportion": 0.7},
        "code_0": {"local": "/c/0", "proportion": 0.15},
        "code_1": {"local": "/c/1", "proportion": 0.15},
    }
    assert "its 2 paths share its weight equally" in texts["README.txt"]


def test_paths_on_this_machine_share_a_weight_by_size(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 30)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "shard").write_bytes(b"x" * 10)
    facts = {"web": {"paths": [f"{tmp_path}/a", f"{tmp_path}/b"]}}
    texts = files("megatron", tmp_path / "out", Mixture.of({"web": 1.0}), data=facts)
    assert texts["data-args.txt"].split()[::2] == ["0.750000", "0.250000"]


def test_documents_weigh_by_their_length(tmp_path: Path) -> None:
    facts = {"web": {"tokens_per_document": 100}, "books": {"tokens": 9000, "documents": 10}}
    texts = files("datasets", tmp_path, Mixture.of({"web": 0.5, "books": 0.5}), data=facts)
    told = json.loads(texts["mixture.json"])
    assert told["unit"] == "documents"
    assert [(d["name"], d["probability"]) for d in told["datasets"]] == [("web", 0.9), ("books", 0.1)]


@pytest.mark.parametrize("form", ["datasets", "trl", "llama-factory"])
def test_documents_without_lengths_are_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=f"{form} samples documents, and the mean length of web, code is not known"
    ):
        export(Mixture.of({"web": 0.5, "code": 0.5}), form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_trl_says_how_much_it_keeps(tmp_path: Path) -> None:
    facts = {
        "web": {"paths": "w.jsonl", "documents": 1000, "tokens_per_document": 50},
        "code": {"paths": "c.jsonl.gz", "documents": 100, "tokens_per_document": 50},
    }
    texts = files("trl", tmp_path, Mixture.of({"web": 0.5, "code": 0.5}), data=facts)
    assert "# TRL keeps 200 of 1,100 documents: code runs out first" in texts["mixture.yaml"]
    row = yaml.safe_load(texts["mixture.yaml"])["datasets"][1]
    assert row == {"path": "json", "data_files": ["c.jsonl.gz"], "split": "train", "fraction": 0.5}


def test_files_of_several_kinds_are_refused(tmp_path: Path) -> None:
    facts = {"web": {"paths": ["w.jsonl", "w.parquet"], "tokens_per_document": 9}}
    with pytest.raises(UserError, match="paths of 'web'.*not files of one kind"):
        export(Mixture.of({"web": 1.0}), "trl", tmp_path / "out", data=facts)


def test_llama_factory_s_names_survive_its_commas(tmp_path: Path) -> None:
    facts = {d: {"tokens_per_document": 10, "paths": "x.jsonl"} for d in ("a,b", "a b", "A_B")}
    texts = files("llama-factory", tmp_path, Mixture.of({"a,b": 0.5, "a b": 0.25, "A_B": 0.25}), data=facts)
    told, info = yaml.safe_load(texts["train.yaml"]), json.loads(texts["dataset_info.json"])
    names = told["dataset"].split(",")
    assert names == ["a_b", "a_b_2", "A_B_3"] and set(info) == set(names)
    assert told["interleave_probs"] == "0.500000,0.250000,0.250000" and "# a_b is a,b" in texts["train.yaml"]
    assert Path(info["a_b"]["file_name"]).is_absolute() and told["streaming"] is True


def test_scripts_run_and_hold_their_sources(tmp_path: Path) -> None:
    for form, call in (("litgpt", "dataset"), ("torchtitan", "loader"), ("datasets", "dataset")):
        texts = files(form, tmp_path / form)
        name = next(name for name in texts if name.endswith(".py"))
        found: dict = {"__file__": str(tmp_path / form / name)}
        exec(compile(texts[name], name, "exec"), found)
        assert callable(found[call])
        if form != "datasets":
            assert len(found["SOURCES"]) == 5 and sum(Decimal(repr(row[-1])) for row in found["SOURCES"]) == 1


def test_datasets_draws_what_was_asked_for(tmp_path: Path) -> None:
    """The exported script, by the real library, over files: tokens in the shares asked for."""
    weights, lengths = {"web": 0.6, "code": 0.3, "b: #": 0.1}, {"web": 8, "code": 2, "b: #": 4}
    facts = {}
    for i, (name, length) in enumerate(lengths.items()):
        path = tmp_path / f"{i}.jsonl"
        path.write_text(f'{{"text": "{" ".join([str(i)] * length)}", "other": 1}}\n' * 300)
        facts[name] = {"paths": str(path), "tokens_per_document": length}
    texts = files("datasets", tmp_path / "out", Mixture.of(weights), data=facts)
    found: dict = {"__file__": str(tmp_path / "out" / "load.py")}
    exec(compile(texts["load.py"], "load.py", "exec"), found)
    tokens = [0, 0, 0]
    for row in found["dataset"]().take(20_000):
        words = row["text"].split()
        tokens[int(words[0])] += len(words)
    assert [n / sum(tokens) for n in tokens] == pytest.approx(list(weights.values()), abs=0.01)


def test_csv_has_both_units(tmp_path: Path) -> None:
    texts = files("csv", tmp_path, budget=2e9)
    rows = list(csv.DictReader(texts["mixture.csv"].splitlines()))
    assert [row["domain"] for row in rows] == list(ODD)
    for column in ("token_share", "document_share"):
        assert sum(Decimal(row[column]) for row in rows) == 1
    assert rows[0]["tokens"] == "1000000000" and rows[0]["epochs"] == "0.8"


def test_what_is_known_comes_from_the_mixture_too(tmp_path: Path) -> None:
    mixture = Mixture.of({"web": 0.5, "code": 0.5}, about={"web": Domain(paths=["/d/web"]), "code": Domain()})
    (tmp_path / "facts.yaml").write_text("code: {paths: [/d/code], tokens: 1e9}\n")
    mixture.save(tmp_path / "mix.json")
    done = export(tmp_path, "megatron", tmp_path / "out", data=tmp_path / "facts.yaml", budget=1e9)
    assert (tmp_path / "out" / "data-args.txt").read_text() == "0.500000 /d/web\n0.500000 /d/code\n"
    assert done.plan.epochs == {"web": None, "code": 0.5}


def test_a_failed_export_leaves_no_export_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files("json", tmp_path)

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("chameleon.exports.writing.write_text", full)
    with pytest.raises(OSError, match="No space"):
        files("json", tmp_path)
    with pytest.raises(UserError, match="no complete export"):
        audit(tmp_path)


def test_exports_are_byte_stable(tmp_path: Path) -> None:
    for form in FORMATS:
        one, other = files(form, tmp_path / "x", budget=1e9), files(form, tmp_path / "x", budget=1e9)
        assert one == other


def test_a_folder_of_text_is_no_token_shard(tmp_path):
    (tmp_path / "text").mkdir()
    mixture = Mixture.of({"a": 1.0}, about={"a": Domain(paths=[str(tmp_path / "text")])})
    said = export(mixture, "megatron", tmp_path / "out").lines
    assert any(f"a: no *.idx in {tmp_path / 'text'}: name its token shards" in line for line in said)
    (tmp_path / "text" / "a.npy").touch()
    assert not any("token shards" in line for line in export(mixture, "olmo-core", tmp_path / "o").lines)
