"""`chameleon score-method`: planted laws, the noise floor, no leakage, the shipped swarm, bad input."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from chameleon.cli import main
from chameleon.core.errors import UserError
from chameleon.methods import frozen
from chameleon.methods.frozen import FrozenSwarm
from chameleon.methods.frozen import score as scoring
from chameleon.mixing import Method, MethodResult, MixtureSchedule, registry
from chameleon.mixing.types import RunResult

DOMAINS = ("books", "code", "wiki")


def planted(noise=0.0, n=60, seeds=3, seed=0):
    """Return a swarm whose loss on a domain is log-linear in the mixture, with noise of its own per run."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(3), size=n)
    clean = 3.0 + np.exp(mixtures @ rng.normal(-0.5, 0.8, (3, 3)))
    losses = clean + rng.normal(0, noise, (seeds, n, 3))
    tokens = dict.fromkeys(DOMAINS, 10_000)
    return FrozenSwarm("planted", DOMAINS, mixtures, losses, "", tokens, 20, 5000)


@pytest.fixture
def oracle(monkeypatch):
    """A method that foretells what it saw of a mixture, and else what a function says; it notes its runs."""

    class Oracle(Method):
        name, foretells, seen, knows = "oracle", True, [], None

        def reads(self, params):
            return ["regmix"]

        def weights(self, inputs):
            return MethodResult(
                MixtureSchedule.static(dict.fromkeys(inputs.domains, 1 / len(inputs.domains)))
            )

        def foretell(self, inputs, mixtures):
            self.seen.append((set(inputs.read["regmix"]), set(mixtures)))
            return {key: self.knows(p) for key, p in mixtures.items()}

    registry.names()
    monkeypatch.setattr(registry, "_methods", {**registry._methods, "oracle": Oracle()})
    Oracle.seen.clear()
    return registry.get("oracle")


def test_a_law_that_holds_is_found_and_a_tree_does_worse():
    swarm = planted()
    exact = scoring.score(swarm, "data_mixing_law", {})
    assert exact.measure.spearman > 0.99 and exact.measure.regret < 1e-3
    assert exact.runs == 60 - 8
    small = planted(n=24, seeds=1)
    trees = scoring.score(small, "regmix", {"candidates": 200, "top": 10, "folds": 2}, folds=2)
    assert trees.measure.spearman < scoring.score(small, "data_mixing_law", {}, folds=2).measure.spearman


def test_it_never_sees_the_runs_that_it_foretells(oracle):
    oracle.knows = lambda p: p["code"]
    scoring.score(planted(), "oracle", {})
    assert len(oracle.seen) == 3 * 8
    assert all(not fitted & asked for fitted, asked in oracle.seen)
    assert all(len(fitted | asked) == 60 for fitted, asked in oracle.seen)


def test_measures():
    truth = np.arange(20.0)
    right = scoring.measure(truth, truth, 0)
    assert (right.spearman, *right.interval, right.spearman_best) == pytest.approx((1, 1, 1, 1))
    assert right.regret == 0.0
    turned = scoring.measure(-truth, truth, 0)
    assert (turned.spearman, turned.spearman_best, turned.regret) == pytest.approx((-1.0, -1.0, 19.0))
    flat = scoring.measure(np.zeros(20), truth, 0)
    assert flat.spearman is None and flat.interval is None
    swapped = truth.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert scoring.measure(swapped, truth, 0).regret == 1.0


def test_the_floor_falls_with_the_noise_and_no_oracle_is_far_above_it(oracle):
    swarm = planted(noise=0.15)
    clean = planted()
    by_mixture = {tuple(m): y for m, y in zip(clean.mixtures, clean.losses[0].mean(1), strict=True)}
    oracle.knows = lambda p: by_mixture[tuple(p[d] for d in DOMAINS)]
    noisy = scoring.score(swarm, "oracle", {})
    assert noisy.floor.spearman < noisy.measure.spearman < 1, "the truth beats one noisy run"
    assert scoring.score(clean, "oracle", {}).floor.spearman == 1.0
    low, high = noisy.measure.interval
    assert low < noisy.measure.spearman < high


def test_one_seed_has_no_floor():
    swarm = planted(seeds=1)
    assert scoring.score(swarm, "data_mixing_law", {}).floor is None


def test_experts_are_used_where_a_method_reads_such():
    with pytest.raises(UserError, match="score-method mixmin: planted has no run on a single domain"):
        scoring.score(planted(), "mixmin", {})
    swarm = planted()
    experts = {}
    for i, d in enumerate(DOMAINS):
        blocks = {e: [4.0 - (d == e), 4.2 - (d == e)] for e in DOMAINS}
        one = {e: float(j == i) for j, e in enumerate(DOMAINS)}
        experts[f"only_{d}"] = RunResult(one, {e: 4.0 for e in DOMAINS}, None, {}, blocks, 8)
    found = scoring.score(replace(swarm, experts=experts), "mixmin", {})
    assert found.proposed == pytest.approx(dict.fromkeys(DOMAINS, 1 / 3))


def test_bad_input():
    # DeMix foretells too, but from checkpoints, and they are not in a swarm's table.
    for name in ("doge", "demix"):
        with pytest.raises(UserError, match=f"losses from runs: '{name}' is not one of data_mixing_law"):
            scoring.score(planted(), name, {})
    with pytest.raises(UserError, match="it foretells nothing with these parameters"):
        scoring.score(planted(), "data_mixing_law", {"target": "code"})
    with pytest.raises(UserError, match="method nested_mixing_law: needs runs of several lengths"):
        scoring.score(planted(), "nested_mixing_law", {})
    with pytest.raises(UserError, match="--folds: 1"):
        scoring.score(planted(), "data_mixing_law", {}, folds=1)


def test_the_shipped_swarm_is_whole():
    swarm = frozen.shipped()
    seeds, n, k = swarm.losses.shape
    assert (seeds, n, k) == (3, 64, 7) and swarm.mixtures.shape == (64, 7)
    assert np.abs(swarm.mixtures.sum(axis=1) - 1).max() < 1e-6
    assert np.isfinite(swarm.losses).all() and (swarm.losses > 1).all() and (swarm.losses < 10).all()
    assert len({tuple(row) for row in swarm.mixtures}) == 64
    assert {max(run.weights, key=run.weights.get) for run in swarm.experts.values()} == set(swarm.domains)
    # Other seeds, other numbers: nothing was copied.
    assert all((swarm.losses[0] != swarm.losses[s]).any(axis=1).all() for s in (1, 2))


def test_the_command(capsys, tmp_path):
    assert main(["score-method", "data_mixing_law", "--folds", "4"]) == 0
    said = capsys.readouterr().out
    assert "64 mixtures of 7 domains, each under 3 seeds" in said and "one run of the mixture" in said
    assert main(["score-method", "olmix", "--set", "divergence"]) == 2
    assert "--set: 'divergence' is not KEY=VALUE" in capsys.readouterr().err
    assert main(["score-method", "olmix", "--target", "code"]) == 2
    assert "belong together" in capsys.readouterr().err
    swarm = planted(noise=0.01)
    for name, header, table in (
        ("w.csv", DOMAINS, swarm.mixtures),
        ("y.csv", ("loss",), swarm.losses[0].mean(axis=1)[:, None]),
    ):
        with open(tmp_path / name, "w", newline="") as handle:
            numbered = ([i, *row] for i, row in enumerate(table.tolist()))
            csv.writer(handle).writerows([("run", *header), *numbered])
    files = ["--mixtures", str(tmp_path / "w.csv"), "--losses", str(tmp_path / "y.csv"), "--target", "loss"]
    assert main(["score-method", "data_mixing_law", *files]) == 0
    said = capsys.readouterr().out
    assert "60 mixtures of 3 domains, each trained once; loss 'loss'" in said
    assert float(said.splitlines()[3].split()[1]) > 0.8
