"""A run that is cut off goes on to the very bytes of one that was not: every method, every kind of run.

Each training job of a method is killed twice after a state was saved (the third time it may finish), so that
models, optimizers, samplers, objectives, controllers and learning curves all go through a file. Methods of
your own are tested too: CHAMELEON_METHOD_PATH=folder pytest tests/contract
"""

import json
import os
import signal
from pathlib import Path

import pytest

from chameleon.core.errors import Interrupted
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.experiment.specs import study
from chameleon.mixing import registry
from chameleon.stages import measure, runs, weighting
from chameleon.stages.swarm import swarm
from chameleon.training.loop import Training
from chameleon.training.resume import states
from chameleon.training.resume.interruption import SIGNALS

#: Parameters for toy size.
PARAMS = {
    "fixed": {"weights": {"twin_one": 0.5, "unique": 0.25, "blend": 0.25}},
    "regmix": {"num_proxies": 6, "scale": "tiny", "steps": 5, "candidates": 200, "folds": 3},
    "aioli": {"prior_steps": 1, "update_steps": 6, "lp_steps": 1, "most_probing": 0.5},
    "climb": {"rounds": [3, 2], "steps": 5, "candidates": 200, "folds": 3},
    "data_mixing_law": {"folds": 2},
    "olmix": {"folds": 2},
    "mixture_reuse": {"kept": ["twin_one", "blend"], "steps": 5, "folds": 2, "repetitions": None},
    "mde": {"candidates": 200, "folds": 3},
    "demix": {"rounds": [4, 2], "steps": 5, "candidates": 200, "top": 5},
    "regmean": {"rounds": [4, 2], "candidates": 200, "top": 5},
    "duet": {"initial": 2, "iterations": 2, "candidates": 200},
    "nested_mixing_law": {"mixtures": 4, "steps": [2, 3, 5], "folds": 2, "scale": "tiny"},
    "da2": {"candidates": 500},
    "medu": {"ratings": str(Path(__file__).parents[1] / "data" / "ratings.csv"), "scale": [1, 5]},
    "permuted": {"of": "uniform"},
    "mean_mixture": {"of": "uniform"},
}
#: After so many saves a job is killed: first in its first segment, then later on.
KILLS = (1, 2)


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


@pytest.fixture
def kill(monkeypatch):
    """Return a function that makes the next job die right after its n-th save."""
    save = states.States.save

    def after(count):
        left = [count]

        def saved_then_killed(self, step, value):
            path = save(self, step, value)
            left[0] -= 1
            if left[0] == 0:
                raise Killed(path.name)
            return path

        monkeypatch.setattr(states.States, "save", saved_then_killed if count else save)

    return after


def config(raw, method):
    raw["seeds"] = [0]
    raw["scenarios"]["toy"]["proxy"]["steps"] = 6
    params = registry.parameters(method, PARAMS.get(method, {}), "here")
    needed = ["uniform", *registry.get(method).reads(params), method]
    raw["scenarios"]["toy"]["methods"] = list(dict.fromkeys(needed))
    raw["scenarios"]["toy"]["fewshot"] = False
    raw["evaluation"] |= {"curve_points": [0.5, 1.0], "curve_tokens": 64}
    raw["scales"]["tiny"]["train"]["steps"] = 20
    raw["method_params"] = {k: v for k, v in PARAMS.items() if k in needed}
    return load(raw)


def play(cfg, toy, out: Path, label: str, train):
    """Do all jobs of a method; `train` calls a training job's function with its arguments."""
    tokens, proxy, run = toy.manifests, out / "proxy", out / "run"
    train(runs.proxy, specs.proxy(cfg, "toy", 0), tokens, toy.tokenizer, proxy, 1)
    embeddings = []
    if specs.needs_embeddings(cfg, label):
        for corpus, manifest in zip(("left", "right"), tokens, strict=True):
            embeddings.append(out / f"{corpus}.json")
            spec = specs.embed(cfg, "proxy_toy", corpus, 0)
            measure.embed(spec, [manifest], proxy / "model", embeddings[-1], 1)
    made = []
    method, params = cfg.method(label)
    for owner in (label, *method.reads(params)):
        # As the workflow lays them out: a job tells from the path whose run it reads.
        folder = out / "runs" / owner / "seed0"
        for one in specs.single_runs(cfg, "toy", owner, 0):
            spec = specs.extra_run(cfg, "toy", owner, 0, one.run_id)
            after = [folder / "extra" / name for name in one.after if name != "reference"]
            made.append(folder / "extra" / one.run_id)
            more = {"after": after, "reference": proxy if "reference" in one.after else None}
            train(runs.extra_run, spec, tokens, toy.tokenizer, made[-1], 1, **more)
        for group in specs.swarm_groups(cfg, "toy", owner, 0):
            made.append(folder / "swarm" / f"{group}.json")
            train(swarm, specs.swarm(cfg, "toy", owner, 0, group), tokens, made[-1], 1)
    weights = out / "weights.json"
    others, played = [], []
    for other in method.uses(params):
        others.append(out / "weights" / f"{other}.json")
        weighting.weights(specs.weights(cfg, "toy", other, 0), tokens, [], [], others[-1], 1)
    for other in method.follows(params):
        folder = out / "runs" / other / "seed0"
        start = out / "weights" / f"{other}.json"
        runs.train(specs.train(cfg, "toy", other, 0), tokens, start, toy.tokenizer, folder, 1)
        played.append(folder / "mixture.json")
    spec = specs.weights(cfg, "toy", label, 0)
    weighting.weights(spec, tokens, embeddings, made, weights, 1, others=others, played=played)
    spec = specs.train(cfg, "toy", label, 0)
    train(runs.train, spec, tokens, weights, toy.tokenizer, run, 1, embeddings=embeddings, runs=made)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that later jobs and readers use; times, in records and swarm parts, left out."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    timed = ("run.json", ".run.json")
    return {n: p.read_bytes() for n, p in files.items() if not n.endswith(timed) and "/parts/" not in n}


@pytest.mark.parametrize("method", registry.names())
def test_killed_twice_and_the_same_bytes(method, raw, toy, tmp_path, kill, capfd):
    cfg = config(raw, method)
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def undisturbed(job, *args, **options):
        job(*args, **options)

    deaths = []

    def disturbed(job, *args, **options):
        for count in KILLS:
            kill(count)
            with pytest.raises(Killed):
                job(*args, **options, states="1steps")
            deaths.append(job.__name__)
        kill(0)
        job(*args, **options, states="2steps")

    play(cfg, toy, whole, method, undisturbed)
    capfd.readouterr()
    play(cfg, toy, cut, method, disturbed)
    assert contents(cut) == contents(whole)
    assert len(deaths) >= 4 and capfd.readouterr().err.count("goes on at step") >= len(deaths) / 2
    assert not list(cut.rglob("states")), "a run that is done keeps no state"


@pytest.mark.parametrize("stack", [1, 4])
def test_a_swarm_goes_on_within_a_run(stack, raw, toy, tmp_path, kill):
    spec = specs.swarm(config(raw, "regmix"), "toy", "regmix", 0, "part0")
    whole, cut = tmp_path / "whole" / "part0.json", tmp_path / "cut" / "part0.json"
    swarm(spec, toy.manifests, whole, 1, stack)
    for count in (3, 4, 2):
        kill(count)
        with pytest.raises(Killed):
            swarm(spec, toy.manifests, cut, 1, stack, "1steps")
    kill(0)
    swarm(spec, toy.manifests, cut, 1, stack, "never")
    assert cut.read_bytes() == whole.read_bytes()
    assert not list(cut.parent.rglob("*.safetensors"))


def test_a_proxy_of_the_study_keeps_its_checkpoints(raw, toy, tmp_path, kill):
    raw["sensitivity"] = {"scenario": "toy", "proxy_steps": [8], "checkpoints": [0.25, 0.75]}
    raw["scenarios"]["toy"]["methods"] = ["chameleon"]
    spec = study.proxy(load(raw), "steps_8", 0)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    runs.proxy(spec, toy.manifests, toy.tokenizer, whole, 1)
    for count in (3, 1, 3):
        kill(count)
        with pytest.raises(Killed):
            runs.proxy(spec, toy.manifests, toy.tokenizer, cut, 1, "1steps")
    kill(0)
    runs.proxy(spec, toy.manifests, toy.tokenizer, cut, 1, "1steps")
    assert len(list(cut.glob("model/checkpoints/*/model.safetensors"))) == 2
    assert contents(cut) == contents(whole)


@pytest.fixture
def half(raw, toy, tmp_path, kill):
    """A proxy run that died with two states; return a function that starts it again, and its folder."""
    cfg, out = config(raw, "uniform"), tmp_path / "proxy"

    def start(seed=0, every="1steps"):
        runs.proxy(specs.proxy(cfg, "toy", seed), toy.manifests, toy.tokenizer, out, 1, every)

    kill(3)
    with pytest.raises(Killed):
        start()
    kill(0)
    return start, out


def names(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "states").glob("*.safetensors"))


def test_the_last_two_states_are_kept_and_nothing_half_written(half):
    start, out = half
    assert [name[:13] for name in names(out)] == ["step000000002", "step000000003"]
    assert sorted(p.name for p in (out / "states").iterdir()) == names(out)
    assert not (out / "run.json").exists()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text"])
def test_a_damaged_state_is_named_and_the_one_before_is_taken(half, damage, capfd):
    start, out = half
    newest = out / "states" / names(out)[-1]
    whole = newest.read_bytes()
    middle = len(whole) // 2
    newest.write_bytes({
        "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "truncate": whole[:middle],
        "empty": b"",
        "text": b"{}",
    }[damage])  # fmt: skip
    start()
    said = capfd.readouterr().err
    assert f"warning: {newest}: its bytes are not those that were written; not used" in said
    assert "goes on at step 2" in said


def test_a_state_of_another_run_or_version_is_refused(half, capfd, monkeypatch):
    start, out = half
    start(seed=1)
    said = capfd.readouterr().err
    assert said.count("a state of another run, version or input; not used") == 2 and "goes on" not in said
    assert json.loads((out / "run.json").read_text())["spec"]["seed"] == 1


def test_a_state_of_another_version_is_refused(half, capfd, monkeypatch):
    start, _ = half
    monkeypatch.setattr(states, "FORMAT", states.FORMAT + 1)
    start()
    said = capfd.readouterr().err
    assert said.count("a state of another run, version or input; not used") == 2 and "goes on" not in said


def test_seconds_before_the_kill_are_counted(half):
    start, out = half
    newest = states.States(out / "states", None, states.Every())
    start()
    assert json.loads((out / "run.json").read_text())["cost"]["seconds"] > 0 and newest.newest() is None


@pytest.mark.parametrize("name", [s.name for s in SIGNALS])
def test_a_signal_saves_and_stops_and_the_next_start_goes_on(name, raw, toy, tmp_path, monkeypatch, capfd):
    cfg, out = config(raw, "uniform"), tmp_path / "proxy"
    step = Training._step

    def signalled(self, number, batch, tokens):
        if number == 1:
            os.kill(os.getpid(), signal.Signals[name])
        return step(self, number, batch, tokens)

    whole = tmp_path / "whole"
    spec = specs.proxy(cfg, "toy", 0)
    runs.proxy(spec, toy.manifests, toy.tokenizer, whole, 1)
    before = signal.getsignal(signal.Signals[name])
    monkeypatch.setattr(Training, "_step", signalled)
    with pytest.raises(Interrupted, match=f"{name} after step 2; the state is saved"):
        runs.proxy(spec, toy.manifests, toy.tokenizer, out, 1, "60min")
    monkeypatch.undo()
    runs.proxy(spec, toy.manifests, toy.tokenizer, out, 1, "60min")
    assert signal.getsignal(signal.Signals[name]) == before
    assert "goes on at step 2" in capfd.readouterr().err
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("text", ["", "5", "min", "0steps", "5 min", "-1min", "1h", "5min;"])
def test_how_often_is_one_of_a_few_words(text):
    from chameleon.core.errors import UserError

    with pytest.raises(UserError, match="^--states: .* is not like 5min, 100steps"):
        states.Every.parse(text)


def test_what_a_state_holds_comes_back_as_it_was(tmp_path):
    import numpy as np
    import torch

    value = {
        "a": [1, 2.5, None, True, "x", float("nan"), 1e-310, {3: "three", "k": [torch.arange(3)]}],
        "b": np.array([[np.nan, 1e308], [5e-324, -0.0]]), "c": np.arange(3), "d": torch.zeros(()),
        "e": np.float64(0.1), "f": torch.ones(2, dtype=torch.bfloat16), "g": np.empty((0, 3)),
    }  # fmt: skip
    kept = states.States(tmp_path / "s", {"spec": 1}, states.Every())
    kept.save(7, value)
    found = kept.newest()
    assert found is not None and found[0] == 7
    back = found[1]
    assert list(back) == list(value) and repr(back["a"][:7]) == repr(value["a"][:7])
    assert list(back["a"][7]) == [3, "k"] and torch.equal(back["a"][7]["k"][0], torch.arange(3))
    assert back["b"].tobytes() == value["b"].tobytes() and back["c"].dtype == np.int64
    assert back["d"].shape == () and back["e"] == 0.1 and back["f"].dtype == torch.bfloat16
    assert back["g"].shape == (0, 3)
