"""Skill-It: recorded reference updates, whole runs with made-up losses, rounds, bad input."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.methods.reweighting import skill_it
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, RunResult, TrainingState

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "skill_it_update.json").read_text())
DOMAINS = ("wiki", "books", "code", "web")
START = np.array([8.0, 9.0, 7.0, 8.5])


def parameters(**changed):
    return registry.parameters("skill_it", changed, "here")


def experts(losses, domains):
    return {
        f"only_{d}": RunResult(
            {e: float(e == d) for e in domains}, dict(zip(domains, map(float, row), strict=True)), None
        )
        for d, row in zip(domains, losses, strict=True)
    }


def inputs(losses, domains=DOMAINS, total=600, start=None, **changed):
    read = {"single_domain": experts(losses, domains)}
    counts = dict.fromkeys(domains, 10**6)
    return MethodInputs(tuple(domains), counts, parameters(**changed), 0, total, read=read, start=start)


def first_mixture(given):
    result = registry.get("skill_it").weights(given)
    (stage,) = result.schedule.stages
    assert json.loads(json.dumps(result.diagnostics)) == result.diagnostics
    return stage.weights, result.diagnostics


def play(given, measured, start=True, cut_after=None):
    """Play a run whose n-th validation pass answers measured(n), an array; return segments and controller.

    After `cut_after` segments the run goes on with a new controller that is told the old one's state.
    """
    method, domains, total = registry.get("skill_it"), given.domains, given.total_steps
    if start:
        given = MethodInputs(**{**vars(given), "start": first_mixture(given)[0]})
    controller, step, passes, segments = method.controller(given), 0, [], []

    def measure():
        passes.append(step)
        return dict(zip(domains, measured(len(passes) - 1).tolist(), strict=True))

    while step < total:
        if cut_after == len(segments):
            state = json.loads(json.dumps(controller.state()))
            controller = method.controller(given)
            controller.restore(copy.deepcopy(state))
        realised = dict.fromkeys(domains, 1) if step else {}
        length, weights = controller.next_segment(TrainingState(step, total, domains, measure, realised))
        assert isinstance(length, int) and 1 <= length <= total - step, "never more than what is left"
        assert tuple(weights) == domains and abs(sum(weights.values()) - 1) < 1e-12
        segments.append((step, length, weights))
        step += length
    controller.passes = passes
    return segments, controller


def falling(number):
    return START * 0.8**number


def helpful(domains=DOMAINS, helper="books", noise="web"):
    """Return experts' losses: each lowers its own loss, one all of them, one none."""
    losses = np.tile(START, (4, 1)) - 1.0 * np.eye(4)
    losses[domains.index(helper)] -= 3
    losses[domains.index(noise)] = START
    return losses


def test_recorded_reference_updates():
    graph = np.array(GOLDEN["graph"])
    for state in GOLDEN["states"]:
        found = skill_it.mixture(graph, [np.array(x) for x in state["window"]], GOLDEN["eta"])
        assert found == pytest.approx(state["proportions"], rel=1e-12)


def test_the_controller_makes_the_recorded_updates():
    """The same numbers through the controller: graph from experts and step 0, the window from the losses."""
    domains, start = ("a", "b", "c"), np.array([4.0, 5.0, 6.0])
    given = inputs(start * (1 - np.array(GOLDEN["graph"])), domains, total=53, update_steps=10)
    history = [start, *map(np.array, GOLDEN["losses"])]
    segments, controller = play(given, lambda n: history[n])
    assert [(s, n) for s, n, _ in segments] == [(0, 10), (10, 10), (20, 10), (30, 10), (40, 13)]
    assert controller.graph == pytest.approx(np.array(GOLDEN["graph"]), rel=1e-12)
    for (_, _, weights), state in zip(segments[1:], GOLDEN["states"][1:], strict=True):
        assert list(weights.values()) == pytest.approx(state["proportions"], rel=1e-12)
    assert len(controller.history) == 4 and controller.passes == [0, 10, 20, 30, 40]


def test_the_graph_is_a_relative_drop():
    start = np.array([4.0, 2.0])
    losses = np.array([[1.0, 3.0], [0.0, 0.0]])
    assert skill_it.skills_graph(losses, start).tolist() == [[0.75, -0.5], [0.5, 1.0]], "one becomes a half"
    with pytest.raises(ValueError, match="must be positive"):
        skill_it.skills_graph(losses, np.array([4.0, 0.0]))


def test_the_run_starts_where_weights_says():
    given = inputs(helpful(), eta=0.5)
    start, found = first_mixture(given)
    graph = skill_it.skills_graph(helpful(), helpful().max(axis=0))
    logits = np.exp(0.5 * graph.sum(axis=1))
    assert list(start.values()) == pytest.approx(logits / logits.sum(), rel=1e-12)
    assert found["graph"]["books"] == pytest.approx(dict(zip(DOMAINS, graph[1], strict=True)))
    assert found["rounds"] == [100] * 6 and found["validation_passes"] == 6
    segments, controller = play(given, falling)
    assert segments[0] == (0, 100, start) and len(controller.passes) == found["validation_passes"]
    assert controller.graph == pytest.approx(
        skill_it.skills_graph(helpful(), START)[np.ix_(*[np.argsort(DOMAINS)] * 2)]
    ), "step 0 is what drops are relative to"
    assert play(given, falling, start=False)[0] == segments, "a controller without a start finds it"
    other = dict(zip(DOMAINS, (0.1, 0.2, 0.3, 0.4), strict=True))
    assert play(inputs(helpful(), start=other), falling, start=False)[0][0][2] == other


def test_the_domain_that_helps_has_most_and_noise_least():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        losses = helpful() + 0.05 * rng.normal(size=(4, 4))
        segments, _ = play(inputs(losses), lambda n: falling(n) + 0.05 * rng.normal(size=4))  # noqa: B023
        for _, _, weights in segments:
            assert max(weights, key=weights.get) == "books" and min(weights, key=weights.get) == "web"
        assert segments[3][2]["books"] > 0.6 > segments[0][2]["books"]


def test_weights_follow_the_losses_that_are_still_high():
    losses = np.tile(START, (4, 1)) - 2 * np.eye(4)
    segments, _ = play(inputs(losses, window=1), lambda n: np.array([8, 9, 7, 8.5]) if n < 2 else
                       np.array([1.0, 1.0, 9.0, 1.0]))  # fmt: skip
    assert segments[1][2]["code"] == pytest.approx(0.25), "equal drops of equal parts"
    assert max(segments[2][2], key=segments[2][2].get) == "code"
    longer, _ = play(inputs(losses, window=3), lambda n: falling(n))
    assert longer[3][2] != segments[3][2]
    flat, _ = play(inputs(np.tile(START, (4, 1))), falling)
    assert all(w == dict.fromkeys(DOMAINS, 0.25) for _, _, w in flat), "no drops, nothing learnt"


def test_the_order_of_domains_plays_no_part():
    rng, order = np.random.default_rng(0), [2, 0, 3, 1]
    losses = rng.uniform(2, 8, (4, 4))
    measured = rng.uniform(2, 9, (6, 4))
    one, _ = play(inputs(losses), lambda n: measured[n])
    moved = inputs(losses[np.ix_(order, order)], [DOMAINS[i] for i in order])
    other, _ = play(moved, lambda n: measured[n][order])
    assert other == one


@pytest.mark.parametrize("cut_after", range(6))
def test_a_run_that_was_cut_off_goes_on_alike(cut_after):
    measured = np.random.default_rng(1).uniform(2, 9, (6, 4))
    whole, _ = play(inputs(helpful()), lambda n: measured[n])
    cut, controller = play(inputs(helpful()), lambda n: measured[n], cut_after=cut_after)
    assert cut == whole and len(controller.passes) == 6, "and measures nothing twice"


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("total", [1, 5, 12, 100, 399])
@pytest.mark.parametrize("changed", [{}, {"update_steps": 1}, {"update_steps": 70}, {"window": 1}])
def test_every_step_is_accounted_for(k, total, changed):
    domains = DOMAINS[:k]
    given = inputs(helpful()[:k, :k], domains, total, **changed)
    _, found = first_mixture(given)
    segments, controller = play(given, lambda n: falling(0)[:k])
    assert sum(length for _, length, _ in segments) == total == sum(found.get("rounds", [total]))
    assert len(controller.passes) == found.get("validation_passes", 0)
    assert found.get("rounds", [total]) == [length for _, length, _ in segments]
    if k == 1:
        assert segments == [(0, total, {"wiki": 1.0})] and not controller.passes


def test_rounds_of_the_default_run():
    assert skill_it.round_lengths(5000, 3, None) == [500] * 10
    assert skill_it.round_lengths(40_000, 7, None) == [400] * 100
    assert skill_it.round_lengths(1000, 7, None) == [166] * 5 + [170]
    assert skill_it.round_lengths(3, 7, None) == [1, 1, 1]
    assert skill_it.round_lengths(100, 7, 400) == [100], "no update, and nothing to measure"


def test_one_domain_needs_no_run():
    given = MethodInputs(("a",), {"a": 5}, parameters(), 0, 10, read={"single_domain": {}})
    assert first_mixture(given) == ({"a": 1.0}, {})
    assert play(given, lambda n: np.array([1.0]))[0] == [(0, 10, {"a": 1.0})]


def test_experts_of_another_label():
    method = registry.get("skill_it")
    assert method.online and method.reads(parameters(experts="mine")) == ["mine"]
    given = inputs(helpful())
    del given.read["single_domain"]["only_code"]
    with pytest.raises(UserError, match="method skill_it: experts: 'single_domain' has no run on code alone"):
        method.weights(given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"experts": None}, "skill_it.experts: None is not the label of a method"),
        ({"eta": 0}, "skill_it.eta: 0 is not a number above 0"),
        ({"window": 0}, "skill_it.window: 0 is not a whole number of at least 1"),
        ({"window": 2.5}, "skill_it.window: 2.5 is not a whole number"),
        ({"update_steps": True}, "skill_it.update_steps: True is not a whole number of at least 1, or null"),
    ],
)
def test_bad_parameters(changed, words):
    with pytest.raises(UserError, match=words):
        registry.get("skill_it").check(parameters(**changed), DOMAINS, {})
