"""Transfer and finetuning: what they take over from pretraining, what is charged, and how they run."""

import copy
import json
import math

import pytest

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing.method import Method
from chameleon.mixing.types import REFERENCE, RunSpec
from chameleon.reporting.records.collect import Paths, costs
from chameleon.stages import inputs, measure, runs, weighting
from chameleon.stages.swarm import swarm
from chameleon.training.model import load_pretrained

TRANSFER = {
    "kind": "transfer",
    "corpora": ["left", "right"],
    "proxy": {"of": "small"},
    "base": {"scale": "tiny"},
    "methods": ["uniform", "chameleon", "again"],
}
FINETUNE = {
    "kind": "finetune",
    "corpora": ["right"],
    "proxy": {"of": "small"},
    "base": {"scale": "tiny", "of": "small", "method": "natural", "steps": 3},
    "embed_with": "base",
    "methods": ["uniform", "chameleon"],
}


@pytest.fixture
def three(raw):
    """The toy config: `small` on the left corpus, `wide` is its transfer and `tuned` its finetuning."""
    small = {**raw["scenarios"].pop("toy"), "corpora": ["left"]}
    raw["scenarios"] = {"small": small, "wide": copy.deepcopy(TRANSFER), "tuned": copy.deepcopy(FINETUNE)}
    raw["run"] = ["small", "wide", "tuned"]
    raw["method_params"] = {"again": {"method": "chameleon", "embed_with": "own"}}
    return raw


def test_transfer_reuses_the_proxy_and_what_it_has_embedded(three):
    cfg = load(three)
    assert cfg.embedder("wide", "chameleon") == "proxy_small" == cfg.embedder("small", "chameleon")
    assert specs.embed(cfg, "proxy_small", "left", 0) == specs.embed(load(three), "proxy_small", "left", 0)
    methods = specs.collect(cfg)["scenarios"]["wide"]["methods"]
    assert methods["chameleon"]["charged_proxy"] is False
    assert methods["chameleon"]["charged_corpora"] == ["right"], "old domains are not embedded again"
    assert methods["again"]["embedder"] == "proxy_wide"
    assert methods["again"]["charged_proxy"] and methods["again"]["charged_corpora"] == ["left", "right"]
    assert specs.proxy(cfg, "wide", 0)["scale"] == specs.proxy(cfg, "small", 0)["scale"]
    assert list(specs.proxy(cfg, "wide", 0)["domains"]) == ["twin_one", "unique", "blend"]
    assert specs.evaluate(cfg, "wide", "uniform", 0)["groups"] == {
        "mean_old": ["twin_one", "unique"],
        "mean_new": ["blend"],
    }


def test_new_scenarios_change_nothing_of_pretraining(three):
    both = load(three)
    three["run"] = ["small"]
    alone = load(three)
    assert both.tokenizer_fingerprint == alone.tokenizer_fingerprint
    for stage in (specs.tokenizer, lambda c: specs.proxy(c, "small", 0)):
        assert stage(both) == stage(alone)
    for label in ("natural", "chameleon"):
        for stage in (specs.weights, specs.train, specs.evaluate):
            assert stage(both, "small", label, 1) == stage(alone, "small", label, 1)


def test_finetuning_alone_brings_what_it_starts_from(three):
    three["run"] = ["tuned"]
    cfg = load(three)
    assert cfg.needed == ["tuned", "small"] and set(cfg.corpora) == {"left", "right"}
    assert cfg.tokenizer_corpora == ["left"]
    assert specs.embedders(cfg)["base_small_natural"] == ("base", "small", "natural")
    assert specs.kept_domains(cfg, "tuned") == {"twin_one": "left", "unique": "left"}
    spec = specs.train(cfg, "tuned", "uniform", 0)
    assert spec["start"] == {"scenario": "small", "method": "natural"} and spec["train"]["steps"] == 3
    assert specs.train(cfg, "small", "uniform", 0)["start"] is None


MISTAKES = {
    "no proxy named": (("wide", "proxy"), {"scale": "tiny"}, "scenarios.wide.proxy.of: missing"),
    "unknown proxy": (("wide", "proxy", "of"), "smal", "scenarios.wide.proxy.of: 'smal' is not one of"),
    "chain": (("tuned", "proxy", "of"), "wide", "scenarios.tuned.proxy.of: wide builds on a scenario itself"),
    "both": (("wide", "proxy", "scale"), "tiny", "scenarios.wide.proxy: give either of, or scale"),
    "start of a pretraining": (("small", "base", "of"), "small", "scenarios.small.base.of: only for kind"),
    "unknown start": (("tuned", "base", "method"), "doge", "scenarios.tuned.base.method: 'doge' is not one"),
    "no start": (("tuned", "base"), {"scale": "tiny"}, "scenarios.tuned.base.of: missing"),
    "base embeds": (("wide", "embed_with"), "base", "scenarios.wide.embed_with: 'base' is for kind finetune"),
    "kind": (("wide", "kind"), "transfers", "scenarios.wide.kind: 'transfers' is not one of pretrain"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(three, name):
    path, value, words = MISTAKES[name]
    place = three["scenarios"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(UserError) as caught:
        load(three, "my.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_transfer_that_shares_no_domain_has_one_mean(three):
    three["scenarios"]["wide"]["corpora"] = ["right"]
    assert specs.groups(load(three), "wide") == {}
    three["scenarios"]["wide"]["corpora"] = ["left"]
    assert specs.groups(load(three), "wide") == {}


def test_forgetting_needs_one_test_set(three):
    three["scenarios"]["tuned"]["evaluation"] = {"test_tokens": 64}
    with pytest.raises(UserError, match=r"tuned\.evaluation\.test_tokens: forgetting compares with small"):
        load(three)


RUNS = {
    "scale": ({"method": "regmix", "scale": "tinny"}, "methods: mine: scale: 'tinny' is not one of tiny"),
    "no name": ({"method": "regmix", "scale": 3}, "methods: mine: scale: 3 is not the name of a scale"),
    "no such runs": ({"method": "olmix", "swarm": "regmax"}, "methods: mine uses: 'regmax' is not one of"),
    "own runs": ({"method": "olmix", "swarm": "mine"}, "methods: mine: builds on its own weights"),
    "circle": ({"method": "aioli", "prior": "mine"}, "methods: mine: builds on its own weights"),
    "value": ({"method": "doge", "mu": -1}, "my.yaml: scenarios.small.methods: mine: method doge: mu: -1"),
    "switch": ({"method": "chameleon", "centre": "yes"}, "chameleon.centre: 'yes' is not true or false"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_method_that_cannot_run_is_refused_beforehand(three, name):
    three["method_params"]["mine"], words = RUNS[name]
    three["scenarios"]["small"]["methods"].append("mine")
    with pytest.raises(UserError) as caught:
        load(three, "my.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_method_pays_for_the_weights_it_builds_on(three, tmp_path):
    """Aioli on RegMix, and RegMix on its own swarm, which Olmix reads; what two stages share is paid once."""
    three["scenarios"]["small"]["methods"] += ["regmix", "upon", "olmix"]
    three["method_params"] |= {
        "regmix": {"num_proxies": 4},
        "upon": {"method": "aioli", "prior": "regmix", "prior_steps": 2},
    }
    three["swarm"] = {"runs_per_job": 2}
    cfg = load(three)
    methods = specs.collect(cfg)["scenarios"]["small"]["methods"]
    assert methods["upon"]["uses"] == ["regmix"] and methods["regmix"]["uses"] == []
    assert methods["olmix"]["reads"] == ["regmix"] and methods["olmix"]["uses"] == []

    def record(path, flops):
        path.parent.mkdir(parents=True, exist_ok=True)
        empty = dict.fromkeys(("spec", "seeds", "versions", "inputs", "outputs"), {})
        cost = {"tokens": 1, "flops": flops, "seconds": 2.0}
        given = {
            "schema": 1,
            "stage": "x",
            "fingerprint": "0" * 64,
            "device": "d",
            "threads": 1,
            "cost": cost,
        }
        given |= {"git": {"commit": None, "dirty": None}, "started": "", "finished": "", **empty}
        path.write_text(json.dumps(given), encoding="utf-8")

    for label, flops in (("regmix", 10.0), ("upon", 1.0), ("olmix", 3.0)):
        run = tmp_path / "runs/small" / label / "seed0"
        record(run / "run.json", 1000.0)
        record(tmp_path / "weights/small" / label / "seed0.run.json", flops)
        record(tmp_path / "metrics/small" / label / "seed0.run.json", 7.0)
        for part in methods[label]["swarm"]["0"]:
            record(run / "swarm" / f"{part}.run.json", 100.0)
    rows = {
        label: {row[3]: row[5] for row in costs(Paths(tmp_path, "small", label, 0, None), methods)}
        for label in ("regmix", "upon", "olmix")
    }
    assert rows["regmix"] == {"swarm": 200.0, "weights": 10.0, "base": 1000.0, "evaluate": 7.0}
    assert rows["upon"] == {"swarm": 200.0, "weights": 11.0, "base": 1000.0, "evaluate": 7.0}
    # Whoever reads the runs pays for them, and for nothing that RegMix makes of them.
    assert rows["olmix"] == {"swarm": 200.0, "weights": 3.0, "base": 1000.0, "evaluate": 7.0}


def test_another_model_cannot_be_finetuned(three):
    three["scales"]["wider"] = copy.deepcopy(three["scales"]["tiny"])
    three["scales"]["wider"]["model"]["d_model"] = 32
    three["scenarios"]["tuned"]["base"]["scale"] = "wider"
    with pytest.raises(UserError, match="wider has another model than tiny, from which finetuning starts"):
        load(three)


def test_a_wrong_embedder_of_a_method_is_refused(three):
    three["method_params"]["again"]["embed_with"] = "mine"
    with pytest.raises(
        UserError, match="method_params.again.embed_with: 'mine' is not one of proxy, own, base"
    ):
        load(three)


def test_finetuning_goes_on_from_the_checkpoint_and_reports_what_is_kept(toy, three, tmp_path):
    cfg = load(three)
    left, right = toy.manifests

    def base(scenario, label, manifests, start=None):
        out = tmp_path / scenario
        weights = tmp_path / f"{scenario}.json"
        weighting.weights(specs.weights(cfg, scenario, label, 0), manifests, [], [], weights, 1)
        spec = specs.train(cfg, scenario, label, 0)
        runs.train(spec, manifests, weights, toy.tokenizer, out, 1, start=start)
        return out

    before = base("small", "natural", [left])
    after = base("tuned", "uniform", [right], before / "model")
    record = read_json(after / "run.json", "run")
    assert str(before / "model" / "model.safetensors") in record["inputs"]
    old, new = (load_pretrained(f / "model").wte.weight.detach() for f in (before, after))
    # AdamW moves a weight by about its rate at most, 0.01 in each of three steps here: it did go on.
    assert 0 < (new - old).abs().max() < 0.031

    found = {}
    for scenario, label, folder, manifests in (
        ("small", "natural", before, [left]),
        ("tuned", "uniform", after, [right, left]),
    ):
        out = tmp_path / f"{scenario}-metrics.json"
        measure.evaluate(specs.evaluate(cfg, scenario, label, 0), manifests, folder / "model", out, 1)
        found[scenario] = read_json(out, "metrics")
    assert set(found["tuned"]["loss"]) == {"blend"} and set(found["tuned"]["kept"]["loss"]) == {
        "twin_one",
        "unique",
    }
    assert found["small"]["kept"] is None and found["tuned"]["kept"]["loss"] != found["small"]["loss"]


def test_learning_curve(toy, three, tmp_path):
    three["evaluation"] |= {"curve_points": [0.5, 1.0], "curve_tokens": 64}
    cfg = load(three)
    weights = tmp_path / "weights.json"
    weighting.weights(specs.weights(cfg, "small", "uniform", 0), toy.manifests[:1], [], [], weights, 1)
    spec = specs.train(cfg, "small", "uniform", 0)
    assert spec["curve"] == {"steps": [4, 8], "tokens": 64}
    runs.train(spec, toy.manifests[:1], weights, toy.tokenizer, tmp_path / "run", 1)
    curve = read_json(tmp_path / "run" / "curve.json")
    assert [p["tokens"] for p in curve["points"]] == [4 * 4 * 16, 8 * 4 * 16]
    evaluation = {**specs.evaluate(cfg, "small", "uniform", 0), "test_tokens": 64}
    out = tmp_path / "metrics.json"
    measure.evaluate(evaluation, toy.manifests[:1], tmp_path / "run" / "model", out, 1)
    last = read_json(out)["loss"]
    assert curve["points"][-1]["loss"] == pytest.approx(last, rel=1e-6)
    # Looking does not change training.
    three["evaluation"]["curve_points"] = []
    plain = specs.train(load(three), "small", "uniform", 0)
    runs.train(plain, toy.manifests[:1], weights, toy.tokenizer, tmp_path / "plain", 1)
    assert (tmp_path / "plain/training.csv").read_bytes() == (tmp_path / "run/training.csv").read_bytes()


class Swarming(Method):
    """Toy: five small runs, one per worker and two."""

    name = "swarming"

    def extra_runs(self, domains, params, seed):
        runs = []
        for i in range(5):
            share = (i + 1) / 6
            weights = {domains[0]: share, domains[1]: 1 - share}
            runs.append(RunSpec(f"mix{i}", weights, steps=2, swarm=True))
        return runs


def test_a_swarm_is_cut_into_parts_and_resumes(toy, three, tmp_path, monkeypatch):
    from chameleon.mixing import registry

    monkeypatch.setitem(registry._methods, "swarming", Swarming())
    three["scenarios"]["small"]["methods"].append("swarming")
    three["swarm"] = {"runs_per_job": 2}
    cfg = load(three)
    groups = specs.swarm_groups(cfg, "small", "swarming", 0)
    assert {g: [r.run_id for r in runs] for g, runs in groups.items()} == {
        "part0": ["mix0", "mix1"],
        "part1": ["mix2", "mix3"],
        "part2": ["mix4"],
    }
    spec = specs.swarm(cfg, "small", "swarming", 0, "part0")
    out = tmp_path / "swarm" / "part0.json"
    swarm(spec, toy.manifests[:1], out, 1)
    first, spent = out.read_bytes(), read_json(out.with_suffix(".run.json"))["cost"]
    results = inputs.run_results([out])
    assert set(results) == {"mix0", "mix1"} and results["mix0"].model_dir is None
    assert all(math.isfinite(x) for x in results["mix0"].losses.values())

    # Alone it comes out the same: neighbours in a worker share nothing.
    alone = {**spec, "runs": {"mix1": spec["runs"]["mix1"]}}
    swarm(alone, toy.manifests[:1], tmp_path / "alone" / "part0.json", 1)
    assert inputs.run_results([tmp_path / "alone" / "part0.json"])["mix1"].losses == results["mix1"].losses

    # What was done is taken up, what is missing or of another spec is done again.
    (tmp_path / "swarm/parts/mix1.json").unlink()
    kept = tmp_path / "swarm/parts/mix0.json"
    marked = json.loads(kept.read_text())
    marked["loss"]["twin_one"] = 1.25
    kept.write_text(json.dumps(marked))
    swarm(spec, toy.manifests[:1], out, 1)
    again = inputs.run_results([out])
    assert again["mix0"].losses["twin_one"] == 1.25 and again["mix1"].losses == results["mix1"].losses
    resumed = read_json(out.with_suffix(".run.json"))["cost"]
    assert {k: resumed[k] for k in ("tokens", "flops")} == {k: spent[k] for k in ("tokens", "flops")}
    kept_seconds = read_json(tmp_path / "swarm/parts/mix0.json")["cost"]["seconds"]
    assert resumed["seconds"] > kept_seconds, "what an earlier process spent is counted"
    longer = {**spec, "train": {**spec["train"], "steps": 3}}
    swarm(longer, toy.manifests[:1], out, 1)
    assert inputs.run_results([out])["mix0"].losses["twin_one"] != 1.25
    assert first != out.read_bytes()


class Doubled:
    """An objective with twice the loss, which counts its batches."""

    extra_flops = 0.0

    def __init__(self, seen):
        self.seen = seen

    def step(self, model, tokens, targets, domains, info):
        loss = model(tokens, targets).mean()
        (2 * loss).backward()
        self.seen.append((tuple(domains), info.step, info.total_steps, round(info.lr_factor, 6)))
        self.extra_flops += 5.0
        return float(loss.detach())

    def outcome(self):
        return {"batches": len(self.seen)}


class Guided(Method):
    """Toy: a run after the reference under an objective, then one whose mixture the first decides."""

    name = "guided"
    seen: list = []

    def extra_runs(self, domains, params, seed):
        uniform = dict.fromkeys(domains, 1 / len(domains))
        return [
            RunSpec("first", uniform, 3, after=(REFERENCE,), objective=True),
            RunSpec("second", None, 2, after=("first",)),
        ]

    def run_weights(self, inputs):
        batches = inputs.earlier["first"].outcome["batches"]
        return {d: (batches if d == "unique" else 1) / (batches + 1) for d in inputs.domains}

    def objective(self, inputs):
        assert (inputs.earlier[REFERENCE].model_dir / "config.json").is_file()
        return Doubled(self.seen)


def test_runs_under_an_objective_and_runs_that_wait(toy, three, tmp_path, monkeypatch):
    from chameleon.mixing import registry

    monkeypatch.setitem(registry._methods, "guided", Guided())
    Guided.seen.clear()
    three["scenarios"]["small"]["methods"].append("guided")
    cfg, manifests = load(three), toy.manifests[:1]
    reference = tmp_path / "proxy"
    runs.proxy(specs.proxy(cfg, "small", 0), manifests, toy.tokenizer, reference, 1)
    spec = specs.extra_run(cfg, "small", "guided", 0, "first")
    assert specs.after(cfg, "small", "guided", 0, "first") == (REFERENCE,)
    first, second = tmp_path / "first", tmp_path / "second"
    runs.extra_run(spec, manifests, toy.tokenizer, first, 1, reference=reference)
    assert [s[1:3] for s in Guided.seen] == [(0, 3), (1, 3), (2, 3)]
    assert all(len(s[0]) == 4 and set(s[0]) <= {"twin_one", "unique"} for s in Guided.seen)
    record = read_json(first / "run.json", "run")
    plain = read_json(reference / "run.json", "run")
    per_token = plain["cost"]["flops"] / plain["cost"]["tokens"]
    validation = 2 * 64 * per_token / 3
    assert record["cost"]["flops"] == pytest.approx(3 * 4 * 16 * per_token + validation + 3 * 5.0)

    spec = specs.extra_run(cfg, "small", "guided", 0, "second")
    runs.extra_run(spec, manifests, toy.tokenizer, second, 1, after=[first])
    results = inputs.run_results([first, second])
    assert results["first"].outcome == {"batches": 3}
    assert results["second"].weights == {"twin_one": 0.25, "unique": 0.75}
