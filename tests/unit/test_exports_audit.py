"""`audit`: the exported file is what is drawn from, by its trainer's rules; and both commands' options."""

import json
from pathlib import Path

import numpy as np
import pytest

from chameleon.cli import export as cli
from chameleon.cli import main
from chameleon.core.errors import UserError
from chameleon.exports import FORMATS, audit, consumers, export
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixture import Mixture

WEIGHTS = {"web": 0.5, "code": 0.3, "books": 0.2}
FACTS = {
    "web": {"tokens_per_document": 10},
    "code": {"tokens_per_document": 20},
    "books": {"tokens_per_document": 50},
}

OLMO = "sources: [{source_name: web, target_ratio:"
LEVANTER = "data: {configs: {}, train_weights:"


def test_a_file_changed_by_hand_is_found_out(tmp_path: Path) -> None:
    export(Mixture.of(WEIGHTS), "json", tmp_path)
    assert audit(tmp_path, draws=400_000).difference < 0.003
    (tmp_path / "mixture.json").write_text('{"web": 0.3, "code": 0.3, "books": 0.4}')
    assert audit(tmp_path, draws=400_000).difference == pytest.approx(0.2, abs=0.003)


def test_documents_are_counted_by_their_tokens(tmp_path: Path) -> None:
    export(Mixture.of(WEIGHTS), "datasets", tmp_path, data=FACTS)
    told = json.loads((tmp_path / "mixture.json").read_text())
    # Token shares in the file's place would be off by far more than chance.
    for row, weight in zip(told["datasets"], WEIGHTS.values(), strict=True):
        row["probability"] = weight
    found = audit(tmp_path, draws=50_000)
    assert found.by.startswith("datasets ") and found.difference < 5 * found.stages[0].chance
    (tmp_path / "mixture.json").write_text(json.dumps(told))
    assert audit(tmp_path, draws=50_000).difference > 0.1


def test_chance_is_the_spread_of_the_draws(tmp_path: Path) -> None:
    export(Mixture.of(WEIGHTS), "trl", tmp_path / "t", data=FACTS)
    assert audit(tmp_path / "t").stages[0].chance == 0
    export(Mixture.of(WEIGHTS), "llama-factory", tmp_path / "l", data=FACTS)
    told = audit(tmp_path / "l", draws=2000).stages[0].chance
    p = np.array([0.05, 0.015, 0.004]) / 0.069
    draws = np.random.default_rng(0).multinomial(2000, p, size=4000) * np.array([10, 20, 50])
    shares = draws / draws.sum(axis=1, keepdims=True)
    assert told == pytest.approx(shares.std(axis=0).max(), rel=0.1)


def test_a_mixture_is_drawn_from_stage_by_stage(tmp_path: Path) -> None:
    moving = Mixture(MixtureSchedule((Stage(0, {"a": 0.9, "b": 0.1}), Stage(5, {"a": 0.5, "b": 0.5}))))
    moving.save(tmp_path / "mix.json")
    found = audit(tmp_path)
    assert [s.start_step for s in found.stages] == [0, 5] and 0 < found.difference < 0.01
    assert "from step 5:" in found.lines and found.lines[-1].startswith("max difference: 0.00")


def test_own_draws_follow_their_rules() -> None:
    assert consumers.shares([0.5, 0.3, 0.2], 7, 0).tolist() == [4, 2, 1]
    assert consumers.blocks([0.5, 0.4996, 0.0004], 2048, 2048).tolist() == [1025, 1023, 0]
    assert consumers.random([0.5, 0.5], 1000, 0).sum() == 1000


@pytest.mark.parametrize(
    ("form", "name", "text", "message"),
    [
        ("megatron", "data-args.txt", "0.5 web 0.5\n", "3 words are not pairs"),
        ("megatron", "data-args.txt", "0.5 web half code\n", "a weight is not a number"),
        ("megatron", "per-split.json", '{"train": []}', "has not the keys train, valid, test"),
        ("megatron", "data-path.txt", "0.5 web 0.5 code\n", "not the blend of data-args.txt"),
        ("automodel", "blend.json", '{"train": 1}', "is not a list of words"),
        ("olmo-core", "sources.yaml", f"{OLMO} 0.5, paths: [x]}}]", "do not sum to 1"),
        ("olmo-core", "sources.yaml", f"{OLMO} 1e-05, paths: [x]}}]", r"not in \(0, 1\]"),
        ("levanter", "data.yaml", f"{LEVANTER} {{web: 1.0}}}}", "'web' is not in"),
        ("levanter", "data.yaml", f"{LEVANTER} [[4, {{web: 1.0}}]]}}", "start at step 0"),
        ("nanotron", "data_stages.yaml", "data_stages: [{start_training_step: 0}]", "start at step 1"),
        ("streaming", "streams.yaml", "streams: {web: {local: x, repeat: 2}}", "takes proportion"),
        ("litgpt", "mixture.py", "sources = 3\n", "has no list SOURCES"),
        ("datasets", "mixture.json", '{"datasets": [{"name": "web", "probability": 0.5}]}', "not sum to 1"),
        ("trl", "mixture.yaml", "datasets: [{path: web}]", "every row needs a fraction"),
        ("llama-factory", "train.yaml", "{dataset: web, mix_strategy: concat}", "takes no interleave_probs"),
        ("yaml", "mixture.yaml", "web: half", "is not {domain: weight}"),
        ("json", "mixture.json", '{"web": -1.0}', "are not weights of 0 or more"),
        ("json", "mixture.json", '{"other": 1.0}', "names 'other', which export.json does not know"),
        ("csv", "mixture.csv", "domain\nweb\n", "no number in token_share"),
        ("yaml", "mixture.yaml", "{", "not what yaml reads"),
    ],
)  # fmt: skip
def test_what_the_trainer_would_refuse_is_refused(
    form: str, name: str, text: str, message: str, tmp_path: Path
) -> None:
    export(Mixture.of(WEIGHTS), form, tmp_path, data=FACTS)
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        audit(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no complete export"):
        audit(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        audit(tmp_path / "nothing")
    export(Mixture.of(WEIGHTS), "csv", tmp_path)
    (tmp_path / "mixture.csv").unlink()
    with pytest.raises(UserError, match="not what csv reads"):
        audit(tmp_path)
    with pytest.raises(UserError, match="--draws: 0"):
        audit(tmp_path, draws=0)


def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mix.json").write_text(json.dumps(WEIGHTS))
    Path("facts.yaml").write_text("web: {tokens: 4e9}\ncode: {tokens: 1.0e+9}\nbooks: {tokens: 9000000000}\n")
    main(
        [
            "export",
            "mix.json",
            "--to",
            "megatron",
            "--budget",
            "5B",
            "--max-epochs",
            "1",
            "--data",
            "facts.yaml",
        ]
    )
    out = capsys.readouterr().out
    assert (
        "held at 1 epochs, their rest shared in proportion: code" in out
        and "--data-args-path export-megatron/" in out
    )
    assert Path("export-megatron/data-args.txt").read_text().splitlines()[1] == "0.200000 code"
    main(["audit", "export-megatron", "--draws", "1000"])
    assert "max difference: 0.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "number"), [("20B", 2e10), ("1.5T", 1.5e12), ("300M", 3e8), ("5k", 5e3), ("1e9", 1e9)]
)
def test_tokens_have_suffixes(text: str, number: float) -> None:
    assert cli.tokens(text) == number


def test_the_help_names_every_trainer() -> None:
    told = cli.TRAINERS.replace(" or ", ", ").split(", ")
    assert told == list(FORMATS)
