"""The training loop: what methods share, what is recorded, and that it learns."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import Diverged
from chameleon.data.sampler import allocate
from chameleon.data.tokens import TokenCorpus
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.stages import runs, weighting
from chameleon.training.loop import Training
from chameleon.training.model import ModelShape, load_pretrained
from chameleon.training.optim import AdamW
from chameleon.training.output import save_run
from chameleon.training.recipe import Recipe

DOMAINS = ("twin_one", "unique", "blend")
SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64)
RECIPE = Recipe(optimizer="muon", lr=0.02, adam_lr=0.01, batch_size=4, steps=8)
UNIFORM = MixtureSchedule.static(dict.fromkeys(DOMAINS, 1 / 3))
SKEWED = MixtureSchedule.static({"twin_one": 0.5, "unique": 0.125, "blend": 0.375})


class Recorded:
    """A token stream that remembers where it was read."""

    def __init__(self, stream):
        self.stream, self.starts = stream, []

    def __len__(self):
        return len(self.stream)

    def read(self, start, stop):
        self.starts.append(start)
        return self.stream.read(start, stop)


@pytest.fixture
def streams(toy):
    left, right = (TokenCorpus(m) for m in toy.manifests)
    return {d: Recorded((right if d == "blend" else left).stream(d, "train")) for d in DOMAINS}


def training(streams, recipe=RECIPE, shape=SHAPE, **options):
    return Training(shape, recipe, streams, init_seed=1, data_seed=2, label="toy run", **options)


def losses(run):
    return [row[3] for row in run.rows]


def base_run(toy, raw, method, out, seed=0):
    """Weights, then the base run, as the workflow does it; returns the run's folder."""
    cfg = load(raw)
    weights = out / "weights.json"
    weighting.weights(specs.weights(cfg, "toy", method, seed), toy.manifests, [], [], weights, 1)
    runs.train(specs.train(cfg, "toy", method, seed), toy.manifests, weights, toy.tokenizer, out / "run", 1)
    return out / "run"


def test_the_same_spec_gives_the_same_bytes(toy, raw, tmp_path):
    first, again = (base_run(toy, raw, "uniform", tmp_path / name) for name in ("one", "two"))
    for file in ("model/model.safetensors", "model/config.json", "training.csv", "mixture.json"):
        assert (first / file).read_bytes() == (again / file).read_bytes(), file
    other = base_run(toy, raw, "uniform", tmp_path / "seed", seed=1)
    assert (first / "training.csv").read_bytes() != (other / "training.csv").read_bytes()


def test_a_run_folder_holds_everything(toy, raw, tmp_path):
    raw["scenarios"]["toy"]["max_epochs"] = 3
    run = base_run(toy, raw, "natural", tmp_path)
    assert {p.name for p in (run / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    files = {"training.csv", "mixture.json", "curve.json", "run.json"}
    assert {p.name for p in run.iterdir()} == {"model", *files}
    record = read_json(run / "run.json", "run")
    assert record["spec"]["max_epochs"] == 3
    assert record["cost"]["tokens"] == 8 * 4 * 16 and record["cost"]["flops"] > 0
    mixture = read_json(run / "mixture.json")
    assert mixture["available_blocks"] == {"twin_one": 124, "unique": 56, "blend": 187}
    assert sum(mixture["segments"][0]["blocks"].values()) == 8 * 4
    assert record["effective_epochs"] == mixture["effective_epochs"]
    rows = list(csv.DictReader((run / "training.csv").open()))
    assert [int(r["step"]) for r in rows] == list(range(1, 9))
    assert [int(r["tokens"]) for r in rows] == [64 * n for n in range(1, 9)]
    assert float(rows[0]["learning_rate"]) == 0.02 and float(rows[0]["train_loss"]) == pytest.approx(
        math.log(64), rel=0.02
    )


def test_saving_replaces_an_older_run(toy, streams, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "stale.bin").write_text("from an interrupted job")
    run = training(streams, replace(RECIPE, steps=1))
    run.play(UNIFORM)
    save_run(run, tmp_path, toy.tokenizer, 0)
    assert not (tmp_path / "model" / "stale.bin").exists()
    loaded = load_pretrained(tmp_path / "model").state_dict()
    assert all(torch.equal(loaded[n], v) for n, v in run.model.cpu().state_dict().items())


def test_methods_share_initial_weights_and_data_order(toy):
    def play(schedule):
        corpora = [TokenCorpus(m) for m in toy.manifests]
        recorded = {d: Recorded(corpora[d == "blend"].stream(d, "train")) for d in DOMAINS}
        run = training(recorded)
        initial = {n: v.clone() for n, v in run.model.state_dict().items()}
        run.play(schedule)
        return initial, {d: s.starts for d, s in recorded.items()}

    (weights_a, starts_a), (weights_b, starts_b) = play(UNIFORM), play(SKEWED)
    assert all(torch.equal(weights_a[n], weights_b[n]) for n in weights_a)
    for domain in DOMAINS:
        shared = min(len(starts_a[domain]), len(starts_b[domain]))
        assert shared >= 4 and starts_a[domain][:shared] == starts_b[domain][:shared]
        assert all(start % 16 == 0 for start in starts_a[domain])
    assert {d: len(s) for d, s in starts_b.items()} == {"twin_one": 16, "unique": 4, "blend": 12}


@pytest.mark.parametrize("change", [{}, {"optimizer": "adamw", "lr": 0.01, "adam_lr": None}])
def test_it_learns(streams, change):
    """Far below log(64) = 4.16; a bigram table of these streams would reach about 0.75 nats."""
    recipe = replace(RECIPE, steps=80, batch_size=8, **change)
    run = training(streams, recipe, replace(SHAPE, d_model=32))
    run.play(UNIFORM)
    assert np.mean(losses(run)[:3]) == pytest.approx(math.log(64), rel=0.1)
    assert np.mean(losses(run)[-5:]) < 0.75 * math.log(64)


def test_learning_rate_by_hand(streams):
    recipe = replace(RECIPE, steps=20, warmup=0.1, min_lr_ratio=0.1, lr=2.0)
    rates = [recipe.learning_rate(step) for step in range(20)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[11] == pytest.approx(0.55)  # half of the eighteen steps after the warm-up
    assert rates[19] == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * 17 / 18)))
    assert all(b <= a for a, b in zip(rates[1:], rates[2:], strict=False))
    assert replace(recipe, warmup=0.0).learning_rate(0) == 1.0


def test_every_optimizer_follows_the_schedule(streams):
    run = training(streams, replace(RECIPE, steps=4, warmup=0.5, min_lr_ratio=0.0))
    run.play(UNIFORM)
    assert [row[2] for row in run.rows] == pytest.approx([0.01, 0.02, 0.02, 0.01])
    # The last step's rates: half of adam_lr for embeddings, norms and biases, half of lr for the matrices.
    adam, muon = run._optimizers
    assert [g["lr"] for o in (adam, muon) for g in o.param_groups] == pytest.approx([0.005, 0.01])
    assert {p.ndim for g in muon.param_groups for p in g["params"]} == {2}
    assert len(muon.param_groups[0]["params"]) == 2 * 4
    assert adam.param_groups[0]["weight_decay"] == 0 and muon.param_groups[0]["weight_decay"] == 0.1


def test_gradients_are_clipped_and_their_own_norm_is_logged(streams, monkeypatch):
    seen = []
    step = AdamW.step

    def spied(optimizer):
        gradients = [p.grad.norm() for g in optimizer.param_groups for p in g["params"]]
        seen.append(torch.stack(gradients).norm().item())
        step(optimizer)

    monkeypatch.setattr(AdamW, "step", spied)
    run = training(streams, replace(RECIPE, optimizer="adamw", steps=3, grad_clip=0.25))
    run.play(UNIFORM)
    assert seen == pytest.approx([0.25] * 3, rel=1e-3)
    assert all(row[4] > 0.3 for row in run.rows)


def test_divergence_names_the_step(streams):
    run = training(streams, replace(RECIPE, optimizer="adamw", lr=1e30, adam_lr=1e30, warmup=0.0))
    with pytest.raises(Diverged, match=r"^toy run: .* at step \d+ \(learning rate 1e\+30, domains .*\); lo"):
        run.play(UNIFORM)


@pytest.mark.parametrize("parts", [2, 3])
def test_accumulation_is_one_batch(streams, parts):
    """Also in parts of unequal size (2, 1, 1): every token counts the same."""
    recipe = replace(RECIPE, optimizer="adamw", lr=1e-3, adam_lr=None, steps=4)
    whole, cut = training(streams, recipe), training(streams, replace(recipe, grad_accumulation=parts))
    whole.play(UNIFORM)
    cut.play(UNIFORM)
    for a, b in zip(whole.rows, cut.rows, strict=True):
        assert b[:2] == a[:2] and b[3:] == pytest.approx(a[3:], rel=1e-4)


def test_a_schedule_of_stages_is_played(streams, toy, tmp_path):
    first, then = {"twin_one": 1.0, "unique": 0.0, "blend": 0.0}, SKEWED.stages[0].weights
    run = training(streams)
    run.play(MixtureSchedule((Stage(0, first), Stage(3, then), Stage(100, first))))
    save_run(run, tmp_path, toy.tokenizer, 0)
    segments = json.loads((tmp_path / "mixture.json").read_text())["segments"]
    assert [(s["start_step"], s["steps"], s["weights"]) for s in segments] == [(0, 3, first), (3, 5, then)]
    assert [s["blocks"] for s in segments] == [{**first, "twin_one": 12}, allocate(then, 20)]


def test_max_epochs_hands_the_surplus_on(streams):
    """unique has 56 blocks: half a pass is 28, the other 48 of its 76 go to the others, 1 : 3."""
    run = training(streams, replace(RECIPE, steps=20, batch_size=4), max_epochs=0.5)
    run.play(MixtureSchedule.static({"twin_one": 0.0125, "unique": 0.95, "blend": 0.0375}))
    assert run.sampler.drawn == {"twin_one": 13, "unique": 28, "blend": 39}
    assert run.sampler.effective_epochs()["unique"] == 0.5


class Script:
    """A controller that plays given segments and remembers what it saw."""

    def __init__(self, *segments):
        self.segments, self.seen = list(segments), []

    def next_segment(self, state):
        self.seen.append((state.step, state.total_steps, state.realised, state.validation_losses()))
        return self.segments.pop(0)


def test_a_controller_is_asked_until_the_steps_are_used_up(streams, toy, tmp_path):
    a, b = UNIFORM.stages[0].weights, SKEWED.stages[0].weights
    numpy_b = {d: np.float64(w) for d, w in b.items()}
    script = Script((3, a), (1, numpy_b), (100, a))
    measured = []

    def validate(model):
        measured.append(model.wte.weight.sum().item())
        return {"twin_one": len(measured)}

    run = training(streams)
    run.play(SKEWED, script, validate)
    save_run(run, tmp_path, toy.tokenizer, 0)
    segments = json.loads((tmp_path / "mixture.json").read_text())["segments"]
    played = [(s["start_step"], s["steps"], s["weights"]) for s in segments]
    assert played == [(0, 3, a), (3, 1, b), (4, 4, a)]
    assert [s["blocks"] for s in segments] == [allocate(a, 12), allocate(b, 4), allocate(a, 16)]
    assert [s[:2] for s in script.seen] == [(0, 8), (3, 8), (4, 8)]
    assert [s[2] for s in script.seen] == [{}, allocate(a, 12), allocate(b, 4)]
    assert [s[3] for s in script.seen] == [{"twin_one": n} for n in (1, 2, 3)]
    assert len(set(measured)) == 3, "the model has moved between the segments"
    assert run.model.training


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        ((0, UNIFORM.stages[0].weights), "asked for 0 steps"),
        ((2, {"twin_one": 1.0}), r"2 steps of \['twin_one'\]"),
        ((2, {"twin_one": 0.5, "unique": 0.4, "blend": 0.0}), "sum to 0.9"),
        ((2, {"twin_one": 1.5, "unique": -0.5, "blend": 0.0}), "non-negative"),
    ],
)
def test_a_controller_off_the_simplex_is_refused(streams, segment, words):
    with pytest.raises(ValueError, match=words):
        training(streams).play(UNIFORM, Script(segment), lambda model: {})
