"""DUET: the search on planted losses, its draws, what small weights become; merged proxies; bad input."""

import json

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods import feedback
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult

SETTINGS = {"initial": 8, "iterations": 10, "beta": 1.0, "least": 0.05, "candidates": 2000}
DOMAINS = ("wiki", "books", "code")


def planted(seed, k=7):
    """Return a convex loss with its minimum inside the simplex."""
    rng = np.random.default_rng(100 + seed)
    best, curves = rng.dirichlet(np.full(k, 2.0)), rng.uniform(0.5, 2, k)
    return lambda p: float(3 + curves @ (p - best) ** 2)


def search(measure, seed=0, k=7, **settings):
    return feedback.search(measure, k, **SETTINGS | settings, draw=np.random.default_rng(seed))


def test_it_does_better_than_as_many_random_mixtures():
    better, left = 0, []
    for seed in range(10):
        loss = planted(seed)
        x, y = search(loss, seed)
        assert len(x) == len(y) == 19 and (x[0] == 1 / 7).all()
        random = np.random.default_rng(50 + seed).dirichlet(np.ones(7), len(x))
        better += y.min() < min(map(loss, random))
        left.append((y.min() - 3) / (y[:9].min() - 3))
    assert better >= 9
    assert np.mean(left) < 0.5, "the proposals halve what the random mixtures leave"


def test_the_same_seed_the_same_search_and_another_another():
    loss = planted(0)
    x, y = search(loss, 3)
    again, other = search(loss, 3), search(loss, 4)
    assert x.tobytes() == again[0].tobytes() and y.tobytes() == again[1].tobytes()
    assert (x[1:] != other[0][1:]).any()


@pytest.mark.parametrize("k", [2, 3, 7, 40])
def test_small_weights_are_zero_and_the_rest_sums_to_one(k):
    x, _ = search(planted(1, k), k=k, iterations=3)
    assert np.allclose(x.sum(axis=1), 1, atol=1e-12)
    assert ((x[1:] == 0) | (x[1:] >= min(0.05, 1 / k))).all() and (x[1:] > 0).any(axis=1).all()


def test_none_is_measured_twice_and_it_ends_where_none_is_left():
    x, _ = search(planted(2), iterations=6)
    assert len({row.tobytes() for row in x}) == len(x)
    # All weights below a half are zero: of two domains, each alone or both alike.
    x, y = search(planted(2, 2), k=2, least=0.5, initial=2, iterations=20, candidates=100)
    assert len(x) < 23 and len(y) == len(x)


def test_the_process_passes_through_what_it_saw_and_is_unsure_elsewhere():
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(4), 15)
    y = ((x - 0.25) ** 2).sum(axis=1)
    mean, deviation = feedback.posterior(x, y, np.concatenate([x, np.eye(4)]), 0)
    assert mean[:15] * y.std() + y.mean() == pytest.approx(y, abs=1e-4)
    assert deviation[:15].max() < 0.01 < deviation[15:].min()


def test_equal_losses_are_no_error():
    x, y = search(lambda p: 2.0, iterations=2)
    assert int(y.argmin()) == 0, "uniform was first"


class FakeExperts:
    """Merged models that are their mixtures."""

    def __init__(self, folders):
        self.folders = folders

    def merged(self, p):
        return np.array(p)


def solve(monkeypatch, tmp_path, **given):
    """Run the method on losses of its own making; return weights, diagnostics, and what was asked for."""
    from chameleon.methods import merging

    monkeypatch.setattr(merging, "Experts", FakeExperts)
    params = registry.parameters("duet", {"candidates": 500, **given}, "here")
    registry.get("duet").check(params, DOMAINS, {})
    runs = {
        f"expert_{d}": RunResult({e: 0.6 * (d == e) + 0.4 / 3 for e in DOMAINS}, {}, tmp_path, moved=0.1)
        for d in DOMAINS
    }
    asked = []

    def losses(p, domains=None):
        asked.append(domains)
        names = sorted(DOMAINS)
        return {
            d: 3 - 0.5 * float(p[names.index(d)] ** 0.5) for d in names if domains is None or d in domains
        }

    inputs = MethodInputs(
        DOMAINS, dict.fromkeys(DOMAINS, 9), params, 5, 10, read={"demix": runs}, validation_losses=losses
    )
    result = registry.get("duet").weights(inputs)
    assert json.loads(json.dumps(result.diagnostics)) == result.diagnostics
    return result.schedule.stages[0].weights, result.diagnostics, asked


def test_the_answer_is_the_best_that_was_measured(monkeypatch, tmp_path):
    weights, said, asked = solve(monkeypatch, tmp_path)
    assert said["proxies"] == len(asked) == 19 and set(asked) == {None}
    assert said["loss"][said["found_at"]] == said["best_merged_loss"] == min(said["loss"])
    assert said["delta"] == dict.fromkeys(DOMAINS, 0.1)
    # Σ √p is largest where all are alike.
    assert weights == pytest.approx(dict.fromkeys(DOMAINS, 1 / 3), abs=0.1)


def test_of_one_domains_text_only_that_is_read(monkeypatch, tmp_path):
    weights, _, asked = solve(monkeypatch, tmp_path, target="code")
    assert asked == [["code"]] * 19
    assert weights["code"] > 0.9


def test_the_plan_knows_the_passes():
    assert registry.get("duet").validation_passes(registry.parameters("duet", {}, "here"), ["a", "b"]) == 19


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"experts": 3}, "method duet: experts: 3"),
        ({"target": "poems"}, "method duet: target: 'poems' is not one of mean, a, b"),
        ({"initial": 0}, "method duet: initial: 0"),
        ({"iterations": 1.5}, "method duet: iterations: 1.5"),
        ({"beta": -1}, "method duet: beta: -1"),
        ({"least": 1}, "method duet: least: 1"),
        ({"candidates": 3}, "method duet: candidates: 3"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(UserError, match=message):
        registry.get("duet").check(registry.parameters("duet", params, "here"), ("a", "b"), {})
