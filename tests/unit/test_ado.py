"""ADO: laws found again that were planted, both published policies step by step, and a run's bookkeeping."""

import copy
import math

import numpy as np
import pytest

from chameleon.core.errors import UserError
from chameleon.data.sampler import allocate
from chameleon.methods.reweighting import scaling_law
from chameleon.methods.reweighting.ado import VARIANTS, Policy, Settings
from chameleon.methods.reweighting.scaling_law import FEWEST, Fit, fitted, misfit, smoothed
from chameleon.mixing import registry
from chameleon.mixing.method import Observer
from chameleon.mixing.types import MethodInputs, TrainingState

THREE = ("code", "papers", "web")
BATCH = 8
#: a, ε and α of the planted laws.
LAWS = {"code": (2.0, 0.8, 0.45), "papers": (2.2, 1.0, 0.2), "web": (0.5, 1.2, 0.1)}
FITS = {
    "authors": Fit(window=31, ignore=30, sample=6, mean=False, penalty=1.0),
    "mixtera": Fit(window=31, ignore=30, sample=6, mean=True, penalty=1e3),
}
both_variants = pytest.mark.parametrize("variant", VARIANTS)


def law(domain, n):
    a, floor, alpha = LAWS[domain]
    return math.exp(floor) + math.exp(a) * n**-alpha


@pytest.fixture
def few_searches(monkeypatch):
    """How well laws are found is tested on its own; where runs are played, it may be quick."""
    monkeypatch.setattr(scaling_law, "FOLLOWED", 1)


def parameters(**changed):
    return registry.parameters("ado", changed, "here")


def inputs(domains, params, total=300, **more):
    counts = {d: 1000 * (i + 1) for i, d in enumerate(sorted(domains))}
    return MethodInputs(tuple(domains), counts, params, 0, total, **more)


def play(domains, params, total=300, cut=(), noise=0.02):
    """Play a run in which every block of any domain lowers all losses, by the laws.

    `cut`: segments before which the controller is made anew and restored.
    """
    method = registry.get("ado")
    given = inputs(domains, params, total)
    controller = method.controller(given)
    noisy = {d: np.random.default_rng(len(d)).normal(size=total) * noise for d in domains}
    segments, realised, step = [], {}, 0
    while step < total:
        if len(segments) in cut:
            kept = copy.deepcopy(controller.state())
            controller = method.controller(given)
            controller.restore(kept)
        length, weights = controller.next_segment(TrainingState(step, total, tuple(domains), dict, realised))
        assert isinstance(length, int) and 1 <= length <= total - step, "never more than what is left"
        assert set(weights) == set(domains) and abs(sum(weights.values()) - 1) < 1e-12
        assert all(type(w) is float and w >= 0 for w in weights.values())
        realised = allocate(weights, length * BATCH)
        for _ in range(length):
            step += 1
            controller.observe(
                step, {d: law(d, BATCH * step) + noisy[d][step - 1] for d in domains if realised[d]}
            )
        segments.append((length, weights))
    return segments, controller


@pytest.mark.parametrize(("variant", "domain"), [("authors", d) for d in THREE] + [("mixtera", "code")])
def test_a_planted_law_is_found(variant, domain):
    losses = np.array([law(domain, BATCH * t) for t in range(1, 301)])
    a, floor, alpha = fitted(losses, BATCH, FITS[variant])
    assert (a, floor, alpha) == pytest.approx(LAWS[domain], abs=0.05)
    # What is asked of it: how fast the loss falls now.
    wanted, last = LAWS[domain], BATCH * 300
    slope = alpha * math.exp(a - alpha * math.log(last))
    assert slope == pytest.approx(wanted[2] * math.exp(wanted[0] - wanted[2] * math.log(last)), rel=0.02)


@both_variants
def test_the_slope_of_the_misfit_is_its_derivative(variant):
    rng, fit = np.random.default_rng(0), FITS[variant]
    log_n = np.log(BATCH * np.arange(31, 301, 6))
    log_loss = np.log([law("code", n) for n in np.exp(log_n)]) + 0.01 * rng.normal(size=len(log_n))
    points = np.array([[2.0, 0.8, 0.45], [7.0, 0.2, 0.3], [1.0, 1.0, 0.9], [1.0, 1.0, -0.1]])
    values, slopes = misfit(points, log_n, log_loss, fit)
    for j in range(3):
        bit = np.zeros(3)
        bit[j] = 1e-7
        up, down = (misfit(points + sign * bit, log_n, log_loss, fit)[0] for sign in (1, -1))
        assert (up - down) / 2e-7 == pytest.approx(slopes[:, j], rel=1e-4, abs=1e-6)
    assert values.shape == (4,) and slopes.shape == (4, 3)


def test_too_few_losses_fit_no_law():
    fit = FITS["authors"]
    losses = np.array([law("code", BATCH * t) for t in range(1, 301)])
    enough = fit.ignore + fit.sample * (FEWEST - 1) + 1
    assert (
        fitted(losses[: enough - 1], BATCH, fit) is None and fitted(losses[:enough], BATCH, fit) is not None
    )
    assert list(smoothed(np.arange(3.0), 31)) == [0, 1, 2]
    assert smoothed(np.arange(6.0) ** 3, 31) == pytest.approx(np.arange(6.0) ** 3), "cubics pass the filter"


@both_variants
def test_the_policy_step_by_step(variant):
    """Against the formulas in plain loops: one step a segment, as both codes have it."""
    own = Settings(variant, FITS[variant], start=10, refit=10, every=1, least=0.2, policy_rate=0.1,
                   history_rate=0.1)  # fmt: skip
    prior = {"a": 0.5, "b": 0.3, "c": 0.2}
    laws = np.array([[2.0, 0.8, 0.5], [2.0, 1.0, 0.02], [1.0, 1.2, 0.3]])
    policy = Policy(prior, own)
    mu = list(prior.values())
    average, history = list(mu), list(mu)
    rng = np.random.default_rng(0)
    for step in range(10, 20):
        n, drawn = BATCH * step, rng.dirichlet(np.ones(3))
        if variant == "authors":
            policy.drawn(drawn, 1)
            history = [0.9 * h + 0.1 * d for h, d in zip(history, drawn, strict=True)]
        falls = []
        for a, _, alpha in laws:
            exponent = max(alpha, 0.05) if variant == "authors" else alpha
            falls.append(exponent * math.exp(a) * n**-alpha / n)
        rho = [m * math.sqrt(h) * f for m, h, f in zip(mu, history, falls, strict=True)]
        rho = [x / sum(rho) for x in rho]
        if variant == "authors":
            rho = [max(x, 0.2) for x in rho]
            rho = [x / sum(rho) for x in rho]
        played = [0.9 * x + 0.1 * y for x, y in zip(average, rho, strict=True)]
        if variant == "mixtera":
            played = [max(x, 0.2) for x in played]
            played = [x / sum(played) for x in played]
            history = [0.9 * h + 0.1 * p for h, p in zip(history, played, strict=True)]
        average = [(1 - 1 / (step + 1)) * x + y / (step + 1) for x, y in zip(average, rho, strict=True)]
        assert policy.update(laws, step, n, 1) == pytest.approx(played, rel=1e-12), f"step {step}"
        assert policy.average == pytest.approx(average, rel=1e-12)
        assert policy.history == pytest.approx(history, rel=1e-12)
    assert min(rho) < 0.25 and played != pytest.approx(mu, abs=0.01), "floor and slopes were at work"


def test_steps_at_once_are_steps_one_by_one():
    """Of the mean and the history, where neither slopes nor what is drawn change."""
    own = Settings("authors", FITS["authors"], 10, 10, 5, 0.0, 0.1, 0.1)
    flat = np.array([[2.0, 0.8, 0.3]] * 2)
    one, other = (Policy({"a": 0.9, "b": 0.1}, own) for _ in range(2))
    drawn = np.array([0.4, 0.6])
    one.drawn(drawn, 5)
    for _ in range(5):
        other.drawn(drawn, 1)
    assert one.history == pytest.approx(other.history, rel=1e-12)
    one.update(flat, 20, 160, 5)
    for step in range(20, 25):
        other.update(flat, step, BATCH * step, 1)
    assert one.average == pytest.approx(other.average, rel=1e-12)


@both_variants
def test_a_domain_that_still_falls_is_drawn_more(variant, few_searches):
    params = parameters(variant=variant, prior="even", least_share=0.05)
    method = registry.get("ado")
    even = dict.fromkeys(THREE, 1 / 3)
    assert method.uses(params) == ["even"]
    given = inputs(THREE, params, others={"even": even})
    assert method.weights(given).schedule.stages[0].weights == pytest.approx(even)
    segments, controller = play(THREE, parameters(variant=variant, least_share=0.05, refit_steps=90))
    assert segments[0][0] == 120 and {length for length, _ in segments[1:]} == {5}
    assert segments[0][1] == pytest.approx({"code": 1 / 6, "papers": 2 / 6, "web": 3 / 6})
    falls = {d: LAWS[d][2] * (law(d, 2400) - math.exp(LAWS[d][1])) for d in THREE}
    assert falls["papers"] > falls["code"] > falls["web"]
    moved = controller.policy.average / controller.policy.prior
    assert moved[1] > 1 > moved[2], "papers still falls, web hardly does"
    assert sum(s for s, _ in segments) == 300 and controller.laws.shape == (3, 3)


def test_the_order_of_domains_plays_no_part(few_searches):
    params = parameters(refit_steps=25)
    one, other = play(THREE, params, total=75), play(THREE[::-1], params, total=75)
    assert one[1].fitted_at == 57
    assert one[0] == other[0]


@pytest.mark.parametrize("total", [1, 12, 60])
def test_one_domain(total, few_searches):
    segments, _ = play(("web",), parameters(refit_steps=20), total=total)
    assert all(w == {"web": 1.0} for _, w in segments) and sum(s for s, _ in segments) == total


@both_variants
def test_made_anew_and_restored(variant, few_searches):
    params = parameters(variant=variant, refit_steps=25)
    cut, _ = play(THREE[1:], params, total=75, cut=range(1, 50))
    assert cut == play(THREE[1:], params, total=75)[0] and len(cut) > 5
    assert isinstance(registry.get("ado").controller(inputs(THREE, params)), Observer)


def test_a_domain_absent_from_a_batch_keeps_its_last_loss():
    controller = registry.get("ado").controller(inputs(THREE, parameters()))
    for step, losses in enumerate([{"web": 4.0, "code": 2.0}, {"papers": 5.0}, {"web": 3.0}], 1):
        controller.observe(step, losses)
    assert np.array(controller.losses.rows).tolist() == [[2, 3, 4], [2, 5, 4], [2, 5, 3]]


def test_nothing_observed_plays_the_prior():
    controller = registry.get("ado").controller(inputs(THREE, parameters()))
    step, realised = 0, {}
    while step < 300:
        length, weights = controller.next_segment(TrainingState(step, 300, THREE, dict, realised))
        assert weights == pytest.approx({"code": 1 / 6, "papers": 2 / 6, "web": 3 / 6}, abs=0.05)
        realised = allocate(weights, length * BATCH)
        step += length


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (60_000, (101, 1000, 1000, 10, 2000)),
        (10_000, (101, 1000, 1000, 10, 2000)),
        (5000, (101, 500, 500, 10, 1000)),
        (500, (49, 50, 50, 10, 100)),
        (12, (5, 1, 1, 1, 5)),
    ],
)
def test_what_null_stands_for_is_said(total, expected):
    said = registry.get("ado").weights(inputs(THREE, parameters(), total)).diagnostics
    own = said["settings"]
    used = (own["fit"]["window"], own["fit"]["ignore"], own["refit"], own["fit"]["sample"], own["start"])
    assert used == expected
    others = said["not_as_published"]
    assert others.get("window") == (None if used[0] == 101 else [101, used[0]])
    assert others.get("start_steps") == (None if used[4] == 1000 else [1000, used[4]])
    given = parameters(window=7, ignore_steps=3, start_steps=9, refit_steps=4, sample_steps=2)
    own = registry.get("ado").weights(inputs(THREE, given, total)).diagnostics["settings"]
    assert (own["fit"]["window"], own["fit"]["ignore"], own["refit"], own["start"]) == (7, 3, 4, 9)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"variant": "paper"}, "ado.variant: 'paper' is not one of authors, mixtera"),
        ({"least_share": 0.4}, "ado.least_share: 0.4 is not a number of at least 0 and at most 0.333333"),
        ({"policy_rate": 0}, "ado.policy_rate: 0 is not a number above 0 and at most 1"),
        ({"history_rate": 2}, "ado.history_rate: 2 is not a number above 0 and at most 1"),
        ({"update_steps": 0}, "ado.update_steps: 0 is not a whole number of at least 1"),
        ({"window": 3}, "ado.window: 3 is not a whole number of at least 5, or null"),
        ({"window": 100}, "ado.window: 100 is not an odd number"),
        ({"start_steps": 0}, "ado.start_steps: 0 is not a whole number of at least 1, or null"),
        ({"refit_steps": 0.1}, "ado.refit_steps: 0.1 is not a whole number of at least 1, or null"),
        ({"prior": ""}, "ado.prior: '' is not the label of a method, or null"),
    ],
)
def test_bad_parameters(changed, words):
    with pytest.raises(UserError, match=words):
        registry.get("ado").check(parameters(**changed), THREE, {})
    registry.get("ado").check(parameters(), ("a",), {})
