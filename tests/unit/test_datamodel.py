"""Datamodel: steps by domain that sum to the step, taken back exactly for one of SGD; through the jobs."""

import copy

import numpy as np
import pytest
import torch
from synthetic_domains import SHAPE, VOCABULARY
from toy_config import RAW

from baselines.datamodel import Datamodel, reversed_effects
from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.methods.gradients.in_run import weights_of
from chameleon.methods.gradients.reversal import Movements, key
from chameleon.mixing import registry
from chameleon.mixing.method import LeavesTensors, Objective
from chameleon.mixing.types import OBJECTIVE_TENSORS, StepInfo
from chameleon.stages import runs, weighting
from chameleon.training.model import Decoder, load_pretrained, save_pretrained

NAMES = ("a", "b", "c")
BATCH = ["b", "a", "b", "b"]


def tokens(blocks, seed):
    ids = torch.randint(VOCABULARY, (blocks, 13), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1], ids[:, 1:]


def model():
    return Decoder(SHAPE).initialise(0).double()


def descend(net, batches, eta, parts=1):
    """Do steps of plain SGD under the objective; returns it."""
    objective = Movements(NAMES)
    for step, (inputs, targets, domains) in enumerate(batches):
        for p in net.parameters():
            p.grad = None
        objective.step(net, inputs, targets, domains, StepInfo(step, 9, 1.0, eta, 1.0, parts=parts))
        with torch.no_grad():
            for p in net.parameters():
                p.sub_(p.grad, alpha=eta)
    return objective


@pytest.mark.parametrize("parts", [1, 2])
def test_the_step_is_the_ordinary_one(parts):
    net, (inputs, targets) = model(), tokens(4, 1)
    loss = Movements(NAMES).step(net, inputs, targets, BATCH, StepInfo(0, 9, 1.0, 0.1, 1.0, parts=parts))
    left = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    mean = net(inputs, targets).mean()
    mean.backward()
    assert loss == pytest.approx(float(mean.detach()), rel=1e-12)
    for mine, p in zip(left, net.parameters(), strict=True):
        assert torch.allclose(mine, p.grad, rtol=1e-9, atol=1e-15)


def test_what_domains_did_sums_to_all_of_sgds_way():
    net = model()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    found = descend(net, [(*tokens(4, s), BATCH) for s in range(3)], 0.05).tensors(net)
    for name, p in net.named_parameters():
        whole = sum(found[key(d, name)] for d in NAMES)
        assert torch.allclose(p.detach() + whole, before[name], atol=1e-14)
        assert not found[key("c", name)].any(), "of which no block was drawn"


def test_one_step_of_sgd_is_taken_back_exactly():
    """θ₁ + u_b is the model that was trained without b's part of the batch."""
    inputs, targets = tokens(4, 1)
    net, without = model(), model()
    found = descend(net, [(inputs, targets, BATCH)], 0.05).tensors(net)
    alone = without(inputs[1:2], targets[1:2]).mean() / 4
    alone.backward()
    for name, p in without.named_parameters():
        expected = p.detach() - 0.05 * p.grad
        back = dict(net.named_parameters())[name].detach() + found[key("b", name)]
        assert torch.allclose(back, expected, atol=1e-14)


def test_a_state_goes_on_to_the_same(tmp_path):
    net, batches = model(), [(*tokens(4, s), BATCH) for s in range(3)]
    objective = descend(net, batches, 0.05)
    again = Movements(NAMES)
    again.restore(copy.deepcopy(objective.state()))
    one, two = objective.tensors(net), again.tensors(net)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert again.extra_flops == objective.extra_flops > 0
    assert isinstance(objective, Objective) and isinstance(objective, LeavesTensors)


def test_effects_are_of_the_model_without_a_domain(tmp_path):
    from chameleon.core.tensors import write_tensors

    net = Decoder(SHAPE).initialise(0)
    save_pretrained(net, tmp_path, 0)
    moved = {
        key(d, n): torch.full_like(p, float(i))
        for i, d in enumerate(NAMES)
        for n, p in net.named_parameters()
    }
    write_tensors(moved, tmp_path / OBJECTIVE_TENSORS, {})

    def measure(found):
        shift = float((next(found.parameters()) - next(net.parameters())).mean().detach())
        return {d: shift * (1 + i) for i, d in enumerate(NAMES)}

    effects = reversed_effects(tmp_path, NAMES, measure)
    assert effects == pytest.approx(np.outer([0, 1, 2], [1, 2, 3]), abs=1e-5)


def test_through_the_jobs(toy, tmp_path):
    raw = copy.deepcopy(RAW)
    raw["seeds"], raw["scenarios"]["toy"]["methods"] = [0], ["uniform", "datamodel"]
    cfg = load(raw)
    (run,) = specs.extra_runs(cfg, "toy", "datamodel", 0)
    folder = tmp_path / "datamodel" / "seed0" / "extra" / run.run_id
    runs.extra_run(
        specs.extra_run(cfg, "toy", "datamodel", 0, run.run_id), toy.manifests, toy.tokenizer, folder, 1
    )
    record = read_json(folder / "run.json")
    assert any(path.endswith(OBJECTIVE_TENSORS) for path in record["outputs"]), "its digest is known"
    out = tmp_path / "weights.json"
    weighting.weights(specs.weights(cfg, "toy", "datamodel", 0), toy.manifests, [], [folder], out, 1)
    found = read_json(out, "weights")
    effects = found["diagnostics"]["effects"]
    names = sorted(cfg.domains("toy"))
    assert all(np.isfinite(effects[d][e]) for d in names for e in names)
    # Early in training a domain's own steps are what lowers its loss most.
    assert all(effects[d][d] > 0 for d in names)
    mean = np.array([np.mean(list(effects[d].values())) for d in names])
    expected = dict(zip(names, weights_of(mean, "positive", 1.0), strict=True))
    assert found["stages"][0]["weights"] == pytest.approx(expected)
    assert load_pretrained(folder / "model") is not None


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"rule": "largest"}, "rule: 'largest' is not one of positive, softmax"),
        ({"steps": 0}, "steps: 0 is not a whole number"),
        ({"temperature": 0}, "temperature: 0 is not a number above 0"),
    ],
)
def test_refused(params, words):
    with pytest.raises(UserError, match=f"^method datamodel: {words}"):
        Datamodel().check(registry.parameters("datamodel", params, "here"), NAMES, {})
