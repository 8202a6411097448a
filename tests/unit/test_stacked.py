"""A stack of runs equals the same runs one after the other; the swarm stage with and without stacks."""

import json
from dataclasses import replace

import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import Diverged
from chameleon.data.tokens import TokenCorpus
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.stages.swarm import swarm
from chameleon.training.loop import Training
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.recipe import Recipe
from chameleon.training.stacked import Stack

DOMAINS = ("twin_one", "unique", "blend")
SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64, init_std=0.1)
MIXTURES = [
    dict(zip(DOMAINS, row, strict=True)) for row in ((0.2, 0.3, 0.5), (1.0, 0.0, 0.0), (0.1, 0.8, 0.1))
]
ADAMW = Recipe("adamw", 0.01, batch_size=4, steps=7, grad_clip=0.5)
MUON = replace(ADAMW, optimizer="muon", lr=0.02, adam_lr=0.01)


@pytest.fixture
def streams(toy):
    left, right = (TokenCorpus(m) for m in toy.manifests)
    return {d: (right if d == "blend" else left).stream(d, "train") for d in DOMAINS}


@pytest.mark.parametrize("recipe", [ADAMW, MUON], ids=["adamw", "muon"])
def test_stacked_runs_equal_sequential_runs(streams, recipe):
    """In float64, so that nothing but rounding can hide."""

    def start():
        return Decoder(SHAPE).initialise(1).double()

    stack = Stack(SHAPE, recipe, streams, 1, 2, MIXTURES, start=start())
    stack.play()
    for number, mixture in enumerate(MIXTURES):
        run = Training(SHAPE, recipe, streams, init_seed=1, data_seed=2, label="", start=start())
        run.play(MixtureSchedule.static(mixture))
        expected, found = run.model.state_dict(), stack.model(number).state_dict()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-11, msg=name)
        for row, losses in zip(run.rows, stack.rows, strict=True):
            assert losses[number] == pytest.approx(row[3], abs=1e-12)
        assert vars(stack.costs[number]) == vars(run.cost)


def test_a_run_does_not_depend_on_its_neighbours(streams):
    alone, together = (
        Stack(SHAPE, MUON, streams, 1, 2, some, start=Decoder(SHAPE).initialise(1).double())
        for some in (MIXTURES[:1], MIXTURES)
    )
    for stack in (alone, together):
        stack.play()
    for a, b in zip(alone.model(0).parameters(), together.model(0).parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)
    assert not torch.equal(together.model(0).wte.weight, together.model(1).wte.weight)


def test_a_loss_that_is_not_finite_is_named(streams):
    with pytest.raises(Diverged, match="run 0 of a stack: .* at step"):
        Stack(SHAPE, replace(ADAMW, lr=1e30, warmup=0.0), streams, 1, 2, MIXTURES).play()


def spec(names):
    return {
        "scenario": "toy", "method": "swarm", "seed": 0, "seeds": {"init": 1, "data": 2}, "group": "part0",
        "domains": {"twin_one": "left", "unique": "left", "blend": "right"}, "max_epochs": None,
        "validation_tokens": 64, "runs": {n: MIXTURES[i % 3] for i, n in enumerate(names)},
        "model": {"n_layer": 2, "n_head": 2, "d_model": 16, "context": 16, "init_std": 0.1},
        "train": {"optimizer": "muon", "lr": 0.02, "adam_lr": 0.01, "batch_size": 4, "steps": 5},
    }  # fmt: skip


def test_a_swarm_in_stacks_is_the_same_swarm(toy, tmp_path):
    names = [f"run{i}" for i in range(5)]
    for stack in (1, 2):
        swarm(spec(names), toy.manifests, tmp_path / f"{stack}" / "part0.json", 1, stack)
    one, two = (read_json(tmp_path / f"{stack}" / "part0.json")["runs"] for stack in (1, 2))
    assert list(one) == list(two) == names
    for name in names:
        assert one[name]["weights"] == two[name]["weights"]
        assert one[name]["loss"] == pytest.approx(two[name]["loss"], abs=1e-4)
    for stack in (1, 2):
        record = read_json(tmp_path / f"{stack}" / "part0.run.json", "run")
        assert record["engine"]["precision"] == "fp32" and record["engine"]["stack"] == stack
    costs = [read_json(tmp_path / f"{stack}" / "part0.run.json")["cost"] for stack in (1, 2)]
    assert costs[0]["tokens"] == costs[1]["tokens"] and costs[0]["flops"] == costs[1]["flops"]


def test_a_swarm_that_was_cut_off_goes_on_with_what_is_missing(toy, tmp_path):
    names, out = [f"run{i}" for i in range(4)], tmp_path / "part0.json"
    swarm(spec(names), toy.manifests, out, 1, 2)
    first = out.read_bytes()
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()}
    out.unlink()
    (tmp_path / "parts" / "run2.json").unlink()
    swarm(spec(names), toy.manifests, out, 1, 2)
    assert list(read_json(out)["runs"]) == names
    for name, before in kept.items():
        now = (tmp_path / "parts" / name).stat().st_mtime_ns
        assert (now == before) == (name != "run2.json"), name
    again, whole = read_json(out)["runs"], json.loads(first)["runs"]
    for name in names:
        assert again[name]["loss"] == pytest.approx(whole[name]["loss"], abs=1e-4)
