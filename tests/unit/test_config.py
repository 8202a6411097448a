"""Shipped configs load; every mistake is one line that names the key and what is valid there."""

import copy
from pathlib import Path

import pytest
import yaml
from toy_config import put, refused

from chameleon.core.errors import UserError
from chameleon.experiment.load import load, load_files

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = [None, *sorted(p.name for p in (ROOT / "configs").glob("*.yaml"))]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_shipped_configs_load(overlay, monkeypatch):
    """Merged as Snakemake merges `--configfile` over the Snakefile's own."""
    from snakemake.utils import update_config

    monkeypatch.chdir(ROOT)
    raw = yaml.safe_load(Path("config.yaml").read_text())
    # The papers' further ones are laid over their first.
    layers = ["slimpajama.yaml"] if overlay and overlay.startswith("paper_") else []
    for layer in [*layers, *([overlay] if overlay else [])]:
        update_config(raw, yaml.safe_load((ROOT / "configs" / layer).read_text()))
    cfg = load(raw)
    assert cfg.scenarios and all(cfg.domains(s) and cfg.methods(s) for s in cfg.scenarios)
    assert {"uniform", "chameleon"} <= set(cfg.methods("pretrain"))
    assert len(cfg.seeds) >= 2


def test_answers_of_the_toy_config(raw):
    raw["scenarios"]["unused"] = {**raw["scenarios"]["toy"], "corpora": ["nowhere"], "methods": ["nothing"]}
    cfg = load(raw)
    assert cfg.scenarios == ["toy"], "what is declared but not run is not looked at"
    assert cfg.domains("toy") == {"twin_one": "left", "unique": "left", "blend": "right"}
    assert list(cfg.domains("toy")) == ["twin_one", "unique", "blend"]
    assert cfg.corpora == ["left", "right"] and cfg.results == "results"
    assert cfg.methods("toy") == ["uniform", "natural", "chameleon"] and cfg.seeds == [0, 1]


MISTAKES = {
    "typo at the top": ("sedes", [0], ["(top level): ", "'sedes'", "seeds"]),
    "typo in a block": ("data.min_chars", 3, ["data: ", "'min_chars'", "min_characters"]),
    "typo three deep": ("data.dedup.nearby", True, ["data.dedup: ", "'nearby'", "threshold"]),
    "typo in a scale": ("scales.tiny.train.optimiser", "adamw", ["scales.tiny.train: ", "'optimiser'", "lr"]),
    "typo in a role": ("scenarios.toy.base.step", 3, ["scenarios.toy.base: ", "'step'", "steps"]),
    "choice": ("scales.tiny.train.optimizer", "sgd", ["scales.tiny.train.optimizer: 'sgd'", "adamw, muon"]),
    "type": ("scales.tiny.train.batch_size", "8", ["scales.tiny.train.batch_size: '8'", "integer"]),
    "range": ("data.split.test", 0.7, ["data.split.test: 0.7", "0.5"]),
    "scenario": ("run", ["toi"], ["run: 'toi'", "toy"]),
    "method": ("scenarios.toy.methods", ["doremy"], ["scenarios.toy.methods: method 'doremy'", "natural"]),
    "corpus": ("scenarios.toy.corpora", ["lefty"], ["scenarios.toy.corpora: 'lefty'", "left, right"]),
    "unseen, unknown": ("scenarios.toy.unseen", ["lefty"], ["scenarios.toy.unseen: 'lefty' is not one of"]),
    "unseen, trained on": (
        "scenarios.toy.unseen",
        ["right"],
        ["scenarios.toy.unseen: 'right' is not one of", ": the scenario trains on it"],
    ),
    "unseen, no list": ("scenarios.toy.unseen", "right", ["scenarios.toy.unseen: 'right'", "write [right]"]),
    "scale": ("scenarios.toy.base.scale", "huge", ["scenarios.toy.base.scale: 'huge'", "tiny"]),
    "proxy scale": ("scenarios.toy.proxy.scale", "huge", ["scenarios.toy.proxy.scale: 'huge'", "tiny"]),
    "domain": ("corpora.left.domains", ["nope"], ["corpora.left.domains: 'nope'", "twin_one"]),
    "corpus key": ("corpora.left.documets", 3, ["corpora.left: ", "'documets'", "documents"]),
    "corpus kind": ("corpora.left.kind", "magic", ["corpora.left.kind: 'magic'", "synthetic"]),
    "domain twice": (
        "corpora.right.domains",
        ["unique"],
        ["scenarios.toy.corpora: ", "domain 'unique' is in left and right"],
    ),
    "parameter": (
        "method_params.chameleon",
        {"lambda": 1},
        ["method_params.chameleon: ", "'lambda'", "centre, mode, normalise, ridge, temperature"],
    ),
    "parameter of one without": ("method_params.uniform", {"x": 1}, ["method_params.uniform: ", "(none)"]),
    "value of a parameter": (
        "method_params.chameleon",
        {"mode": "ft"},
        ["method_params.chameleon.mode: 'ft'", "pretrain, finetune"],
    ),
    "parameters of nothing": ("method_params.dodge", {}, ["method_params: method 'dodge'", "uniform"]),
    "variant of nothing": (
        "method_params.mine",
        {"method": "dodge"},
        ["method_params: method 'dodge'", "uniform"],
    ),
    "shards of muon": ("scales.tiny.train.shard", True, ["scales.tiny.train.shard: ", "muon", "adamw"]),
    "heads": ("scales.tiny.model.n_head", 3, ["scales.tiny.model: d_model 16", "n_head 3"]),
    "layer": ("embeddings.layer", 3, ["embeddings.layer: 3", "2 blocks"]),
    "window": ("embeddings.window_length", 17, ["embeddings.window_length: 17", "context 16"]),
    "no vocabulary": ("tokenizer", {"kind": "bpe"}, ["tokenizer.vocab_size: missing"]),
    "nothing": ("scenarios.toy.base", None, ["scenarios.toy.base: None", "object"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(raw, name):
    path, value, words = MISTAKES[name]
    put(raw, path, value)
    message = refused(raw)
    assert not [word for word in words if word not in message], message


def test_a_mistake_in_a_second_scenario_is_found(raw):
    """While the first one's methods are checked: they see the tokenizer, which spans the scenarios."""
    raw["scenarios"]["other"] = {**copy.deepcopy(raw["scenarios"]["toy"]), "corpora": ["lefty"]}
    raw["run"] = ["toy", "other"]
    with pytest.raises(UserError, match=r"scenarios\.other\.corpora: 'lefty' is not one of left, right"):
        load(raw)


@pytest.mark.parametrize("key", ["seeds", "scenarios", "tokenizer", "threads"])
def test_a_missing_block_is_named(raw, key):
    del raw[key]
    with pytest.raises(UserError, match=f"'{key}' is a required property"):
        load(raw)


def test_a_label_with_method_makes_a_variant(raw):
    raw["method_params"] = {
        "chameleon": {"ridge": 3.0},
        "chameleon_ft": {"method": "chameleon", "mode": "finetune"},
    }
    raw["scenarios"]["toy"]["methods"] = ["chameleon", "chameleon_ft"]
    cfg = load(raw)
    (plain, p), (variant, v) = cfg.method("chameleon"), cfg.method("chameleon_ft")
    assert plain is variant and plain.name == "chameleon"
    assert (p["mode"], p["ridge"]) == ("pretrain", 3.0)
    assert (v["mode"], v["ridge"]) == ("finetune", 10.0), "a variant starts from the method's defaults"
    assert set(p) == set(v) == set(plain.defaults)


def test_the_layer_may_be_the_last_one(raw):
    raw["embeddings"] |= {"layer": 2, "window_length": 16}
    assert load(raw).raw["embeddings"]["layer"] == 2


def test_files(tmp_path, raw):
    path = tmp_path / "c.yaml"
    with pytest.raises(UserError, match=r"c\.yaml: no such file$"):
        load_files([path])
    path.write_text("a: [1\nb: 2\n")
    with pytest.raises(UserError, match=r"c\.yaml: not valid YAML: .*line 2") as caught:
        load_files([path])
    assert "\n" not in str(caught.value)
    path.write_text("- a\n")
    with pytest.raises(UserError, match=r"c\.yaml: expected a mapping, found list"):
        load_files([path])
    path.write_text(yaml.safe_dump({**raw, "sedes": 1}))
    with pytest.raises(UserError, match=r"c\.yaml: .*'sedes'"):
        load_files([path])
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    assert load_files([path]).domains("toy") == load(raw).domains("toy")
