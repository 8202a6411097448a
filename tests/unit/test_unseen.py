"""Losses on unseen domains: what is refused, what may not depend on them, how they are measured."""

import copy
import inspect
import json
from typing import Any

import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import paths, specs
from chameleon.experiment.load import load
from chameleon.experiment.specs import study
from chameleon.pricing.jobs import Walk
from chameleon.reporting.records import collect
from chameleon.stages import measure
from chameleon.training.model import Decoder, ModelShape, save_pretrained

#: Methods of every way to find weights: counts, a proxy, objectives, a swarm, a controller.
METHODS = ["uniform", "natural", "chameleon", "doremi", "doge", "regmix", "aioli"]


@pytest.fixture
def apart(raw: dict[str, Any]) -> dict[str, Any]:
    """The toy config on the left corpus, tested on the right one too."""
    raw["scenarios"]["toy"] |= {"corpora": ["left"], "unseen": ["right"], "methods": list(METHODS)}
    raw["method_params"] = {"regmix": {"num_proxies": 4}}
    raw["sensitivity"] = {"scenario": "toy", "temperatures": [1, 2], "proxy_steps": [2]}
    return raw


def without(raw: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """Return the config without unseen corpora."""
    plain = copy.deepcopy(raw)
    plain["scenarios"]["toy"]["unseen"] = value
    return plain


def tuned(raw: dict[str, Any]) -> dict[str, Any]:
    """Add a finetuning of the toy scenario's models on a third corpus."""
    raw["corpora"]["later"] = {"kind": "synthetic", "domains": ["cousin"]}
    raw["scenarios"]["tuned"] = {
        "kind": "finetune",
        "corpora": ["later"],
        "proxy": {"of": "toy"},
        "base": {"scale": "tiny", "of": "toy", "method": "natural", "steps": 3},
        "methods": ["uniform", "chameleon"],
    }
    raw["run"] = ["toy", "tuned"]
    return raw


def test_what_a_finetuned_model_started_from_is_seen(apart: dict[str, Any]) -> None:
    raw = tuned(apart)
    raw["scenarios"]["tuned"]["unseen"] = ["right"]
    cfg = load(raw)
    assert cfg.seen("tuned") == ["later", "left"] and cfg.unseen("tuned") == ["right"]
    assert set(specs.evaluate(cfg, "tuned", "uniform", 0)["kept"]) == {"twin_one", "unique"}
    raw["scenarios"]["tuned"]["unseen"] = ["left"]
    with pytest.raises(UserError, match=r"x: scenarios\.tuned\.unseen: 'left' is not one of right: the scen"):
        load(raw, "x")


def test_a_domain_in_both_is_refused(apart: dict[str, Any]) -> None:
    apart["corpora"]["twice"] = {"kind": "synthetic", "domains": ["unique"]}
    apart["scenarios"]["toy"]["unseen"] = ["right", "twice"]
    with pytest.raises(UserError, match=r"toy\.unseen: domain 'unique' is in left and twice") as caught:
        load(apart)
    assert "\n" not in str(caught.value)


def test_without_any_nothing_is_tested_or_shown(apart: dict[str, Any]) -> None:
    absent = without(apart)
    del absent["scenarios"]["toy"]["unseen"]
    for raw in (without(apart), without(apart, []), absent):
        cfg = load(raw)
        assert specs.evaluate(cfg, "toy", "uniform", 0)["unseen"] == {}
        assert specs.with_unseen(cfg) == [] and specs.tables(cfg)["unseen"] == []
        assert cfg.corpora == ["left"]


def test_of_transfer_are_the_new_domains_of_what_is_run_on_the_proxy(apart: dict[str, Any]) -> None:
    apart["scenarios"]["toy"]["unseen"] = "transfer"
    apart["scenarios"]["more"] = {
        "kind": "transfer",
        "corpora": ["left", "right"],
        "proxy": {"of": "toy"},
        "base": {"scale": "tiny"},
        "methods": ["uniform"],
    }
    assert load(apart | {"run": ["toy", "more"]}).unseen("toy") == ["right"]
    assert load(apart | {"run": ["toy", "more"]}).unseen("more") == []
    assert load(apart | {"run": ["toy"]}).unseen("toy") == [], "nothing is fetched for it"
    assert load(apart | {"run": ["toy"]}).corpora == ["left"]


def jobs(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the specs of all jobs before the tests of the base models, and of those beside them."""
    cfg, found = load(raw), {}
    found["tokenizer"] = specs.tokenizer(cfg)
    for stage in (specs.fetch, specs.prepare, specs.tokens, specs.asked):
        found[stage.__name__] = stage(cfg, "left")
    found["fewshot"], found["figures"] = specs.fewshot(cfg, "toy"), specs.figures(cfg)
    for seed in cfg.seeds:
        found[f"proxy {seed}"] = specs.proxy(cfg, "toy", seed)
        found[f"embed {seed}"] = specs.embed(cfg, "proxy_toy", "left", seed)
        for label in cfg.methods("toy"):
            for run in specs.single_runs(cfg, "toy", label, seed):
                name = f"extra {label} {run.run_id} {seed}"
                found[name] = specs.extra_run(cfg, "toy", label, seed, run.run_id)
            for group in specs.swarm_groups(cfg, "toy", label, seed):
                found[f"swarm {label} {group} {seed}"] = specs.swarm(cfg, "toy", label, seed, group)
            found[f"weights {label} {seed}"] = specs.weights(cfg, "toy", label, seed)
            found[f"train {label} {seed}"] = specs.train(cfg, "toy", label, seed)
    for variant, seed in study.jobs(cfg):
        found[f"study proxy {variant} {seed}"] = study.proxy(cfg, variant, seed)
        found[f"study embed {variant} {seed}"] = study.embed(cfg, variant, seed)
    return found


def inputs(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what every rule but those of tests and reports reads."""
    cfg = load(raw)
    given = {"cfg": cfg, "scenario": "toy", "seed": "0", "embedder": "proxy_toy", "run": "proxy"}
    found = {}
    for name, function in inspect.getmembers(paths, inspect.isfunction):
        asked = list(inspect.signature(function).parameters)
        ours = function.__module__ == paths.__name__ and asked[:1] == ["cfg"] and name != "tested_manifests"
        for method in cfg.methods("toy") if "method" in asked else [""]:
            # Only DoReMi and DoGE have a run of this name.
            if ours and "variant" not in asked and ("run" not in asked or method in ("doremi", "doge")):
                found[name, method] = function(*({**given, "method": method}[key] for key in asked))
    return found


def test_only_tests_and_reports_know_of_unseen_domains(apart: dict[str, Any]) -> None:
    apart["evaluation"]["fewshot"] = {"source": "items", "tasks": ["piqa"], "shots": [0], "limit": 4}
    known = jobs(apart)
    assert {name.split()[0] for name in known} >= {"proxy", "embed", "extra", "swarm", "weights", "train"}
    assert {name: specs.dump(spec) for name, spec in known.items()} == {
        name: specs.dump(spec) for name, spec in jobs(without(apart)).items()
    }
    words = json.dumps([known, [list(map(str, item)) for item in inputs(apart).items()]])
    assert "blend" not in words and "right" not in words and "unseen" not in words
    assert len(inputs(apart)) > 20 and inputs(apart) == inputs(without(apart))
    cfg = load(apart)
    assert specs.evaluate(cfg, "toy", "aioli", 1)["unseen"] == {"blend": "right"}
    assert specs.collect(cfg)["scenarios"]["toy"]["unseen"] == {"blend": "right"}
    assert paths.tested_manifests(cfg, "toy") == [
        f"<results>/tokens/{c}/manifest.json" for c in ("left", "right")
    ]
    assert cfg.corpora == ["left", "right"] and cfg.tokenizer_corpora == ["left"]


def test_of_an_unseen_corpus_only_test_text_is_asked(apart: dict[str, Any]) -> None:
    apart["evaluation"] |= {"curve_points": [1.0], "curve_tokens": 640}
    cfg = load(apart)
    assert specs.asked(cfg, "right") == {"test": (321, "evaluation.test_tokens")}
    assert specs.asked(cfg, "left")["test"] == (641, "evaluation.curve_tokens")


def test_the_plan_counts_the_passes(apart: dict[str, Any]) -> None:
    found = {job.name: job for job in Walk(load(apart)).all()}
    plain = {job.name: job for job in Walk(load(without(apart))).all()}
    test, before = (jobs["evaluate toy doge 0"] for jobs in (found, plain))
    assert test.tokens == 3 * 320 and before.tokens == 2 * 320
    assert test.forward_flops == pytest.approx(1.5 * before.forward_flops)
    assert "tokens right" in test.needs
    assert set(found) - set(plain) == {f"{stage} right" for stage in ("fetch", "prepare", "tokens")}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("model")
    decoder = Decoder(ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64)).initialise(0)
    with torch.no_grad():
        decoder.wte.weight.mul_(40)
    save_pretrained(decoder, folder, eos_token_id=0)
    return folder


def test_they_are_measured_as_the_scenarios_own_domains_are(toy, apart, model, tmp_path) -> None:
    own = without(
        {**apart, "scenarios": {"toy": {**apart["scenarios"]["toy"], "corpora": ["left", "right"]}}}
    )
    found, spent = {}, {}
    for name, raw, manifests in (
        ("apart", apart, toy.manifests),
        ("none", without(apart), toy.manifests[:1]),
        ("own", own, toy.manifests),
    ):
        out = tmp_path / f"{name}.json"
        measure.evaluate(specs.evaluate(load(raw), "toy", "uniform", 0), manifests, model, out, 1)
        found[name] = read_json(out, "metrics")
        spent[name] = read_json(out.with_suffix(".run.json"), "run")["cost"]["tokens"]
    assert found["none"]["unseen"] is None
    assert {**found["apart"], "unseen": None} == found["none"], "the scenario's own results stay as they were"
    assert set(found["apart"]["loss"]) == {"twin_one", "unique"}
    assert found["apart"]["unseen"]["loss"] == {"blend": found["own"]["loss"]["blend"]}
    assert spent == {"apart": 3 * 320, "none": 2 * 320, "own": 3 * 320}
    with pytest.raises(UserError, match="no domain 'blend' of corpus 'right'"):
        spec = specs.evaluate(load(apart), "toy", "uniform", 0)
        measure.evaluate(spec, toy.manifests[:1], model, tmp_path / "x.json", 1)


def test_their_rows_have_names_of_their_own(toy, apart, model, tmp_path) -> None:
    cfg = load(apart)
    file = tmp_path / "metrics" / "toy" / "uniform" / "seed0.json"
    measure.evaluate(specs.evaluate(cfg, "toy", "uniform", 0), toy.manifests, model, file, 1)
    of = collect.Paths(tmp_path, "toy", "uniform", 0, None)
    rows = list(collect.metrics(of, specs.collect(cfg)["scenarios"]["toy"]))
    loss = read_json(file)["unseen"]["loss"]["blend"]
    assert rows[-2:] == [
        ("toy", "right", "tiny", "uniform", 0, "blend", "unseen_loss", loss, "nats/token"),
        ("toy", "all", "tiny", "uniform", 0, "mean", "mean_unseen_loss", loss, "nats/token"),
    ]
    plain = list(collect.metrics(of, specs.collect(load(without(apart)))["scenarios"]["toy"]))
    assert rows[:-2] == plain and not [row for row in plain if "unseen" in row[6] or row[5] == "blend"]
