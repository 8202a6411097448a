"""How a model runs: what is chosen, that it is recorded, and that no form changes the numbers."""

import sysconfig
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from chameleon.embedding.embed import window_means
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.training import engine
from chameleon.training.loop import Training
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.recipe import Recipe

CPU = torch.device("cpu")
SHAPE = ModelShape(n_layer=2, n_head=2, d_model=16, context=16, vocab_size=64, init_std=0.1)
EVEN = MixtureSchedule.static({"a": 0.5, "b": 0.5})


class Numbers:
    """A stream that counts up, from a start of its own."""

    def __init__(self, first):
        self.ids = (first + np.arange(2000)) * 7 % 64

    def __len__(self):
        return len(self.ids)

    def read(self, start, stop):
        return self.ids[start:stop]


def trained(**options):
    recipe = Recipe("adamw", 0.01, batch_size=4, steps=6, **options)
    run = Training(SHAPE, recipe, {"a": Numbers(0), "b": Numbers(5)}, init_seed=1, data_seed=2, label="")
    run.play(EVEN)
    return run


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


@pytest.mark.parametrize("units", [True, False])
def test_auto_precision_needs_units_and_width(monkeypatch, units):
    monkeypatch.setattr(engine, "has_bf16_units", lambda _: units)
    assert engine.precision("auto", CPU, 768) == ("bf16" if units else "fp32")
    assert engine.precision("auto", CPU, 64) == "fp32", "narrow products are faster in float32"
    assert engine.precision("bf16", CPU, 64) == "bf16" and engine.precision("fp32", CPU, 768) == "fp32"


def test_compiling_is_chosen_where_it_pays(monkeypatch):
    monkeypatch.setattr(engine, "compiler", lambda: "/usr/bin/g++")
    chosen = {
        (how, device): engine.choose("fp32", how, torch.device(device), 64).compiled
        for how in ("never", "auto", "always")
        for device in ("cpu", "cuda")
    }
    assert [k for k, compiled in chosen.items() if compiled] == [
        ("auto", "cuda"),
        ("always", "cpu"),
        ("always", "cuda"),
    ]


def test_without_a_compiler_the_plain_form_runs_and_says_why(monkeypatch):
    monkeypatch.setattr(engine, "compiler", lambda: None)
    run = trained(compile="always")
    assert asdict(run.engine) == {"precision": "fp32", "compiled": False, "reason": "no C++ compiler found"}
    assert torch.equal(weights(run), weights(trained()))


def test_where_the_compiler_fails_the_plain_form_runs_and_says_so(monkeypatch, capsys):
    def broken(model, dynamic):
        def run(*_):
            raise RuntimeError("Python.h: no such file")

        return run

    monkeypatch.setattr(engine, "compiler", lambda: "/usr/bin/g++")
    monkeypatch.setattr(torch, "compile", broken)
    run = trained(compile="always")
    assert asdict(run.engine) == {
        "precision": "fp32", "compiled": False, "reason": "compilation failed: RuntimeError"
    }  # fmt: skip
    assert "training in the plain form" in capsys.readouterr().err
    assert torch.equal(weights(run), weights(trained()))


@pytest.mark.parametrize("works", [True, False])
def test_block_by_block_every_block_is_compiled_or_none(works, monkeypatch):
    """As on several ranks; a compiler is not asked for."""
    model = Decoder(SHAPE).initialise(0)
    tokens = torch.randint(SHAPE.vocab_size, (2, SHAPE.context + 1))
    asked = []

    def compiled(call, dynamic):
        def run(*args):
            asked.append(call)
            if not works:
                raise RuntimeError("Python.h: no such file")
            return call(*args)

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    chosen, summed = engine.Engine("fp32", True).prepared(model, tokens, by_block=True)
    assert chosen.compiled == works and len(asked) == (SHAPE.n_layer if works else 1)
    asked.clear()
    loss = summed(tokens[:, :-1], tokens[:, 1:])
    assert len(asked) == works * SHAPE.n_layer
    assert torch.equal(loss, Decoder(SHAPE).initialise(0).summed(tokens[:, :-1], tokens[:, 1:]))
    assert all(p.grad is None for p in model.parameters())


def test_the_compiler_is_the_one_that_torch_would_call(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "gone"))
    assert engine.compiler() is None
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", str(mine))
    assert engine.compiler() == str(mine)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.compiler() is None


@pytest.mark.skipif(
    engine.compiler() is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C++ compiler, or no Python headers",
)
def test_a_compiled_run_is_the_plain_run(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAMELEON_CACHE", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    plain, compiled = trained(), trained(compile="always")
    assert compiled.engine.compiled and not plain.engine.compiled
    assert any((tmp_path / "inductor").iterdir()), "compiled code is kept in the suite's cache"
    for a, b in zip(plain.rows, compiled.rows, strict=True):
        assert a[3] == pytest.approx(b[3], rel=1e-5)
    # AdamW's first steps make much of a small gradient's last digits, in a few weights.
    assert (weights(compiled) - weights(plain)).norm() < 2e-3 * weights(plain).norm()


def test_an_objective_of_the_methods_own_is_not_compiled(monkeypatch):
    monkeypatch.setattr(engine, "compiler", lambda: "/usr/bin/g++")

    class Plain:
        extra_flops = 0.0

        def step(self, model, tokens, targets, domains, info):
            loss = model(tokens, targets).mean()
            loss.backward()
            return float(loss.detach())

    recipe = Recipe("adamw", 0.01, batch_size=4, steps=2, compile="always")
    run = Training(SHAPE, recipe, {"a": Numbers(0), "b": Numbers(5)}, init_seed=1, data_seed=2, label="")
    run.play(EVEN, objective=Plain())
    assert asdict(run.engine) == {
        "precision": "fp32", "compiled": False, "reason": "the method's own objective"
    }  # fmt: skip


def test_what_saves_memory_changes_no_number():
    plain = trained()
    assert torch.equal(weights(trained(activation_checkpointing=True)), weights(plain))
    # Another order of summation: AdamW's first steps make much of a gradient's last digits, losses do not.
    for a, b in zip(plain.rows, trained(grad_accumulation=2).rows, strict=True):
        assert a[3] == pytest.approx(b[3], rel=1e-5)


def test_checkpointing_keeps_less():
    """What the backward pass keeps, counted in numbers: one block's inputs instead of all inside."""
    kept = []
    for again in (False, True):
        model = Decoder(SHAPE).initialise(0).train()
        model.checkpointing = again
        tokens, sizes = torch.zeros(2, 16, dtype=torch.long), []
        with torch.autograd.graph.saved_tensors_hooks(Counted(sizes), lambda t: t):
            model.hidden(tokens)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


class Counted:
    """Called with every tensor that is kept; adds its size to a list."""

    def __init__(self, sizes):
        self.sizes = sizes

    def __call__(self, tensor):
        self.sizes.append(tensor.numel())
        return tensor


def test_bfloat16_trains_to_about_the_same_losses():
    run, other = trained(), trained(precision="bf16")
    assert other.engine.precision == "bf16"
    for a, b in zip(run.rows, other.rows, strict=True):
        assert a[3] == pytest.approx(b[3], rel=0.01)


DEEP = ModelShape(n_layer=4, n_head=2, d_model=64, context=32, vocab_size=64, init_std=0.1)


def test_embeddings_in_bfloat16_keep_the_weights_digits():
    """Rounding the weights as well would be off by more than twice as much."""
    model, starts = Decoder(DEEP).initialise(0).eval(), np.arange(0, 1900, 3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.02)

    text = Numbers(0)
    text.ids = np.random.default_rng(0).integers(64, size=2000)  # errors average out over different windows

    def mean(model, precision):
        return window_means(model, text, starts, 32, 2, precision).astype(float).mean(0)

    exact = mean(model, "fp32")
    kept = np.linalg.norm(mean(model, "bf16") - exact) / np.linalg.norm(exact)
    for layer in (m for m in model.modules() if isinstance(m, torch.nn.Linear)):
        layer.weight.data = layer.weight.data.bfloat16().float()
    rounded = np.linalg.norm(mean(model, "fp32") - exact) / np.linalg.norm(exact)
    assert 0 < kept < 1.5e-3 and kept < rounded / 2


@pytest.mark.parametrize("layer", [0, 4])
def test_first_and_last_states_are_float32_always(layer):
    model, starts = Decoder(DEEP).initialise(0).eval(), np.arange(5)
    exact, low = (window_means(model, Numbers(0), starts, 32, layer, p) for p in ("fp32", "bf16"))
    assert np.array_equal(exact, low)
