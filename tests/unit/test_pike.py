"""PiKE: estimates without bias, the update in closed form, and a run's bookkeeping."""

import math

import numpy as np
import pytest
from synthetic_gradients import BATCH, inputs, play, take
from synthetic_gradients import fed as made_fed

from chameleon.core.errors import UserError
from chameleon.methods.gradients.pike import estimates, exponent
from chameleon.mixing import registry
from chameleon.mixing.method import Objective, Observer
from chameleon.mixing.types import TrainingState

THREE = ("code", "papers", "web")
WIDTH = 64


def drawn(means, deviations, seed=0):
    """Return a function that draws a block's gradient, of norm `means` and variance `deviations` squared."""
    rng = np.random.default_rng(seed)

    def gradient(domain, step):
        noise = deviations[domain] * rng.normal(size=WIDTH)
        return (means[domain] + noise) / math.sqrt(WIDTH)

    return gradient


def fed(domains=THREE, **changed):
    return made_fed(registry.get("pike").controller(inputs("pike", domains, **changed)))


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 1), (2, 2), (5, 4)])
def test_the_estimates_have_no_bias(first, second):
    """Mean gradient of square 4, variance 9: in the mean over 4,000 draws, within four standard errors."""
    rng = np.random.default_rng(first + second)
    blocks = (2 + 3 * rng.normal(size=(4_000, first + second, WIDTH))) / math.sqrt(WIDTH)
    counts = np.array([first, second])
    found = []
    for one in blocks:
        halves = np.array([one[:first].sum(0), one[first:].sum(0)])
        found.append(estimates(halves @ halves.T, counts))
    for values, truth in zip(np.array(found).T, (4, 9), strict=True):
        error = values.std() / math.sqrt(len(values))
        assert values.mean() == pytest.approx(truth, abs=4 * error) and error < 0.1
    plain = (blocks.mean(1) ** 2).sum(1).mean()
    assert plain == pytest.approx(4 + 9 / (first + second), rel=0.02), (
        "the square of the mean gradient has one"
    )


def test_estimates_by_hand():
    halves = np.array([[1.0, 2.0], [3.0, 0.0]])  # sums of two blocks and of one
    a, b, g = halves[0] / 2, halves[1], halves.sum(0) / 3
    squared, variance = estimates(halves @ halves.T, np.array([2, 1]))
    assert squared == pytest.approx(a @ b) and variance == pytest.approx(3 * (g @ g - a @ b))


def test_the_exponent():
    squared, variance = np.array([4.0, 1.0, np.nan]), np.array([16.0, 32.0, np.nan])
    # σ²/(2b): 1 and 2; s = (5 + 3) / 2.
    assert exponent(squared, variance, 8, (0.2, 0.4))[:2] == pytest.approx([(0.8 - 0.4) / 4, (0.2 - 0.8) / 4])
    assert np.isnan(exponent(squared, variance, 8, (0.2, 0.4))[2])
    assert exponent(1e-9 * squared, 1e-9 * variance, 8, (0.2, 0.4))[:2] == pytest.approx([0.1, -0.15])
    assert exponent(np.array([-2.0, 2.0]), np.zeros(2), 8, (1.0, 1.0)).tolist() == [-1, 1], (
        "noise may be below"
    )
    assert exponent(np.zeros(2), np.zeros(2), 8, (1.0, 1.0)).tolist() == [0, 0]
    assert np.isnan(exponent(np.full(2, np.nan), np.full(2, np.nan), 8, (1.0, 1.0))).all()


def test_a_domain_of_larger_gradients_is_drawn_more():
    gradient = drawn({"code": 1.0, "papers": 2.0, "web": 1.0}, dict.fromkeys(THREE, 0.5))
    segments, controller = play(inputs("pike", THREE), "pike", gradient)
    assert [length for length, _ in segments] == [10] * 30
    assert segments[0][1] == pytest.approx(dict.fromkeys(THREE, 1 / 3))
    last = controller.history[-1]
    assert last["weights"]["papers"] > 0.8 and last["weights"]["code"] == pytest.approx(
        last["weights"]["web"], rel=0.1
    )
    assert last["squared_gradient"]["papers"] == pytest.approx(4, rel=0.1)
    assert [one["step"] for one in controller.outcome()["updates"]] == list(range(10, 300, 10))


def test_a_domain_of_noisier_gradients_is_drawn_less():
    gradient = drawn(dict.fromkeys(THREE, 1.0), {"code": 1.0, "papers": 5.0, "web": 1.0})
    _, controller = play(inputs("pike", THREE), "pike", gradient)
    means = [one["variance"] for one in controller.history[:5]]
    assert np.mean([m["papers"] for m in means]) == pytest.approx(25, rel=0.1)
    assert np.mean([m["code"] for m in means]) == pytest.approx(1, rel=0.1)
    assert controller.history[-1]["weights"]["papers"] < 0.1


def test_an_opposite_gradient_is_worth_as_much():
    signs = {"code": 1.0, "papers": 1.0, "web": -1.0}
    segments, _ = play(inputs("pike", THREE), "pike", drawn(signs, dict.fromkeys(THREE, 0.0)))
    shares = np.array([[w[d] for d in THREE] for _, w in segments])
    assert shares == pytest.approx(np.full((30, 3), 1 / 3), abs=0.02)


def test_the_update_is_the_rule():
    controller = fed(zeta1=0.5, zeta2=0.25, update_steps=1)
    gradients = {"code": [2.0, 0.0], "papers": [1.0, 0.0]}
    # A block of web and its opposite: a square of -1, a variance of 2.
    web = iter([[1.0, 0.0], [-1.0, 0.0]])
    controller.next_segment(TrainingState(0, 300, THREE, dict, {}))
    take(controller, 0, ["code", "papers", "web"] * 2, lambda d, _: gradients.get(d) or next(web))
    controller.next_segment(TrainingState(1, 300, THREE, dict, dict.fromkeys(THREE, 2)))
    said = controller.history[0]
    assert list(said["squared_gradient"].values()) == [4, 1, -1]
    assert list(said["variance"].values()) == [0, 0, 2] and set(said["estimates"].values()) == {1}
    # b = 6, s = (4 + 1 + 1 + 2/12) / 3.
    s = (6 + 1 / 6) / 3
    e = np.exp(np.array([2.0, 0.5, -0.5 - 0.25 / 6]) / s)
    assert list(said["weights"].values()) == pytest.approx(e / e.sum(), rel=1e-6)
    before = controller.shares
    take(controller, 1, ["code", "papers", "web"] * 2, lambda d, _: gradients.get(d) or [0.0, 0.0])
    controller.next_segment(TrainingState(2, 300, THREE, dict, dict.fromkeys(THREE, 2)))
    e = before * np.exp(np.array([2.0, 0.5, 0.0]) / (5 / 3))
    assert controller.shares == pytest.approx(e / e.sum(), rel=1e-6), "from the last weights on"


def test_neither_the_scale_of_gradients_nor_that_of_the_loss_counts():
    means, deviations = {"code": 1.0, "papers": 2.0, "web": 0.5}, dict.fromkeys(THREE, 2.0)
    small = {d: 2.0**-20 * m for d, m in means.items()}, {d: 2.0**-20 * x for d, x in deviations.items()}
    one, other = (play(inputs("pike", THREE), "pike", drawn(*g))[0] for g in ((means, deviations), small))
    for (_, weights), (_, wanted) in zip(one, other, strict=True):
        assert weights == pytest.approx(wanted, rel=1e-9)


def test_a_single_block_waits_for_the_next():
    controller = fed()
    controller.next_segment(TrainingState(0, 300, THREE, dict, {}))
    take(controller, 0, ["code", "web", "web", "web"], lambda d, step: [1.0, 2.0])
    assert controller.counts.tolist() == [0, 0, 1] and controller.totals[2] == pytest.approx([5, 0])
    assert controller.sums.counts.tolist() == [1, 0, 0, 0, 0, 0]
    take(controller, 1, ["web"], lambda d, step: [1.0, 2.0])
    assert controller.counts.tolist() == [0, 0, 1] and controller.sums.counts.tolist() == [1, 0, 0, 0, 1, 0]
    take(controller, 2, ["code"], lambda d, step: [3.0, 0.0])
    assert controller.counts.tolist() == [1, 0, 1] and controller.sums.counts.tolist() == [0, 0, 0, 0, 1, 0]
    # ⟨(1, 2), (3, 0)⟩ = 3 and 2 (‖(2, 1)‖² - 3).
    assert controller.totals[0] == pytest.approx([3, 4])


def test_without_an_estimate():
    """Before its first one a domain keeps its weight, later its last estimate counts."""
    controller = fed(update_steps=1)

    def played(step, domains, gradient):
        controller.next_segment(
            TrainingState(step, 300, THREE, dict, dict.fromkeys(THREE, 2) if step else {})
        )
        take(controller, step, domains, gradient)
        return controller.shares.copy()

    gradients = {"code": [2.0], "papers": [1.0], "web": [4.0]}
    played(0, ["code", "papers"] * 2, lambda d, _: gradients[d])
    second = played(1, ["web"] * 4, lambda d, _: gradients[d])
    assert second[2] == pytest.approx(1 / 3) and second[0] > 1 / 3 > second[1]
    third = played(2, ["code"], lambda d, _: gradients[d])
    x = 0.1 * np.array([4.0, 1.0, 16.0]) / 7
    expected = second * np.exp(x)
    assert third == pytest.approx(expected / expected.sum(), rel=1e-6)
    assert controller.history[-1]["estimates"] == {"code": 0, "papers": 0, "web": 1}


def test_every_domain_is_measured_however_many_there_are():
    """Also where a step has fewer blocks than there are domains."""
    many = tuple(f"d{i:02d}" for i in range(2 * BATCH))
    gradient = drawn(dict.fromkeys(many, 1.0), dict.fromkeys(many, 1.0))
    _, controller = play(inputs("pike", many, 600), "pike", gradient)
    assert len(controller.history) == 29
    assert min(min(one["estimates"].values()) for one in controller.history) >= 1


def test_made_anew_and_restored():
    def gradient(domain, step):
        return np.random.default_rng([len(domain), step]).normal(size=9)

    given = inputs("pike", THREE, total=90)
    whole, cut = (play(given, "pike", gradient, steps) for steps in ((), range(1, 90, 2)))
    assert whole[0] == cut[0] and whole[1].history == cut[1].history
    assert isinstance(cut[1], Objective) and not isinstance(cut[1], Observer)


def test_a_prior_is_where_the_run_starts():
    mixture = {"code": 0.5, "papers": 0.3, "web": 0.2}
    given = inputs("pike", THREE, others={"natural": mixture}, prior="natural")
    method = registry.get("pike")
    assert method.uses(given.params) == ["natural"] and method.uses(method.defaults) == []
    result = method.weights(given)
    assert result.schedule.stages[0].weights == mixture
    assert result.diagnostics == {"update_steps": 10, "updates": 29}
    even = drawn(dict.fromkeys(THREE, 1.0), dict.fromkeys(THREE, 0.0))
    assert play(given, "pike", even)[0][0][1] == pytest.approx(mixture)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"zeta1": -0.1}, "pike.zeta1: -0.1 is not a number of at least 0 and at most 100"),
        ({"zeta2": "x"}, "pike.zeta2: 'x' is not a number of at least 0 and at most 100"),
        ({"update_steps": 1.5}, "pike.update_steps: 1.5 is not a whole number of at least 1, or null"),
        ({"prior": 3}, "pike.prior: 3 is not the label of a method, or null"),
    ],
)
def test_bad_parameters(changed, words):
    method = registry.get("pike")
    with pytest.raises(UserError, match=words):
        method.check(registry.parameters("pike", changed, "here"), THREE, {})
    method.check(dict(method.defaults), ("a",), {})
