"""R&B: the update in closed form, what a round holds, and a run's bookkeeping."""

import math

import numpy as np
import pytest
from synthetic_gradients import fed as made_fed
from synthetic_gradients import inputs, play, take

from chameleon.core.errors import UserError
from chameleon.methods.gradients.rnb import Balance
from chameleon.mixing import registry
from chameleon.mixing.method import Objective, Observer
from chameleon.mixing.types import TrainingState

THREE = ("code", "papers", "web")
UNIFORM = np.full(3, 1 / 3)
#: Two domains that agree and one against them; no block differs from another of its domain.
SIGNS = {"code": 1.0, "papers": 1.0, "web": -1.0}


def signed(domain, step):
    return [SIGNS[domain], 0.0]


def fed(**changed):
    return made_fed(registry.get("rnb").controller(inputs("rnb", THREE, **changed)))


def softmax(x):
    e = np.exp(np.asarray(x) - np.max(x))
    return e / e.sum()


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_two_that_agree_and_one_that_does_not(strength):
    balance = Balance(3, strength)
    counts = np.array([5, 2, 9])
    sums = np.array([1.0, 1.0, -1.0]) * counts
    balance.take(np.outer(sums, sums), counts)
    assert balance.gram == pytest.approx(np.outer([1, 1, -1], [1, 1, -1]))
    # G p = (1, 1, -1) / 3, of norm 1 / √3.
    expected = softmax(strength * np.array([1, 1, -1]) / math.sqrt(3))
    assert balance.shares(UNIFORM) == pytest.approx(expected, rel=1e-12)


def test_the_update_is_the_papers():
    rng = np.random.default_rng(0)
    sums, counts = rng.normal(size=(4, 20)), np.array([3, 1, 7, 2])
    target = np.array([0.1, 0.2, 0.3, 0.4])
    balance = Balance(4, 3.0)
    balance.take(sums @ sums.T, counts)
    means = sums / counts[:, None]
    scores = [sum(means[i] @ means[j] * target[j] for j in range(4)) for i in range(4)]
    assert balance.shares(target) == pytest.approx(softmax(3 * np.array(scores) / np.linalg.norm(scores)))
    # Neither the last weights nor the last round's products play a part where all domains are there.
    balance.take(np.eye(4), np.ones(4))
    assert balance.shares(np.full(4, 0.25)) == pytest.approx(np.full(4, 0.25))


def test_a_domain_that_is_absent_keeps_its_row_and_column():
    balance = Balance(3, 3.0)
    first = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 1.0], [2.0, 1.0, 5.0]])
    balance.take(first, np.array([1, 1, 1]))
    balance.take(np.array([[8.0, 0.0, 12.0], [0.0, 0.0, 0.0], [12.0, 0.0, 36.0]]), np.array([2, 0, 3]))
    assert balance.gram.tolist() == [[2.0, 1.0, 2.0], [1.0, 3.0, 1.0], [2.0, 1.0, 4.0]]
    assert np.isfinite(balance.shares(UNIFORM)).all()


def test_a_domain_that_was_never_there_is_as_good_as_the_mean():
    balance = Balance(3, 3.0)
    assert balance.shares(UNIFORM) == pytest.approx(UNIFORM), "nothing was"
    balance.take(np.diag([4.0, 0.0, 1.0]), np.array([1, 0, 1]))
    shares = balance.shares(UNIFORM)
    scores = np.array([4.0, 2.5, 1.0])
    assert shares == pytest.approx(softmax(3 * scores / np.linalg.norm(scores)))
    balance.take(np.zeros((3, 3)), np.array([1, 1, 1]))
    assert balance.shares(UNIFORM) == pytest.approx(UNIFORM), "no gradient, no preference"
    assert math.isnan(balance.self_share(UNIFORM))


@pytest.mark.parametrize(("products", "expected"), [(np.eye(3), 1.0), (np.ones((3, 3)), 1 / 3)])
def test_the_share_of_the_diagonal(products, expected):
    balance = Balance(3, 3.0)
    balance.take(products, np.ones(3))
    assert balance.self_share(UNIFORM) == pytest.approx(expected)


def test_a_run_plays_what_the_gradients_say():
    given = inputs("rnb", THREE)
    segments, controller = play(given, "rnb", signed)
    expected = dict(zip(THREE, softmax(3 * np.array([1, 1, -1]) / math.sqrt(3)), strict=True))
    assert [length for length, _ in segments] == [10] * 30
    assert segments[0][1] == pytest.approx(dict.fromkeys(THREE, 1 / 3))
    mean = {d: np.mean([w[d] for _, w in segments[1:]]) for d in THREE}
    assert mean == pytest.approx(expected, abs=0.005), "small shares are owed"
    said = controller.outcome()["updates"]
    assert [one["step"] for one in said] == list(range(10, 300, 10))
    assert said[0]["weights"] == pytest.approx(expected, rel=1e-5)
    assert said[0]["self_share"] == pytest.approx(3.0)
    assert said[0]["blocks"] == {"code": 27, "papers": 27, "web": 26}


def test_a_round_forgets_the_one_before():
    def turning(domain, step):
        return [SIGNS[domain] if step < 100 else float(domain == "web"), 0.0]

    _, controller = play(inputs("rnb", THREE), "rnb", turning)
    found = [one["weights"] for one in controller.history]
    # Up to step 100 web is drawn little; from there on its gradient is the only one.
    assert found[9]["web"] < 0.1 < 0.3 < found[10]["web"]
    assert list(found[10].values()) == pytest.approx(softmax([0, 0, 3]), rel=1e-5)


def test_noise_is_rewarded_and_said():
    """Of three domains with one mean gradient the noisiest gains; the history shows how much is noise."""
    rng = np.random.default_rng(0)
    deviation = {"code": 1.0, "papers": 1.0, "web": 12.0}

    def noisy(domain, step):
        return 0.1 + deviation[domain] * rng.normal(size=400) / 20

    _, controller = play(inputs("rnb", THREE), "rnb", noisy)
    assert np.mean([one["weights"]["web"] for one in controller.history]) > 0.4
    # A mean over blocks has its square of 4 and 1/27, or 144/26, of noise.
    noise = 2 / 27 + 144 / 26
    share = controller.history[0]["self_share"]
    assert share == pytest.approx((3 * 4 + noise) / (9 * 4 + noise), abs=0.03) and share > 0.39


def test_a_step_knows_its_domains():
    controller = fed()
    controller.next_segment(TrainingState(0, 300, THREE, dict, {}))
    take(controller, 0, ["web", "code", "web"], signed)
    assert controller.sums.counts.tolist() == [1, 0, 2]
    assert controller.sums._sums.tolist() == [[1, 0], [0, 0], [-2, 0]]


def test_made_anew_and_restored():
    given = inputs("rnb", THREE, total=90)
    whole, cut = (play(given, "rnb", signed, steps) for steps in ((), range(1, 90, 2)))
    assert whole[0] == cut[0] and whole[1].history == cut[1].history
    assert isinstance(cut[1], Objective) and not isinstance(cut[1], Observer)


@pytest.mark.parametrize(
    ("total", "given", "every", "updates"),
    [(520, None, 17, 30), (10, None, 1, 9), (520, 100, 100, 5), (7, 100, 100, 0)],
)
def test_how_long_rounds_are(total, given, every, updates):
    result = registry.get("rnb").weights(inputs("rnb", THREE, total, update_steps=given))
    assert result.diagnostics == {"update_steps": every, "updates": updates}
    assert result.schedule.stages[0].weights == dict.fromkeys(THREE, 1 / 3)
    segments, controller = play(inputs("rnb", THREE, total, update_steps=given), "rnb", signed)
    assert segments[0][0] == min(every, total) and len(controller.history) == updates


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lambda": -1}, "rnb.lambda: -1 is not a number of at least 0 and at most 100"),
        ({"update_steps": 0}, "rnb.update_steps: 0 is not a whole number of at least 1, or null"),
    ],
)
def test_bad_parameters(changed, words):
    method = registry.get("rnb")
    with pytest.raises(UserError, match=words):
        method.check(registry.parameters("rnb", changed, "here"), THREE, {})
    method.check(dict(method.defaults), ("a",), {})
