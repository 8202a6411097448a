"""Nested mixing laws: a planted step law is recovered, order may change with length, shares of a swarm."""

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.experiment import specs
from chameleon.experiment.load import load
from chameleon.methods.laws.steps import extrapolate
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

DOMAINS = ("wiki", "books", "code")
STEPS = np.array([50.0, 100.0, 200.0])
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.2])
def test_a_planted_step_law_is_recovered(alpha):
    floor, height = RNG.uniform(1, 3, (5, 3)), RNG.uniform(0.5, 2, (5, 3))
    losses = np.stack([floor + height * (s / 200) ** -alpha for s in STEPS])
    found, exponent, error = extrapolate(STEPS, losses, 800)
    assert exponent == pytest.approx(alpha, rel=1e-3) and error < 1e-5
    assert found == pytest.approx(floor + height * 4**-alpha, rel=1e-4)


def test_coefficients_stay_above_zero():
    rising = np.array([1.0, 2.0, 3.0])[:, None, None]
    found, _, _ = extrapolate(STEPS, rising, 400)
    assert found.item() == pytest.approx(2.0)
    # Falls faster than a power law with a floor can: none is left.
    steep = np.array([4.0, 1.0, 0.0])[:, None, None]
    found, _, _ = extrapolate(STEPS, steep, 10**6)
    assert 0 <= found.item() < 0.1


def played(floor, height, alpha, mixtures, lengths=(50, 100, 200)):
    """Return runs whose losses follow both laws."""
    runs = {}
    for s in lengths:
        for i, p in enumerate(mixtures):
            losses = np.exp(floor @ p) + np.exp(height @ p) * (s / 200) ** -alpha
            runs[f"steps{s}_mix{i:03d}"] = RunResult(
                dict(zip(sorted(DOMAINS), p.tolist(), strict=True)),
                dict(zip(sorted(DOMAINS), losses.tolist(), strict=True)),
                None,
            )
    return runs


def test_what_is_best_later_is_found_and_not_what_is_best_now():
    """Domain 0 gives a low loss soon, domain 2 a low one in the end."""
    mixtures = RNG.dirichlet(np.ones(3), size=24)
    floor = np.tile([0.5, 0.0, -2.0], (3, 1))
    height = np.tile([-2.5, 0.0, 0.9], (3, 1))
    runs = played(floor, height, 0.5, mixtures)
    params = registry.parameters("nested_mixing_law", {"folds": 3}, "here")
    method, counts = registry.get("nested_mixing_law"), dict.fromkeys(DOMAINS, 1000)
    short = method.weights(MethodInputs(DOMAINS, counts, params, 0, 60, runs=runs, token_budget=100))
    long = method.weights(MethodInputs(DOMAINS, counts, params, 0, 10**5, runs=runs, token_budget=100))
    first, _, last = sorted(DOMAINS)
    now, later = (found.schedule.stages[0].weights for found in (short, long))
    assert now[first] > 0.5 and later[last] > 0.8
    assert long.diagnostics["exponent"] == pytest.approx(0.5, rel=0.02)
    inputs = MethodInputs(DOMAINS, counts, params, 0, 10**5, runs=runs, token_budget=100)
    told = method.foretell(inputs, {"first": {first: 1.0}, "last": {last: 1.0}})
    assert told["last"] < told["first"]


def test_a_share_of_a_swarm_is_of_one_length(raw):
    raw["scenarios"]["toy"]["methods"] = ["uniform", "nested_mixing_law"]
    given = {"mixtures": 5, "steps": [2, 3, 4], "scale": "tiny"}
    raw["method_params"] = {"nested_mixing_law": given}
    raw["swarm"] = {"runs_per_job": 3}
    cfg = load(raw)
    groups = specs.swarm_groups(cfg, "toy", "nested_mixing_law", 0)
    assert [len(group) for group in groups.values()] == [3, 2] * 3
    for name, group in groups.items():
        spec = specs.swarm(cfg, "toy", "nested_mixing_law", 0, name)
        assert {run.steps for run in group} == {spec["train"]["steps"]}
        assert list(spec["runs"]) == [run.run_id for run in group]
    runs = specs.extra_runs(cfg, "toy", "nested_mixing_law", 0)
    assert [run.weights for run in runs[:5]] == [run.weights for run in runs[5:10]]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"steps": [5, 6]}, r"steps: \[5, 6\] is not at least three different lengths"),
        ({"steps": [5, 5, 6, 7]}, "steps: .* different lengths"),
        ({"steps": 200}, "steps: 200 is not at least"),
        ({"mixtures": 2}, "mixtures: 2 is not a whole number of at least 3"),
        ({"target": "news"}, "target: 'news' is not one of"),
    ],
)
def test_refused(params, words):
    with pytest.raises(UserError, match=f"^method nested_mixing_law: {words}"):
        registry.get("nested_mixing_law").check(
            registry.parameters("nested_mixing_law", params, "here"), DOMAINS, {}
        )
