"""ODM: the published updates to the digit, what a bandit must do, and the rounding to whole blocks."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_gradients import BATCH, dealt

from chameleon.core.errors import UserError
from chameleon.data.sampler import allocate
from chameleon.methods.reweighting.odm import RULES, Bandit, exploration
from chameleon.methods.reweighting.segments import Owed
from chameleon.mixing import registry
from chameleon.mixing.method import Observer
from chameleon.mixing.types import MethodInputs, TrainingState

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "odm_update.json").read_text())
FOUR = ("books", "code", "papers", "web")
both_rules = pytest.mark.parametrize("rule", RULES)


def parameters(**changed):
    return registry.parameters("odm", changed, "here")


def inputs(domains, params, total=1000, **more):
    return MethodInputs(tuple(domains), dict.fromkeys(domains, 10**6), params, 0, total, **more)


def play(domains, losses, params, total=1000, cut=(), **more):
    """Play a run whose losses do not change; returns (segments, blocks drawn by domain).

    `cut`: segments before which the controller is made anew and restored.
    """
    method = registry.get("odm")
    given = inputs(domains, params, total, **more)
    controller = method.controller(given)
    segments, drawn, realised, step = [], dict.fromkeys(domains, 0), {}, 0
    while step < total:
        if len(segments) in cut:
            kept = copy.deepcopy(controller.state())
            controller = method.controller(given)
            controller.restore(kept)
        state = TrainingState(step, total, tuple(domains), dict, realised)
        length, weights = controller.next_segment(state)
        realised, batches = dealt(length, weights, domains, total - step)
        for batch in batches:
            step += 1
            controller.observe(step, {d: losses[d] for d in set(batch)})
        for d, n in realised.items():
            drawn[d] += n
        segments.append((length, weights))
    return segments, drawn


@both_rules
def test_recorded_reference_updates(rule):
    case = GOLDEN["cases"][rule]
    bandit = Bandit(dict(zip("abcd", case["init"], strict=True)), rule, 0.9, 10.0)
    for step in case["steps"]:
        bandit.hear(step["iteration"], dict(zip(step["datasets"], step["rewards"], strict=True)))
        assert (bandit.floor, bandit.floor_before) == pytest.approx(
            (step["eps"], step["prev_eps"]), rel=1e-12
        )
        assert bandit.update() == pytest.approx(np.array(step["probabilities"]), rel=1e-12)
    assert len(case["steps"]) == 6 and max(bandit.shares) > 0.28


@both_rules
def test_a_domain_of_higher_loss_is_drawn_more(rule):
    losses = dict(zip(FOUR, (2.0, 3.0, 2.5, 4.0), strict=True))
    segments, drawn = play(FOUR, losses, parameters(rule=rule))
    assert [length for length, _ in segments[:3]] == [25, 5, 5] and sum(s for s, _ in segments) == 1000
    assert set(segments[0][1].values()) == {0.25}
    assert sorted(FOUR, key=drawn.get) == sorted(FOUR, key=losses.get)
    assert drawn["web"] > 1.5 * drawn["books"]


def test_the_smoothed_mean_settles_where_the_losses_say():
    losses = dict(zip(FOUR, (2.0, 3.0, 2.5, 4.0), strict=True))
    bandit = Bandit(dict.fromkeys(FOUR, 0.25), "smoothed_mean", 0.9, 10.0)
    for step in range(1, 301):
        bandit.hear(step, losses)
    merit = np.exp([losses[d] for d in bandit.names])
    floor = exploration(4, 300)
    expected = (1 - 4 * floor) * merit / merit.sum() + floor
    assert bandit.update() == pytest.approx(expected, rel=1e-9)
    # What is played is that mixture, although five steps are only 40 blocks: the last 20 segments together.
    segments, _ = play(FOUR, losses, parameters(), total=2000)
    late = sum(np.array([w[d] for d in bandit.names]) for _, w in segments[-20:]) / 20
    for step in range(301, 2001):
        bandit.hear(step, losses)
    assert late == pytest.approx(bandit.update(), abs=0.004)


@both_rules
def test_uniform_until_k_ln_k(rule):
    losses = dict(zip(FOUR, (2.0, 3.0, 2.5, 4.0), strict=True))
    segments, _ = play(FOUR, losses, parameters(rule=rule, update_steps=1, warmup_steps=0), total=12)
    said = registry.get("odm").weights(inputs(FOUR, parameters(), 12)).diagnostics
    assert said == {"warmup_steps": 0, "updates": 2, "uniform_until_step": 6}
    assert all(list(w.values()) == pytest.approx([0.25] * 4) for _, w in segments[:6])
    assert max(segments[-1][1].values()) > 0.3


def test_a_small_share_is_drawn_now_and_then():
    owed, names = Owed(("big", "small")), ("big", "small")
    shares, drawn = np.array([0.99, 0.01]), dict.fromkeys(names, 0)
    for _ in range(100):
        realised = allocate(owed.asked(shares, 40), 40)
        owed.settle(shares, realised)
        for d, n in realised.items():
            drawn[d] += n
    assert drawn == {"big": 3960, "small": 40}
    assert allocate({"big": 0.99, "small": 0.01}, 40)["small"] == 0, "without it: never"
    owed.settle(np.array([0.0, 1.0]), {"big": 40, "small": 0})
    assert list(owed.blocks) == [-1, 1], "what a cap on epochs took is not asked for again"
    owed.blocks[:] = -1
    assert owed.asked(shares, 1) == pytest.approx({"big": 0.99, "small": 0.01}), "all had more than enough"


@both_rules
def test_the_order_of_domains_plays_no_part(rule):
    losses = dict(zip(FOUR, (2.0, 3.0, 2.5, 4.0), strict=True))
    one, other = (play(order, losses, parameters(rule=rule)) for order in (FOUR, FOUR[::-1]))
    assert one == other


@both_rules
@pytest.mark.parametrize("total", [1, 3, 77])
def test_one_domain(rule, total):
    segments, drawn = play(("only",), {"only": 3.0}, parameters(rule=rule), total=total)
    assert all(w == {"only": 1.0} for _, w in segments) and drawn == {"only": total * BATCH}


@both_rules
def test_made_anew_and_restored(rule):
    losses = dict(zip(FOUR, (2.0, 3.0, 2.5, 4.0), strict=True))
    params = parameters(rule=rule)
    assert play(FOUR, losses, params, cut=range(1, 200, 3)) == play(FOUR, losses, params)
    assert isinstance(registry.get("odm").controller(inputs(FOUR, params)), Observer)


def test_nothing_heard_leaves_the_start():
    bandit = Bandit({"a": 0.7, "b": 0.3}, "smoothed_mean", 0.9, 10.0)
    assert list(bandit.update()) == [0.7, 0.3]


def test_large_rewards_do_not_overflow():
    bandit = Bandit({"a": 0.5, "b": 0.5}, "exp3", 0.9, 10.0)
    for step in range(1, 2001):
        bandit.hear(step, {"a": 300.0, "b": 3.0})
        assert np.isfinite(bandit.update()).all()
    assert bandit.shares[0] > 0.95


def test_a_prior_is_where_the_run_starts():
    params = parameters(prior="natural")
    method = registry.get("odm")
    assert method.uses(params) == ["natural"] and method.uses(parameters()) == []
    mixture = dict(zip(FOUR, (0.4, 0.3, 0.2, 0.1), strict=True))
    given = inputs(FOUR, params, others={"natural": mixture})
    assert method.weights(given).schedule.stages[0].weights == mixture
    segments, _ = play(FOUR, dict.fromkeys(FOUR, 3.0), params, others={"natural": mixture})
    assert segments[0][1] == pytest.approx(mixture)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rule": "ucb"}, "odm.rule: 'ucb' is not one of smoothed_mean, exp3"),
        ({"smoothing": 1}, "odm.smoothing: 1 is not a number of at least 0 and below 1"),
        ({"reward_scale": 0}, "odm.reward_scale: 0 is not a number above 0"),
        ({"update_steps": 0}, "odm.update_steps: 0 is not a whole number of at least 1"),
        ({"warmup_steps": 0.02}, "odm.warmup_steps: 0.02 is not a whole number of at least 0, or null"),
        ({"prior": 3}, "odm.prior: 3 is not the label of a method, or null"),
    ],
)
def test_bad_parameters(changed, words):
    with pytest.raises(UserError, match=words):
        registry.get("odm").check(parameters(**changed), FOUR, {})
    registry.get("odm").check(parameters(), ("a",), {})
