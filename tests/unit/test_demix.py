"""DeMix: parameter averages, experts that go on from the uniform proxy, the search over merged proxies."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.methods.merging import Experts, average
from chameleon.mixing import REFERENCE, registry
from chameleon.stages import runs, weighting
from chameleon.stages.common import split_losses
from chameleon.training.model import load_pretrained

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "parameter_average.json").read_text())
PARAMS = {"general": 0.4, "steps": 5, "rounds": [5, 2], "candidates": 300, "top": 3}


@pytest.mark.parametrize("which", ["of_all", "of_sources"])
def test_recorded_averages(which):
    states = [{name: torch.tensor(x, dtype=torch.float64) for name, x in s.items()} for s in GOLDEN["states"]]
    parts = [range(len(states))] if which == "of_all" else GOLDEN["sources"]
    weights = np.mean([[(i in part) / len(part) for i in range(len(states))] for part in parts], axis=0)
    found = average(states, weights)
    for name, expected in GOLDEN[which].items():
        assert found[name].numpy() == pytest.approx(np.array(expected), abs=1e-12)


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """The toy experiment with DeMix: (config, folder of the reference, folders of the experts)."""
    import copy

    from toy_config import RAW

    raw, out = copy.deepcopy(RAW), tmp_path_factory.mktemp("demix")
    raw["seeds"], raw["scenarios"]["toy"]["methods"] = [0], ["uniform", "demix"]
    raw["method_params"] = {"demix": PARAMS}
    cfg = load(raw)
    reference = out / "proxy"
    runs.proxy(specs.proxy(cfg, "toy", 0), toy.manifests, toy.tokenizer, reference, 1)
    folders = []
    for run in specs.extra_runs(cfg, "toy", "demix", 0):
        folder = out / "demix" / "seed0" / "extra" / run.run_id
        assert specs.after(cfg, "toy", "demix", 0, run.run_id) == (REFERENCE,)
        spec = specs.extra_run(cfg, "toy", "demix", 0, run.run_id)
        runs.extra_run(spec, toy.manifests, toy.tokenizer, folder, 1, reference=reference)
        folders.append(folder)
    return cfg, reference, folders


def test_experts_go_on_from_the_proxy(trained):
    _, reference, folders = trained
    before = load_pretrained(reference / "model")
    for folder in folders:
        found = read_json(folder / "result.json")
        own = folder.name.removeprefix("expert_")
        assert found["weights"] == pytest.approx(
            {d: 0.4 / 3 + 0.6 * (d == own) for d in ("twin_one", "unique", "blend")}
        )
        after = load_pretrained(folder / "model")
        pairs = list(zip(before.parameters(), after.parameters(), strict=True))
        far = sum(float((a - b).detach().double().square().sum()) for a, b in pairs) ** 0.5
        norms = [
            sum(float(p.detach().double().square().sum()) for p in m.parameters()) ** 0.5
            for m in (before, after)
        ]
        assert found["moved"] == pytest.approx(far / sum(norms), rel=1e-6)
        assert 0 < found["moved"] < 0.5, "five steps from the proxy, not another model"
        record = read_json(folder / "run.json")
        assert any(path.endswith("proxy/model/model.safetensors") for path in record["inputs"])


def test_merged_models_lie_between(trained):
    folders = trained[2]
    experts = Experts([f / "model" for f in folders])
    own = load_pretrained(folders[1] / "model")
    corner = dict(experts.merged(np.array([0.0, 1.0, 0.0])).named_parameters())
    assert all(torch.equal(corner[name], p) for name, p in own.named_parameters())
    middle = {n: p.clone() for n, p in experts.merged(np.full(3, 1 / 3)).named_parameters()}
    for name, p in own.named_parameters():
        others = [dict(load_pretrained(f / "model").named_parameters())[name] for f in folders]
        assert torch.allclose(middle[name], torch.stack(others).mean(0), atol=1e-6)
        assert p.shape == middle[name].shape


def test_the_search_is_measured_and_paid(trained, toy, tmp_path):
    cfg, _, folders = trained
    spec, out = specs.weights(cfg, "toy", "demix", 0), tmp_path / "weights.json"
    weighting.weights(spec, toy.manifests, [], folders, out, 1)
    found, record = read_json(out, "weights"), read_json(tmp_path / "weights.run.json")
    said = found["diagnostics"]
    assert said["proxies"] == 7 and set(said["delta"]) == {"twin_one", "unique", "blend"}
    assert sum(found["stages"][0]["weights"].values()) == pytest.approx(1)
    assert record["cost"]["tokens"] == 7 * 3 * 64, "seven passes over the validation text of three domains"
    assert record["cost"]["flops"] > 0
    again = tmp_path / "again.json"
    weighting.weights(spec, toy.manifests, [], folders, again, 1)
    assert again.read_bytes() == out.read_bytes()


def test_it_foretells_the_loss_of_the_merged_model(trained, toy):
    cfg, _, folders = trained
    corpora = {d: c for c in map(TokenCorpus, toy.manifests) for d in c.domains}
    corpora = {d: corpora[d] for d in cfg.domains("toy")}
    spec = specs.weights(cfg, "toy", "demix", 0)
    from chameleon.core.provenance import Cost, Recorder
    from chameleon.stages.inputs import method_inputs

    inputs = method_inputs(spec, corpora, [], folders, [])
    recorder = Recorder("weights", spec, [], threads=1, seeds={})
    inputs = weighting.measuring(inputs, spec, corpora, recorder, 1)
    mixture = {"twin_one": 0.2, "unique": 0.5, "blend": 0.3}
    found = registry.get("demix").foretell(inputs, {"mine": mixture})["mine"]
    names = sorted(mixture)
    by_name = {f.name.removeprefix("expert_"): f / "model" for f in folders}
    model = Experts([by_name[n] for n in names]).merged(np.array([mixture[n] for n in names]))
    losses = split_losses(model, corpora, "validation", 64, Cost())
    assert found == pytest.approx(sum(losses.values()) / 3)


def test_the_plan_knows_the_passes():
    method = registry.get("demix")
    assert method.validation_passes(registry.parameters("demix", {}, "here"), ["a", "b"]) == 112


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"general": 1.0}, "method demix: general: 1.0"),
        ({"rounds": [2]}, "method demix: rounds"),
        ({"rounds": 5}, "method demix: rounds"),
        ({"regression": "forest"}, "method demix: regression: 'forest' is not one of"),
        ({"candidates": 50}, "method demix: candidates"),
        ({"steps": 0}, "method demix: steps"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(UserError, match=message):
        registry.get("demix").check(registry.parameters("demix", params, "here"), ("a", "b"), {})
