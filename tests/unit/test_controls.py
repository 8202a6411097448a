"""Controls: permuted weights, the mean mixture of another run, the best single domain, an untrained proxy."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.core.seeds import derive
from chameleon.embedding import files
from chameleon.experiment import paths, specs
from chameleon.experiment.load import load
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult
from chameleon.reporting.records import collect
from chameleon.stages import measure, weighting
from chameleon.stages.inputs import shares_played
from chameleon.training.model import Decoder, ModelShape, save_pretrained

DOMAINS = ("wiki", "books", "code")
MIXTURE = {"wiki": 0.5, "books": 0.3, "code": 0.2}


def inputs(**more):
    return MethodInputs(DOMAINS, dict.fromkeys(DOMAINS, 100), {"of": "other"}, 0, 10, **more)


def weights(name, given):
    return registry.get(name).weights(given).schedule.stages[0].weights


def test_permuted_weights_are_the_same_numbers_elsewhere():
    given, seen = inputs(others={"other": MIXTURE}), set()
    for seed in range(40):
        found = weights("permuted", replace(given, seed=seed))
        assert sorted(found.values()) == sorted(MIXTURE.values()) and found != MIXTURE
        turned = weights("permuted", replace(given, seed=seed, domains=DOMAINS[::-1]))
        assert turned == found
        seen.add(tuple(found[d] for d in DOMAINS))
    assert len(seen) == 5, "all permutations but the one that moves nothing"


def test_the_mean_mixture_is_what_was_played(tmp_path):
    segments = [
        {"blocks": {"wiki": 6, "books": 2, "code": 0}},
        {"blocks": {"wiki": 0, "books": 0, "code": 2}},
    ]
    path = tmp_path / "runs" / "s" / "other" / "seed0" / "mixture.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"segments": segments}))
    shares = shares_played(path)
    assert shares == {"wiki": 0.6, "books": 0.2, "code": 0.2}
    assert weights("mean_mixture", inputs(played={"other": shares})) == shares


def test_the_single_domain_is_the_one_of_lowest_mean_loss():
    losses = {"wiki": (2.0, 5.0, 5.0), "books": (3.0, 3.0, 3.5), "code": (4.0, 4.0, 1.0)}
    method = registry.get("single_domain")
    runs = {}
    for run in method.extra_runs(DOMAINS, dict(method.defaults), 0):
        (domain,) = [d for d, w in run.weights.items() if w]
        assert run.swarm and run.weights[domain] == 1
        runs[run.run_id] = RunResult(run.weights, dict(zip(DOMAINS, losses[domain], strict=True)), None)
    answer = method.weights(inputs(runs=runs))
    assert answer.schedule.stages[0].weights == {"wiki": 0.0, "books": 0.0, "code": 1.0}
    assert answer.diagnostics["mean_loss"] == pytest.approx({"wiki": 4, "books": 9.5 / 3, "code": 3})


@pytest.mark.parametrize("name", ["permuted", "mean_mixture"])
@pytest.mark.parametrize("of", [None, 3, ""])
def test_what_is_no_label(name, of):
    with pytest.raises(UserError, match=f"method {name}: of: .* is not the label of a method"):
        registry.get(name).check({"of": of}, DOMAINS, {})


def controlled(raw, **entries):
    raw["method_params"] = entries
    raw["scenarios"]["toy"]["methods"] += list(entries)
    return load(raw)


def test_what_a_control_reads(raw):
    cfg = controlled(raw, again={"method": "mean_mixture", "of": "chameleon"},
                     moved={"method": "permuted", "of": "again"})  # fmt: skip
    runs, weighed = "<results>/runs/toy/chameleon/seed1", "<results>/weights/toy"
    assert paths.played(cfg, "toy", "again", "1") == [f"{runs}/mixture.json"]
    assert paths.others(cfg, "toy", "moved", "1") == [f"{weighed}/again/seed1.json"]
    assert paths.played(cfg, "toy", "moved", "1") == paths.played(cfg, "toy", "uniform", "1") == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"again": {"method": "mean_mixture", "of": "nobody"}}, "again uses: 'nobody' is not one of"),
        ({"again": {"method": "mean_mixture", "of": "again"}}, "again: builds on its own weights"),
        (
            {"a": {"method": "mean_mixture", "of": "b"}, "b": {"method": "permuted", "of": "a"}},
            "a: builds on its own weights",
        ),
        ({"x": {"method": "chameleon", "embed_with": "none"}}, "'none' is not one of"),
    ],
)
def test_controls_of_nothing(raw, entries, words):
    with pytest.raises(UserError, match=words):
        controlled(raw, **entries)


def test_an_untrained_proxy_embeds_with_its_initial_weights(raw, toy, tmp_path: Path):
    cfg = controlled(raw, blind={"method": "chameleon", "embed_with": "untrained"})
    assert cfg.embedder("toy", "blind") == "untrained_toy"
    spec = specs.embed(cfg, "untrained_toy", "left", 1)
    trained = specs.embed(cfg, "proxy_toy", "left", 1)
    assert spec["seeds"] == {**trained["seeds"], "init": derive(1, "init", "proxy")}
    model = specs.proxy(cfg, "toy", 1)["model"]
    shape = ModelShape(**model, vocab_size=64)
    found = []
    for name, seed, one in (("x", 5, spec), ("y", 6, spec), ("z", spec["seeds"]["init"], trained)):
        net = Decoder(shape).initialise(seed)
        net.ln_f.weight.data.add_(0.5 * (name != "z"))
        save_pretrained(net, tmp_path / name, eos_token_id=0)
        measure.embed(one, toy.manifests[:1], tmp_path / name, tmp_path / f"{name}.json", 1)
        found.append(files.load([tmp_path / f"{name}.json"], tuple(one["domains"])))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_what_a_swarm_foretells_of_the_other_mixtures(raw, toy, tmp_path: Path):
    """From the runs and weights of a seed; no weights depend on it, and tidy rows come from it."""
    raw["method_params"] = {"regmix": {"num_proxies": 6, "regression": "linear"}}
    raw["scenarios"]["toy"]["methods"] = ["uniform", "natural", "aioli", "regmix"]
    cfg = load(raw)
    spec = specs.forecast(cfg, "toy", "regmix", 1)
    assert specs.foretelling(cfg, "toy") == ["regmix"]
    assert spec["mixtures"] == ["uniform", "natural", "regmix"]
    assert paths.forecasts(cfg) == [f"<results>/forecasts/toy/regmix/seed{n}.json" for n in cfg.seeds]
    assert paths.others(cfg, "toy", "regmix", "1") == []
    domains = list(cfg.domains("toy"))
    swarm = {}
    for run in specs.extra_runs(cfg, "toy", "regmix", 1):
        loss = {d: 3.0 - run.weights["blend"] for d in domains}
        swarm[run.run_id] = {"weights": run.weights, "loss": loss}
    (tmp_path / "part0.json").write_text(json.dumps({"runs": swarm}))
    mixtures = {}
    for label in ("uniform", "natural"):
        mixtures[label] = tmp_path / f"{label}.json"
        weighting.weights(specs.weights(cfg, "toy", label, 1), toy.manifests, [], [], mixtures[label], 1)
    results = collect.Paths(tmp_path / "results", "toy", "regmix", 1, None)
    weighting.forecast(spec, toy.manifests, [tmp_path / "part0.json"], results.forecast, 1,
                       others=list(mixtures.values()))  # fmt: skip
    found = read_json(results.forecast, "forecast")["loss"]
    for label, path in mixtures.items():
        share = read_json(path, "weights")["stages"][0]["weights"]["blend"]
        assert found[label] == pytest.approx(3.0 - share, abs=1e-6)
    rows = list(collect.foretold(results))
    assert {row[3:6] for row in rows} == {("foretold_loss", "", label) for label in mixtures}


def test_a_control_pays_for_the_run_that_it_follows(raw, tmp_path: Path):
    cfg = controlled(raw, again={"method": "mean_mixture", "of": "natural"})
    needs = specs.collect(cfg)["scenarios"]["toy"]["methods"]
    assert (
        needs["again"]["follows"] == needs["again"]["uses"] == ["natural"] and not needs["natural"]["follows"]
    )
    found = collect.weighting_records(collect.Paths(tmp_path, "toy", "again", 1, None), needs["again"])
    assert found["followed"] == [tmp_path / "runs/toy/natural/seed1/run.json"]
    spent = {"tokens": 10, "flops": 100.0, "seconds": 3.0}
    ordered = {"tokens": 1, "flops": 7.0, "seconds": 2.0}
    record = {"cost": spent, "validation_cost": ordered, "device": "CPU"}
    row = collect._summed(("toy", "again", 1), "followed", [record])
    assert row[4:7] == (11, 107.0, 3.0), "the seconds of its passes are among the run's"
