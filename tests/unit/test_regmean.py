"""RegMean: least squares layer by layer, in closed form; its search on DeMix's experts; bad input."""

import copy

import numpy as np
import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.methods import gram
from chameleon.methods.merged import read_experts
from chameleon.methods.merging import Experts, average
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult
from chameleon.stages import runs, weighting
from chameleon.training.model import Decoder, ModelShape

SHAPE = ModelShape(2, 2, 8, 16, 32)
SEARCH = {"rounds": [5, 2], "candidates": 300, "top": 3}


def models(count=3):
    return [Decoder(SHAPE).double().initialise(seed).eval() for seed in range(count)]


def states(found):
    return [{name: p.detach() for name, p in model.named_parameters()} for model in found]


def reading(seed):
    ids = torch.from_numpy(np.random.default_rng(seed).integers(32, size=(20, 17)))
    return lambda model: model(ids[:, :-1], ids[:, 1:])


def far(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_products_are_those_of_the_layers_inputs():
    (model,) = models(1)
    found = gram.products(model, reading(0))
    parts = {"qkv": 8, "attn_out": 8, "mlp_in": 8, "mlp_out": 32}
    assert {n: tuple(g.shape) for n, g in found.items()} == {
        f"blocks.{i}.{part}.weight": (d, d) for i in (0, 1) for part, d in parts.items()
    }
    ids = torch.from_numpy(np.random.default_rng(0).integers(32, size=(20, 17)))[:, :-1]
    x = model.blocks[0].ln_1(model.wte(ids) + model.wpe.weight[:16]).flatten(0, 1)
    assert torch.allclose(found["blocks.0.qkv.weight"], x.T @ x / len(x))
    # Of two batches as of one.
    twice = gram.products(model, lambda m: [reading(0)(m) for _ in range(2)])
    assert far(twice, found) < 1e-12
    assert not any(part._forward_pre_hooks for part in model.modules()), "no hook is left"


@pytest.mark.parametrize("off_diagonal", [1.0, 0.1, 0.0])
def test_equal_products_give_the_plain_average(off_diagonal):
    found = models()
    grams = [gram.products(found[0], reading(0))] * 3
    p = np.array([0.5, 0.2, 0.3])
    merged = gram.RegMean(states(found), grams, off_diagonal, 1e-4)(p)
    assert far(merged, average(states(found), p)) < 1e-10


def test_one_expert_is_itself_and_the_rest_is_averaged():
    found = models()
    grams = [gram.products(model, reading(i)) for i, model in enumerate(found)]
    rule, plain = gram.RegMean(states(found), grams, 0.1, 1e-4), states(found)
    for i in range(3):
        assert far(rule(np.eye(3)[i]), plain[i]) < 1e-10
    p = np.array([0.5, 0.2, 0.3])
    merged, mean = rule(p), average(plain, p)
    assert set(merged) == set(mean)
    for name in merged:
        assert torch.equal(merged[name], mean[name]) == (name not in grams[0]), name


def test_dead_inputs_give_the_plain_average():
    weights = [{"w": torch.randn(3, 4, dtype=torch.float64)} for _ in range(2)]
    zero = [{"w": torch.zeros(4, 4, dtype=torch.float64)}] * 2
    p = np.array([0.25, 0.75])
    assert far(gram.RegMean(weights, zero, 0.1, 1e-4)(p), average(weights, p)) < 1e-12


def test_the_merge_of_two_least_squares_solutions_is_the_joint_one():
    """Two linear layers, each the best on its own rows: merged they are the best on all of them."""
    rng = np.random.default_rng(0)
    xs, ys = [rng.normal(size=(n, 5)) for n in (40, 60)], [rng.normal(size=(n, 3)) for n in (40, 60)]
    layers = []
    for x, y in zip(xs, ys, strict=True):
        layer = torch.nn.Linear(5, 3, bias=False).double()
        layer.weight.data = torch.from_numpy(np.linalg.lstsq(x, y, rcond=None)[0].T.copy())
        layers.append(layer)
    outer = [torch.nn.Sequential(layer) for layer in layers]
    grams = [gram.products(m, lambda m, x=x: m(torch.from_numpy(x))) for m, x in zip(outer, xs, strict=True)]
    # G_i is a mean over rows: in proportion to the rows, all rows count alike.
    merged = gram.RegMean(states(outer), grams)(np.array([0.4, 0.6]))["0.weight"]
    joint = np.linalg.lstsq(np.concatenate(xs), np.concatenate(ys), rcond=None)[0].T
    assert merged.numpy() == pytest.approx(joint, abs=1e-10)
    plain = 0.4 * layers[0].weight + 0.6 * layers[1].weight
    assert not np.allclose(plain.detach().numpy(), joint, atol=1e-3)


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """The toy experiment with DeMix and RegMean: (config, folders of DeMix's experts)."""
    from toy_config import RAW

    raw, out = copy.deepcopy(RAW), tmp_path_factory.mktemp("regmean")
    raw["seeds"], raw["scenarios"]["toy"]["methods"] = [0], ["uniform", "demix", "regmean"]
    raw["method_params"] = {"demix": {"steps": 5, **SEARCH}, "regmean": SEARCH}
    cfg = load(raw)
    runs.proxy(specs.proxy(cfg, "toy", 0), toy.manifests, toy.tokenizer, out / "proxy", 1)
    folders = []
    for run in specs.extra_runs(cfg, "toy", "demix", 0):
        folders.append(out / "demix" / "seed0" / "extra" / run.run_id)
        spec = specs.extra_run(cfg, "toy", "demix", 0, run.run_id)
        runs.extra_run(spec, toy.manifests, toy.tokenizer, folders[-1], 1, reference=out / "proxy")
    return cfg, folders


def test_the_search_is_measured_and_paid(trained, toy, tmp_path):
    cfg, folders = trained
    assert specs.extra_runs(cfg, "toy", "regmean", 0) == [], "nothing is trained anew"
    spec, out = specs.weights(cfg, "toy", "regmean", 0), tmp_path / "weights.json"
    weighting.weights(spec, toy.manifests, [], folders, out, 1)
    said, record = read_json(out, "weights")["diagnostics"], read_json(tmp_path / "weights.run.json")
    assert said["proxies"] == 7 and min(said["delta"].values()) > 0
    passes = registry.get("regmean").validation_passes(spec["params"], ["a", "b"])
    assert passes == 8 and record["cost"]["tokens"] == passes * 3 * 64
    again = tmp_path / "again.json"
    weighting.weights(spec, toy.manifests, [], folders, again, 1)
    assert again.read_bytes() == out.read_bytes()


def test_it_foretells_what_it_would_measure(trained, toy, tmp_path):
    cfg, folders = trained
    weights, out = tmp_path / "regmean.json", tmp_path / "forecast.json"
    weighting.weights(specs.weights(cfg, "toy", "regmean", 0), toy.manifests, [], folders, weights, 1)
    weighting.forecast(specs.forecast(cfg, "toy", "regmean", 0), toy.manifests, folders, out, 1, [weights])
    (loss,) = read_json(out, "forecast")["loss"].values()
    said = read_json(weights, "weights")["diagnostics"]
    assert abs(loss - said["best_merged_loss"]) < 0.05, "experts of five steps hardly differ"
    assert read_json(tmp_path / "forecast.run.json")["cost"]["tokens"] == 2 * 3 * 64


def test_each_expert_reads_its_own_domain(trained):
    cfg, folders = trained
    names = sorted(cfg.domains("toy"))
    by_name = {folder.name: folder / "model" for folder in folders}
    read, asked = {}, []
    for name in names:
        weights = {d: 0.5 * (d == name) + 0.5 / 3 for d in names}
        read[f"expert_{name}"] = RunResult(weights, {}, by_name[f"expert_{name}"])

    def losses(model, domains=None):
        asked.append(domains)
        reading(0)(model)
        return dict.fromkeys(names if domains is None else domains, 1.0)

    params = registry.parameters("regmean", SEARCH, "here")
    inputs = MethodInputs(
        tuple(names), dict.fromkeys(names, 9), params, 0, 9, read={"demix": read}, validation_losses=losses
    )
    experts = registry.get("regmean").experts(inputs)
    assert asked == [[name] for name in names]
    own = dict(Experts([by_name[f"expert_{names[1]}"]]).merged(np.ones(1)).named_parameters())
    corner = dict(experts.merged(np.array([0.0, 1.0, 0.0])).named_parameters())
    assert all(torch.allclose(corner[name], p, atol=1e-6) for name, p in own.items())


def test_what_are_no_experts_is_refused(tmp_path):
    def inputs(*weights, folder=tmp_path):
        found = {f"run{i}": RunResult({"a": a, "b": 1 - a}, {}, folder) for i, a in enumerate(weights)}
        return MethodInputs(("a", "b"), {}, {}, 0, 9, read={"other": found})

    where = "method regmean: experts"
    found = read_experts(inputs(0.2, 0.9), "other", where)
    assert [run.weights["a"] for run in found] == [0.9, 0.2]
    for bad in (
        inputs(0.5, 0.5),
        inputs(0.9, 0.8),
        inputs(0.9),
        inputs(0.1, 0.9, 0.8),
        inputs(0.9, 0.1, folder=None),
    ):
        with pytest.raises(UserError, match=f"^{where}: 'other' has not left one model per domain; valid: "):
            read_experts(bad, "other", where)


@pytest.mark.parametrize("method", ["regmean", "duet"])
def test_an_unknown_label_is_refused_with_the_config(raw, method):
    raw["scenarios"]["toy"]["methods"] = ["uniform", method]
    raw["method_params"] = {method: {"experts": "nobody"}}
    with pytest.raises(UserError, match=rf"methods: {method} uses: 'nobody' is not one of uniform, {method}"):
        load(raw)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"experts": ""}, "method regmean: experts: ''"),
        ({"off_diagonal": 1.5}, "method regmean: off_diagonal: 1.5"),
        ({"ridge": 0}, "method regmean: ridge: 0"),
        ({"rounds": [2]}, "method regmean: rounds"),
        ({"regression": "forest"}, "method regmean: regression: 'forest' is not one of"),
        ({"candidates": 50}, "method regmean: candidates"),
        ({"top": 0}, "method regmean: top"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(UserError, match=message):
        registry.get("regmean").check(registry.parameters("regmean", params, "here"), ("a", "b"), {})
