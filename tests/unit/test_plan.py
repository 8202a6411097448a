"""Specs are the jobs' identity: what changes a spec, and what must not."""

import copy
import json

import pytest

from chameleon.core.versions import STAGES
from chameleon.experiment import specs
from chameleon.experiment.load import load

METHODS = ("uniform", "natural", "chameleon")


def every_spec(raw):
    """Return every spec of the toy config as the line of JSON that a job gets, by job."""
    cfg = load(raw)
    found = {("tokenizer",): specs.tokenizer(cfg)}
    for corpus in cfg.corpora:
        for stage in (specs.fetch, specs.prepare, specs.tokens):
            found[stage.__name__, corpus] = stage(cfg, corpus)
    for seed in cfg.seeds:
        found["proxy", seed] = specs.proxy(cfg, "toy", seed)
        for corpus in cfg.corpora:
            found["embed", corpus, seed] = specs.embed(cfg, "proxy_toy", corpus, seed)
        for label in cfg.methods("toy"):
            for stage in (specs.weights, specs.train, specs.evaluate):
                found[stage.__name__, label, seed] = stage(cfg, "toy", label, seed)
    for stage in (specs.collect, specs.tables, specs.figures, specs.page):
        found[(stage.__name__,)] = stage(cfg)
    return {key: specs.dump(value) for key, value in found.items()}


def changed(raw, edit):
    """Return the jobs whose spec an edit of the config changes."""
    before = every_spec(raw)
    other = copy.deepcopy(raw)
    edit(other)
    after = every_spec(other)
    assert set(before) == set(after)
    return {key for key in before if before[key] != after[key]}


def test_specs_survive_a_command_line(raw):
    raw["method_params"] = {"chameleon": {"ridge": 1 / 3, "temperature": None}}
    cfg = load(raw)
    found = every_spec(raw)
    assert len(found) == 1 + 2 * 3 + 2 * (1 + 2 + 3 * 3) + 4
    for text in found.values():
        assert "\n" not in text and specs.dump(json.loads(text)) == text
    assert json.loads(found["weights", "chameleon", 1]) == specs.weights(cfg, "toy", "chameleon", 1)
    domains = json.loads(found["train", "uniform", 0])["domains"]
    assert list(domains) == ["twin_one", "unique", "blend"], "domains keep the config's order"


def test_a_parameter_changes_its_own_weights_and_nothing_else(raw):
    def edit(other):
        other["method_params"] = {"chameleon": {"ridge": 3.0}}

    # A static method's base run depends on the weights file, so its spec stays: Snakemake sees a newer file.
    assert changed(raw, edit) == {("weights", "chameleon", 0), ("weights", "chameleon", 1)}


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        (("threads", "train"), 2, set()),
        (("embeddings", "windows"), 9, {"embed"}),
        (("evaluation", "test_tokens"), 64, {"evaluate"}),
        (("evaluation", "validation_tokens"), 32, set()),  # for extra runs and online methods only
        (("data", "shard_tokens"), 2048, {"tokens"}),
        (("data", "seed"), 1, {"prepare", "weights"}),
        (("tokenizer", "vocab_size"), 301, {"tokenizer", "weights"}),
        (("scenarios", "toy", "proxy", "steps"), 5, {"proxy"}),
        (("scenarios", "toy", "base", "steps"), 9, {"weights", "train"}),
        (("scenarios", "toy", "max_epochs"), 4, {"train"}),
        (("scales", "tiny", "train", "lr"), 0.5, {"proxy", "train"}),
        (("scales", "tiny", "model", "n_layer"), 3, {"proxy", "train"}),
    ],
)
def test_a_key_changes_the_stages_it_decides(raw, path, value, stages):
    def edit(other):
        *parents, last = path
        for key in parents:
            other = other[key]
        other[last] = value

    assert {key[0] for key in changed(raw, edit)} == stages


def test_another_corpus_entry_changes_what_is_made_of_it(raw):
    def edit(other):
        other["corpora"]["right"]["documents"] = 7

    jobs = changed(raw, edit)
    assert {("fetch", "right"), ("prepare", "right")} <= jobs and ("prepare", "left") not in jobs
    assert {key[0] for key in jobs} == {"fetch", "prepare", "weights"}


def test_methods_of_one_seed_share_what_they_must(raw):
    cfg = load(raw)
    for seed in cfg.seeds:
        trained = [specs.train(cfg, "toy", label, seed) for label in METHODS]
        assert all({**spec, "method": ""} == {**trained[0], "method": ""} for spec in trained)
    tested = [specs.evaluate(cfg, "toy", label, 0) for label in METHODS]
    assert all({**spec, "method": ""} == {**tested[0], "method": ""} for spec in tested)


def test_seeds_differ_where_they_must(raw):
    cfg = load(raw)
    base, proxy = specs.train(cfg, "toy", "uniform", 0)["seeds"], specs.proxy(cfg, "toy", 0)["seeds"]
    assert base["init"] != proxy["init"] and base["data"] == proxy["data"]
    other = specs.train(cfg, "toy", "uniform", 1)["seeds"]
    assert not set(base.values()) & set(other.values())
    own = {specs.weights(cfg, "toy", label, s)["seeds"]["method"] for label in METHODS for s in (0, 1)}
    assert len(own) == 6
    assert specs.embed(cfg, "toy", "left", 0)["seeds"] == specs.embed(cfg, "toy", "right", 0)["seeds"]


@pytest.mark.parametrize(
    ("stage", "jobs"),
    [
        ("corpora", {"prepare"}),
        ("tokenizer", {"tokenizer"}),
        ("tokens", {"tokens"}),
        ("train", {"proxy", "train"}),
        ("embeddings", {"embed"}),
        ("weights", {"weights"}),
        ("evaluate", {"evaluate"}),
        # Not in the toy config; tests of their own look at their specs.
        ("items", set()),
        ("fewshot", set()),
        ("forecast", set()),
        ("sentences", set()),
        ("sensitivity", set()),
        ("collect", {"collect"}),
        ("tables", {"tables"}),
        ("figures", {"figures"}),
        ("page", {"page"}),
    ],
)
def test_a_version_bump_reruns_its_stage_alone(raw, monkeypatch, stage, jobs):
    before = every_spec(raw)
    monkeypatch.setitem(STAGES, stage, STAGES[stage] + 1)
    after = every_spec(raw)
    assert {key[0] for key in before if before[key] != after[key]} == jobs
    assert stage in STAGES and set(STAGES) == {
        p for mark in test_a_version_bump_reruns_its_stage_alone.pytestmark for p, _ in mark.args[1]
    }


def test_the_tokenizers_identity_is_what_it_is_trained_on(raw):
    first = load(raw).tokenizer_fingerprint
    assert load(copy.deepcopy(raw)).tokenizer_fingerprint == first
    seen = {first}
    for edit in (
        lambda r: r["tokenizer"].update(vocab_size=301),
        lambda r: r["data"].update(min_characters=201),
        lambda r: r["corpora"]["left"].update(documents=7),
        lambda r: r["corpora"]["left"].update(domains=["unique"]),
    ):
        other = copy.deepcopy(raw)
        edit(other)
        seen.add(load(other).tokenizer_fingerprint)
    assert len(seen) == 5
    raw["scales"]["tiny"]["train"]["lr"] = 1.0
    raw["corpora"]["unused"] = {"kind": "synthetic"}
    assert load(raw).tokenizer_fingerprint == first


def test_collect_names_what_each_method_needs(raw):
    found = specs.collect(load(raw))["scenarios"]["toy"]["methods"]
    assert {label: needs["embedder"] for label, needs in found.items()} == {
        "uniform": None,
        "natural": None,
        "chameleon": "proxy_toy",
    }
    assert found["chameleon"]["runs"] == found["chameleon"]["swarm"] == {"0": [], "1": []}
    assert found["chameleon"]["charged_proxy"] and found["chameleon"]["charged_corpora"] == ["left", "right"]
