"""What every mixing method must do, run on each registered one at toy size.

A new method is tested by being there. Only a method that cannot work with its defaults needs a line here, in
EXAMPLES. Methods of your own are tested too: CHAMELEON_METHOD_PATH=folder pytest tests/contract
"""

import ast
import contextlib
import copy
import inspect
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.artifacts import dumps
from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.method import LeavesTensors, Method
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixing.types import (
    OBJECTIVE_TENSORS,
    REFERENCE,
    REQUIREMENTS,
    MethodInputs,
    RunInputs,
    RunResult,
)

DOMAINS = ("papers", "books", "code", "wiki")
COUNTS = {"papers": 3000, "books": 1000, "code": 500, "wiki": 2000, "unused": 7}
X = np.random.default_rng(0).normal(size=(4, 6))
X.flags.writeable = False
HISTOGRAMS = np.random.default_rng(1).integers(1, 90, size=(4, 16))
HISTOGRAMS.flags.writeable = False
STEPS, BUDGET = 12, 4000
RATINGS = Path(__file__).parents[1] / "data" / "ratings.csv"

#: Parameters for methods whose defaults alone cannot work: name -> domains -> parameters.
EXAMPLES = {
    "fixed": lambda domains: {"weights": {d: (i + 1) / 10 for i, d in enumerate(DOMAINS) if d in domains}
                              if len(domains) == 4 else dict.fromkeys(domains, 1 / len(domains))},
    # Controls of another method.
    "permuted": lambda domains: {"of": "other"},
    "mean_mixture": lambda domains: {"of": "other"},
    # Their own defaults fit and simulate for seconds.
    "climb": lambda domains: {"rounds": [6, 3, 2], "candidates": 1000, "folds": 3},
    "medu": lambda domains: {"ratings": str(RATINGS), "scale": [1, 5]},
    "mixture_reuse": lambda domains: {"kept": sorted(domains)[:2], "folds": 2},
    "data_mixing_law": lambda domains: {"folds": 2},
    "olmix": lambda domains: {"folds": 2},
    "mde": lambda domains: {"candidates": 500, "folds": 3},
    "demix": lambda domains: {"rounds": [6, 3], "candidates": 500, "steps": 4},
    "regmean": lambda domains: {"rounds": [6, 3], "candidates": 500},
    "duet": lambda domains: {"initial": 3, "iterations": 3, "candidates": 300},
    "nested_mixing_law": lambda domains: {"mixtures": 8, "folds": 2},
    "da2": lambda domains: {"candidates": 500},
    "regmix": lambda domains: {"num_proxies": 12, "candidates": 1000, "folds": 3},
}  # fmt: skip

every_method = pytest.mark.parametrize("name", registry.names())


def parameters(name, domains):
    return registry.parameters(name, EXAMPLES.get(name, lambda domains: {})(domains), "here")


SHAPE = (1, 1, 8, 8, 16)  # blocks, heads, width, context, vocabulary


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A checkpoint: the reference, and what methods find that look into those of their extra runs."""
    from chameleon.training.model import Decoder, ModelShape, save_pretrained

    folder = tmp_path_factory.mktemp("extra") / "model"
    save_pretrained(Decoder(ModelShape(*SHAPE)).initialise(0), folder, eos_token_id=0)
    return folder


class Stream:
    """Tokens of a domain, as the sampler and the training loop read them."""

    def __init__(self, domain):
        rng = np.random.default_rng(DOMAINS.index(domain))
        self.ids = rng.choice(16, size=400, p=rng.dirichlet(np.full(16, 0.3)))

    def __len__(self):
        return len(self.ids)

    def read(self, start, stop):
        return self.ids[start:stop]


def trained(method, run, domains, params, seed, earlier, folder):
    """Train one of a method's runs; return its mixture, and what its objective answers.

    `folder` gets the checkpoint and the tensors of an objective that leaves any.
    """
    from chameleon.core.tensors import write_tensors
    from chameleon.training.loop import Training
    from chameleon.training.model import ModelShape, save_pretrained
    from chameleon.training.recipe import Recipe

    inputs = RunInputs(run, tuple(domains), COUNTS, params, seed, earlier)
    weights = run.weights or method.run_weights(inputs)
    objective = method.objective(inputs) if run.objective else None
    # Streams by name: the sampler draws the same blocks whatever the domains' order is.
    streams = {d: Stream(d) for d in sorted(domains)}
    recipe = Recipe(optimizer="adamw", lr=0.01, batch_size=4, steps=6)
    training = Training(ModelShape(*SHAPE), recipe, streams, init_seed=0, data_seed=0, label="")
    training.play(MixtureSchedule.static(weights), objective=objective)
    assert training.cost.flops > 0 and (objective is None or objective.extra_flops > 0), "costs are counted"
    if isinstance(objective, LeavesTensors):
        save_pretrained(training.model, folder, eos_token_id=0)
        write_tensors(objective.tensors(training.model), folder / OBJECTIVE_TENSORS, {})
    return weights, {} if objective is None else json.loads(dumps(objective.outcome()))


def losses(weights):
    """Return made-up losses: the more of a domain, the lower its own."""
    return {
        d: 4.0 + 0.1 * (DOMAINS.index(d) if d in DOMAINS else 0) - math.log1p(w) for d, w in weights.items()
    }


def measured(model, domains=None):
    """Return the losses of a model on every domain, or on some, as the weighting stage measures them."""
    import torch

    from chameleon.evaluation.perplexity import block_losses

    found = {}
    for d in DOMAINS if domains is None else domains:
        ids = torch.as_tensor(Stream(d).ids[: 9 * 8].reshape(8, 9)).numpy()
        found[d] = float(block_losses(model, ids).mean())
    return found


def read_runs(label, domains, seed=5, folder=None):
    """Return the runs of a method that another one reads; `folder` is the checkpoint of all that keep one."""
    made = registry.get(label).extra_runs(tuple(domains), parameters(label, domains), seed)
    return {
        run.run_id: RunResult(
            dict(run.weights), losses(run.weights), None if run.swarm else folder, **blocks(run)
        )
        for run in made
    }


def blocks(run):
    """Return made-up losses by block: a domain's blocks differ, and lie around its loss."""
    if not run.blocks:
        return {}
    made = {d: [loss + x for x in (-0.2, 0.1, 0.05, 0.05)] for d, loss in losses(run.weights).items()}
    return {"blocks": made, "block_tokens": 8}


@pytest.fixture
def solve(model_dir, tmp_path):
    """Return a function that runs a method at once and returns its result."""

    def solve(name, domains=DOMAINS, runs_for=None, seed=11):
        method, params = registry.get(name), parameters(name, domains)
        method.check(params, tuple(domains), {"tokenizer_fingerprint": "0" * 64})
        uniform = dict.fromkeys(domains, 1 / len(domains))
        runs = {REFERENCE: RunResult(uniform, {}, model_dir)}
        for run in method.extra_runs(tuple(runs_for or domains), params, seed):
            outcome, weights, own = {}, run.weights, tmp_path / f"{name}_{len(domains)}_{run.run_id}"
            if run.objective or weights is None:
                earlier = {key: runs[key] for key in run.after}
                weights, outcome = trained(method, run, domains, params, seed, earlier, own)
            folder = None if run.swarm else own if own.exists() else model_dir
            runs[run.run_id] = RunResult(dict(weights), losses(weights), folder, outcome, **blocks(run))
        del runs[REFERENCE]
        at = [DOMAINS.index(d) for d in domains]
        rows = X[at] if "embeddings" in method.requires else None
        counts = HISTOGRAMS[at] if "histograms" in method.requires else None
        mixture = {d: (1 + DOMAINS.index(d)) / sum(1 + DOMAINS.index(e) for e in domains) for d in domains}
        others, played = (dict.fromkeys(f(params), mixture) for f in (method.uses, method.follows))
        read = {label: read_runs(label, domains, folder=model_dir) for label in method.reads(params)}
        inputs = MethodInputs(
            tuple(domains), dict(COUNTS), params, seed, STEPS, rows, runs, read, others, played,
            token_budget=BUDGET, histograms=counts, validation_histograms=counts,
            validation_losses=measured if "validation" in method.requires else None,
        )  # fmt: skip
        before = copy.deepcopy((inputs.token_counts, inputs.params, inputs.runs, inputs.read))
        result = method.weights(inputs)
        found = (inputs.token_counts, inputs.params, inputs.runs, inputs.read)
        assert found == before, "inputs are read only"
        return result

    return solve


def on_the_simplex(weights, domains):
    return (
        set(weights) == set(domains)
        and all(type(w) is float and math.isfinite(w) and w >= 0 for w in weights.values())
        and abs(math.fsum(weights.values()) - 1) <= 1e-12
    )


@every_method
def test_declaration(name):
    method = registry.get(name)
    assert isinstance(method, Method) and method.name == name and inspect.getdoc(type(method))
    assert isinstance(method.version, int) and method.version >= 1
    assert method.requires <= REQUIREMENTS
    assert json.loads(json.dumps(dict(method.defaults))) == dict(method.defaults)
    assert method.online == (type(method).controller is not Method.controller)
    assert all(isinstance(file, str) for file in method.files(parameters(name, DOMAINS)))


@every_method
def test_weights_are_on_the_simplex(name, solve):
    result = solve(name)
    assert isinstance(result.schedule, MixtureSchedule)
    for stage in result.schedule.stages:
        assert on_the_simplex(stage.weights, DOMAINS), stage
        assert stage.start_step < STEPS, "a stage that never starts"
    assert json.loads(dumps(result.diagnostics)) == result.diagnostics, "diagnostics are plain JSON"


@every_method
def test_the_order_of_domains_plays_no_part(name, solve):
    moved = ("wiki", "papers", "code", "books")
    one, other = solve(name), solve(name, moved, runs_for=DOMAINS)
    # Gradients of a trained proxy are float32 sums, whose order the domains' order may decide.
    method = registry.get(name)
    runs = method.extra_runs(DOMAINS, parameters(name, DOMAINS), 11)
    rel = 1e-4 if any(run.objective for run in runs) else 1e-9
    for a, b in zip(one.schedule.stages, other.schedule.stages, strict=True):
        assert a.start_step == b.start_step and b.weights == pytest.approx(a.weights, rel=rel, abs=1e-12)


@every_method
def test_the_same_seed_gives_the_same_bytes(name, solve):
    def text(result):
        stages = [[s.start_step, s.weights] for s in result.schedule.stages]
        return dumps([stages, result.diagnostics])

    assert text(solve(name)) == text(solve(name))


@every_method
@pytest.mark.parametrize("k", [1, 2])
def test_few_domains(name, solve, k):
    domains = DOMAINS[1 : 1 + k]
    for stage in solve(name, domains).schedule.stages:
        assert on_the_simplex(stage.weights, domains)


@every_method
def test_extra_runs_are_known_beforehand(name):
    method, params = registry.get(name), parameters(name, DOMAINS)
    runs = method.extra_runs(DOMAINS, params, 5)
    assert runs == method.extra_runs(DOMAINS, params, 5)
    ids = [run.run_id for run in runs]
    assert len(set(ids)) == len(ids)
    for run in runs:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", run.run_id) and run.run_id not in (".", "..")
        assert run.weights is None or on_the_simplex(run.weights, DOMAINS)
        assert run.steps is None or run.steps >= 1
        # What a run waits for comes before it; a swarm's runs wait for nothing and leave no checkpoint.
        assert set(run.after) <= {REFERENCE, *ids[: ids.index(run.run_id)]}
        assert not run.swarm or (run.weights and not run.after and not run.objective)


@every_method
def test_weights_depend_on_nothing_that_was_not_given(name, solve):
    """Another method's draws, or the time, must not: a second seed may differ, the first must not."""
    first = solve(name, seed=11)
    solve(name, seed=12)
    assert solve(name, seed=11).schedule == first.schedule


#: Values of the wrong kind for some parameter, as YAML can bring them.
ODD = [None, "junk", [], {}, [[1]], [{}], [1, "x"], {"a": [1]}, -1, 0, True, math.inf, math.nan, 10**400]


@every_method
def test_no_value_of_a_parameter_is_a_traceback(name):
    method, given = registry.get(name), parameters(name, DOMAINS)
    for key in method.defaults:
        for value in ODD:
            with contextlib.suppress(UserError):
                method.check({**given, key: value}, DOMAINS, {"tokenizer_fingerprint": "0" * 64})


@every_method
def test_what_a_reader_is_told_fits(name):
    """`chameleon methods`: what needs no run and no training is free, the rest says what it costs."""
    method, given = registry.get(name), parameters(name, DOMAINS)
    models = method.requires - {"histograms", "validation_histograms"}  # counting tokens needs none
    asks = [method.reads(given), method.uses(given), method.extra_runs(DOMAINS, given, 0), models]
    assert (method.kind == "free") == (not any(asks) and not method.online)
    assert method.cost != "0" or not any(asks)
    if "validation" in method.requires or any(run.blocks for run in asks[2]):
        assert "validation losses" in method.sees


@every_method
def test_unknown_parameters_are_refused(name):
    with pytest.raises(UserError, match=f"unknown parameter 'no_such_parameter'; method {name} takes: "):
        registry.parameters(name, {"no_such_parameter": 1}, "here")


@every_method
def test_nothing_heavy_is_imported_with_the_module(name):
    """Imports inside functions are fine. tests/unit/test_packaging.py sees what these imports import."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(type(registry.get(name)))))
    found, nodes = set(), list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    assert "chameleon" in found
    assert not found & {"torch", "transformers", "pandas", "datasets", "scipy", "sklearn", "matplotlib"}


@every_method
def test_a_controller_plays_a_run(name, toy):
    """Online methods only: on the toy shards, until the steps are used up; twice alike."""
    method = registry.get(name)
    if not method.online:
        with pytest.raises(NotImplementedError):
            method.controller(MethodInputs(DOMAINS, COUNTS, dict(method.defaults), 0, STEPS))
        return
    from chameleon.data.tokens import TokenCorpus
    from chameleon.training.loop import Training
    from chameleon.training.model import ModelShape
    from chameleon.training.recipe import Recipe

    corpora = [TokenCorpus(m) for m in toy.manifests]
    streams = {d: c.stream(d, "train") for c in corpora for d in c.domains}
    domains = tuple(streams)
    counts = {d: len(s) for d, s in streams.items()}
    params = parameters(name, domains)
    start_weights = dict.fromkeys(domains, 1 / len(domains))
    others = dict.fromkeys(method.uses(params), start_weights)
    read = {label: read_runs(label, domains) for label in method.reads(params)}
    inputs = MethodInputs(
        domains, counts, params, 3, STEPS, read=read, others=others, start=start_weights, token_budget=BUDGET
    )
    start = MixtureSchedule.static(start_weights)
    played = []
    for _ in range(2):
        recipe = Recipe(optimizer="adamw", lr=0.01, batch_size=4, steps=STEPS)
        run = Training(ModelShape(1, 1, 8, 16, 64), recipe, streams, init_seed=0, data_seed=0)
        run.play(start, method.controller(inputs), lambda model: dict.fromkeys(domains, 3.0))
        assert sum(s["steps"] for s in run.segments) == STEPS
        played.append(dumps(run.segments))
    assert played[0] == played[1]
