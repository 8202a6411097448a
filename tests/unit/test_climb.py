"""CLIMB: rounds that near the optimum of a known loss, draws that every job repeats, small and odd cases."""

import numpy as np
import pytest

from chameleon.core.artifacts import dumps
from chameleon.core.errors import UserError
from chameleon.methods.rounds import next_round
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunInputs, RunResult

DOMAINS = ("wiki", "code", "books", "news", "papers")
COUNTS = dict.fromkeys(DOMAINS, 1000)
#: Where the loss below is least.
BEST = {"wiki": 0.45, "code": 0.05, "books": 0.3, "news": 0.05, "papers": 0.15}
METHOD = registry.get("climb")


def losses(weights):
    """Convex in the mixture; the domains' losses differ by constants."""
    away = sum((weights[d] - BEST[d]) ** 2 for d in weights)
    return {d: 3.0 + 0.1 * DOMAINS.index(d) + away for d in weights}


def parameters(**given):
    return registry.parameters("climb", {"candidates": 3000, "folds": 4, **given}, "here")


def play(seed=0, domains=DOMAINS, truth=losses, noise=0.005, **given):
    """Do all runs in the order of the DAG, as the jobs do them."""
    params, rng = parameters(**given), np.random.default_rng(seed)
    METHOD.check(params, domains, {})
    runs = {}
    for run in METHOD.extra_runs(domains, params, seed):
        earlier = {name: runs[name] for name in run.after}
        weights = run.weights or METHOD.run_weights(RunInputs(run, domains, COUNTS, params, seed, earlier))
        found = {d: loss + noise * rng.normal() for d, loss in sorted(truth(weights).items())}
        runs[run.run_id] = RunResult(weights, found, None)
    return MethodInputs(domains, COUNTS, params, seed, 100, runs=runs)


def solve(seed=0, **given):
    return METHOD.weights(play(seed, **given))


def distance(weights):
    return sum(abs(weights[d] - BEST[d]) for d in weights)


def of_round(inputs, number):
    return [r.weights for name, r in sorted(inputs.runs.items()) if name.startswith(f"round{number}_")]


def test_the_runs_are_known_beforehand():
    params = parameters(rounds=[4, 3, 2], steps=7, scale="tiny")
    runs = METHOD.extra_runs(DOMAINS, params, 3)
    first, second, third = runs[:4], runs[4:7], runs[7:]
    assert [run.run_id for run in second] == ["round2_000", "round2_001", "round2_002"] and len(third) == 2
    assert all(tuple(run.weights) == DOMAINS and run.after == () for run in first)
    assert all(sum(run.weights.values()) == pytest.approx(1, abs=1e-12) for run in first)
    assert all(run.weights is None and run.after == tuple(r.run_id for r in first) for run in second)
    assert all(run.weights is None and run.after == tuple(r.run_id for r in runs[:7]) for run in third)
    assert all((run.steps, run.scale, run.swarm, run.objective) == (7, "tiny", False, False) for run in runs)
    assert [len(METHOD.extra_runs(DOMAINS, dict(METHOD.defaults), s)) for s in (0, 1)] == [28, 28]


@pytest.mark.slow
def test_rounds_near_the_optimum():
    """Mean distance over seeds: rounds 2 and 3 are nearer than round 1, and the answer than uniform."""
    means = []
    for seed in range(4):
        inputs = play(seed, folds=2)
        found = [np.mean([distance(w) for w in of_round(inputs, t)]) for t in (1, 2, 3)]
        means.append([*found, distance(METHOD.weights(inputs).schedule.stages[0].weights)])
    first, second, third, answer = np.mean(means, axis=0)
    assert max(second, third) < 0.9 * first
    assert answer < 0.75 * distance(dict.fromkeys(DOMAINS, 0.2)) < first


def test_every_job_of_a_round_makes_the_same_draw_and_takes_its_own():
    inputs = play(rounds=[8, 5, 4])
    seen = [tuple(round(w[d], 9) for d in DOMAINS) for t in (1, 2, 3) for w in of_round(inputs, t)]
    assert len(set(seen)) == 17, "no mixture is trained twice"
    assert all(sum(r.weights.values()) == pytest.approx(1, abs=1e-12) for r in inputs.runs.values())


def test_a_round_is_drawn_from_the_best_that_were_not_trained():
    class Told:
        def predict(self, mixtures):
            return mixtures[:, 0]

    candidates = np.random.default_rng(0).dirichlet(np.ones(3), 500)
    ranked = candidates[np.argsort(candidates[:, 0])]
    drawn = next_round(Told(), candidates, ranked[:4], 6, 10, np.random.default_rng(1))
    assert {tuple(row) for row in drawn} < {tuple(row) for row in ranked[4:14]} and len(np.unique(drawn)) > 6
    default = next_round(Told(), candidates, ranked[:4], 12, None, np.random.default_rng(1))
    assert default[:, 0].max() <= ranked[4 + 144 - 1, 0]
    few = next_round(Told(), candidates, ranked[:0], 2, None, np.random.default_rng(1))
    assert few[:, 0].max() <= ranked[127, 0]


def test_the_order_of_domains_plays_no_part_and_the_seed_does():
    moved = DOMAINS[::-1]
    one, other = (METHOD.weights(play(3, domains)) for domains in (DOMAINS, moved))
    assert one.schedule.stages[0].weights == other.schedule.stages[0].weights
    assert tuple(other.schedule.stages[0].weights) == moved and one.diagnostics == other.diagnostics
    again, another = solve(3), solve(4)
    assert dumps(again.diagnostics) == dumps(one.diagnostics) and again.schedule == one.schedule
    assert another.schedule != one.schedule


def test_the_diagnostics():
    result = solve(rounds=[16, 8, 4])
    said = result.diagnostics
    assert said["runs"] == 28 and sorted(said["round"].values()) == [1] * 16 + [2] * 8 + [3] * 4
    assert said["best_measured_loss"] == min(said["loss"].values()) and set(said["loss"]) == set(
        said["round"]
    )
    assert -1 <= said["heldout_spearman"] <= 1 and said["heldout_mse"] >= 0
    assert said["predicted_loss"] < np.mean(list(said["loss"].values()))
    weights = result.schedule.stages[0].weights
    assert tuple(weights) == DOMAINS and sum(weights.values()) == pytest.approx(1, abs=1e-12)


def test_one_target():
    """The domain's own loss, which another mixture serves best."""
    own = {"target": "code", "truth": lambda w: {d: 4 - w[d] for d in w}}
    weights = solve(**own).schedule.stages[0].weights
    assert max(weights, key=weights.get) == "code"


def test_few_domains_and_few_runs():
    assert METHOD.extra_runs(("code",), parameters(), 0) == []
    assert solve(domains=("code",)).schedule.stages[0].weights == {"code": 1.0}
    assert set(solve(domains=("code", "wiki"), rounds=[3, 1]).schedule.stages[0].weights) == {"code", "wiki"}
    inputs = play(rounds=[3])
    result = METHOD.weights(inputs)
    best = min(inputs.runs.values(), key=lambda run: sum(run.losses.values()))
    assert result.diagnostics["regression"] == "none: it tells no mixtures apart"
    assert result.schedule.stages[0].weights == pytest.approx(best.weights)


def test_losses_that_are_all_the_same():
    result = solve(truth=lambda w: dict.fromkeys(w, 3.0), noise=0)
    assert "heldout_spearman" not in result.diagnostics and result.diagnostics["predicted_loss"] == 3.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rounds": [2, 4]}, r"rounds: \[2, 4\] is not a list of numbers of runs, at least 3 in the first"),
        ({"rounds": []}, r"rounds: \[\] is not a list"),
        ({"rounds": 16}, "rounds: 16 is not a list"),
        ({"rounds": [8, 0]}, r"rounds: \[8, 0\] is not a list"),
        ({"rounds": [8, True]}, r"rounds: \[8, True\] is not a list"),
        ({"rounds": [900, 200]}, "rounds: .* and 1000 in all"),
        ({"candidates": 20}, "candidates: 20 is not a whole number of at least 28"),
        ({"pool": 7}, "pool: 7 is not a whole number of at least 8, or null"),
        ({"steps": 0}, "steps: 0 is not a whole"),
        ({"top": 0}, "top: 0 is not a whole number of at least 1"),
        ({"folds": 1.5}, "folds: 1.5 is not a whole"),
        ({"regression": "forest"}, "regression: 'forest' is not one of lightgbm, linear, log_linear"),
        ({"regression": ["climb"]}, r"regression: \['climb'\] is not one of"),
        ({"target": "bokos"}, "target: 'bokos' is not one of mean, wiki, code"),
    ],
)
def test_bad_parameters_are_refused(given, words):
    with pytest.raises(UserError, match=f"^method climb: {words}") as refused:
        METHOD.check(parameters(**given), DOMAINS, {})
    assert "\n" not in str(refused.value)
