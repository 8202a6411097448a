"""Aioli: recorded reference updates, a law recovered from what was played, exact step accounting."""

import json
from pathlib import Path

import numpy as np
import pytest

from baselines import aioli
from chameleon.core.errors import UserError
from chameleon.data.sampler import allocate
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs, TrainingState

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "aioli_update.json").read_text())
SEVEN = ("papers", "books", "news", "messy_web", "code", "qa", "wiki")
BATCH = 8


def parameters(**changed):
    return registry.parameters("aioli", changed, "here")


def inputs(domains, params, total=1000, seed=0, **more):
    return MethodInputs(tuple(domains), dict.fromkeys(domains, 10**6), params, seed, total, **more)


def play(domains, law, params, total=1000, seed=0, draw=allocate, noise=0.0, **more):
    """Play a run in which a step on mixture p lowers the losses by law @ p; returns (segments, controller).

    `draw(weights, blocks)` says how many blocks of each domain a segment really takes.
    """
    method = registry.get("aioli")
    given = inputs(domains, params, total, seed, **more)
    start = dict(method.weights(given).schedule.stages[0].weights)
    controller = method.controller(inputs(domains, params, total, seed, start=start, **more))
    rng, losses, passes = np.random.default_rng(seed), np.full(len(domains), 5.0), []

    def measure():
        passes.append(step)
        noisy = losses + noise * rng.normal(size=len(domains))
        return dict(zip(domains, noisy.tolist(), strict=True))

    step, realised, segments = 0, {}, []
    while step < total:
        length, weights = controller.next_segment(
            TrainingState(step, total, tuple(domains), measure, realised)
        )
        assert isinstance(length, int) and 1 <= length <= total - step, "never more than what is left"
        assert set(weights) == set(domains) and abs(sum(weights.values()) - 1) < 1e-12
        realised = draw(weights, length * BATCH)
        losses -= length * law @ np.array([realised[d] for d in domains]) / sum(realised.values())
        segments.append((step, length, weights))
        step += length
    controller.passes = passes
    return segments, controller


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_recorded_reference_rounds(case):
    """Solve, normalise, average and update as the reference does, four rounds in a row."""
    probes = aioli.probe_mixtures(case["k"], case["one_hot_factor"])
    base, average = np.ones(case["k"]), None
    for recorded in case["rounds"]:
        law = aioli.solve_law(np.array(recorded["drops"]), probes)
        assert law == pytest.approx(np.array(recorded["law"]), rel=1e-9, abs=1e-14)
        if case["normalise"]:
            law = aioli.normalised(law)
            assert law == pytest.approx(np.array(recorded["normalised"]), rel=1e-9, abs=1e-14)
        average = aioli.moving_average(average, law, case["ema"])
        if case["ema"] is not None:
            assert average == pytest.approx(np.array(recorded["average"]), rel=1e-9, abs=1e-14)
        weights = aioli.exponentiated(base, average, case["eta"])
        assert weights == pytest.approx(recorded["weights"], rel=1e-9)
        if case["ema"] is None:
            base = weights


def test_the_controller_makes_the_recorded_rounds():
    """The same numbers through the controller: with and without an average, the drops fed in as losses."""
    for case in [c for c in GOLDEN["cases"] if c["one_hot_factor"] < 1]:
        k = case["k"]
        domains = tuple("abcdefg"[:k])
        params = parameters(**{n: case[n] for n in ("eta", "ema", "normalise", "one_hot_factor")},
                            played=False, prior_steps=0, update_steps=2 * k, lp_steps=1,
                            most_probing=0.5)  # fmt: skip
        controller = registry.get("aioli").controller(inputs(domains, params, 4 * 2 * k))
        losses, number, asked = np.zeros(k), 0, None

        def measure(domains=domains):
            if asked is not None and max(asked.values()) == pytest.approx(case["one_hot_factor"]):  # noqa: B023
                j = domains.index(max(asked, key=asked.get))  # noqa: B023
                losses[:] -= np.array(case["rounds"][number]["drops"])[:, j]  # noqa: B023
            return dict(zip(domains, losses.tolist(), strict=True))  # noqa: B023

        step, got = 0, []
        while step < 4 * 2 * k:
            length, asked = controller.next_segment(
                TrainingState(step, 8 * k, domains, measure, dict.fromkeys(domains, 1))
            )
            step += length
            if length == k:
                got.append(list(asked.values()))
                number, asked = number + 1, None
        assert np.array(got) == pytest.approx(np.array([r["weights"] for r in case["rounds"]]), rel=1e-8)


def test_recorded_chain_of_losses(monkeypatch):
    """Two sweeps in a known order: each probe's drop is taken from the last measured losses."""
    chain = GOLDEN["chain"]
    orders = iter([chain["order"][:2], chain["order"][2:]])

    class Fixed:
        def permutation(self, n):
            return np.array(next(orders))

    monkeypatch.setattr(aioli, "generator", lambda *axes: Fixed())
    losses = iter(chain["losses"])
    params = parameters(lp_rounds=2, lp_steps=4, one_hot_factor=chain["one_hot_factor"], prior_steps=0,
                        update_steps=32)  # fmt: skip
    controller = registry.get("aioli").controller(inputs(("a", "b"), params, 32))
    realised, step = {}, 0
    while step < 32:
        state = TrainingState(
            step, 32, ("a", "b"), lambda: dict(zip("ab", next(losses), strict=True)), realised
        )
        length, weights = controller.next_segment(state)
        realised, step = allocate(weights, length * BATCH), step + length
    (found,) = controller.history
    assert found["drops"] == pytest.approx(np.array(chain["drops"]), rel=1e-9)
    assert aioli.solve_law(found["drops"], found["mixtures"]) == pytest.approx(
        np.array(chain["law"]), rel=1e-9
    )


def coarse(weights, total):
    """Blocks as the reference's sampler gives them: too many of each small domain, the last left short."""
    counts = {d: int(w * total) + 2 for d, w in weights.items()}
    last = list(weights)[-1]
    counts[last] = max(0, total - sum(n for d, n in counts.items() if d != last))
    return counts


@pytest.mark.parametrize("lp_rounds", [1, 2])
@pytest.mark.parametrize("draw", [allocate, coarse])
def test_a_known_law_is_recovered_from_what_was_played(draw, lp_rounds):
    rng = np.random.default_rng(3)
    law = rng.uniform(0, 0.001, (7, 7)) + 0.004 * np.eye(7)
    params = parameters(lp_rounds=lp_rounds, normalise=False, lp_steps=8, update_steps=300, most_probing=0.5)
    _, controller = play(SEVEN, law, params, draw=draw)
    assert len(controller.history) == 3
    for found in controller.history:
        assert found["law"] == pytest.approx(8 * law, abs=1e-10)
    asked = aioli.probe_mixtures(7, 0.75)
    gap = max(np.abs(found["mixtures"] - asked).max() for found in controller.history)
    assert gap > 0.005, "the counts of 64 blocks cannot be those asked for"
    _, other = play(SEVEN, law, {**params, "played": False}, draw=draw)
    wrong = max(np.abs(found["law"] - 8 * law).max() for found in other.history)
    assert wrong > 1e-4, "solving with the asked mixtures does not recover it"


def test_weights_move_to_the_domain_that_helps():
    """Domain qa lowers every loss, code only its own; over ten seeds, with noisy losses."""
    law = 0.001 * np.eye(7)
    law[:, SEVEN.index("qa")] += 0.003
    for seed in range(10):
        segments, controller = play(SEVEN, law, parameters(), seed=seed, noise=0.0005)
        for found in controller.history:
            weights = dict(zip(SEVEN, found["weights"], strict=True))
            others = max(w for d, w in weights.items() if d != "qa")
            assert weights["qa"] > 1.4 * others, (seed, weights)
        _, last = segments[-1][1], segments[-1][2]
        assert last["qa"] > 0.18 > 1 / 7 > last["code"]
        # With an average nothing accumulates: no two weights differ by more than e^eta.
        assert max(last.values()) / min(last.values()) < np.e
        accumulated = play(SEVEN, law, parameters(ema=None), seed=seed, noise=0.0005)[0][-1][2]
        assert accumulated["qa"] > last["qa"] + 0.05, "without one it does"


def test_a_harmful_domain_and_the_diagonal():
    law = np.array([[0.002, 0.0, -0.002], [0.0, 0.002, -0.002], [0.0, 0.0, 0.004]])
    full = play(("a", "b", "c"), law, parameters())[0][-1][2]
    assert full["a"] == pytest.approx(full["b"]) and full["c"] < full["a"] - 0.02
    _, controller = play(("a", "b", "c"), law, parameters(diagonal=True))
    found = controller.history[-1]
    assert found["law"] == pytest.approx(np.diag(np.diag(found["law"])))
    assert found["weights"][2] > found["weights"][0], "its harm to the others is not seen"


@pytest.mark.parametrize("k", [1, 2, 3, 7, 15])
@pytest.mark.parametrize("total", [1, 5, 12, 60, 100, 399, 1000])
@pytest.mark.parametrize(
    "changed",
    [{}, {"prior_steps": 0, "update_steps": 90}, {"lp_rounds": 3, "lp_steps": 50}, {"prior_steps": 70}],
)
def test_every_step_is_accounted_for(k, total, changed):
    domains = tuple(f"d{i:02}" for i in range(k))
    params = parameters(**changed)
    diagnostics = registry.get("aioli").weights(inputs(domains, params, total)).diagnostics
    segments, controller = play(domains, np.full((k, k), 1e-3), params, total)
    assert sum(length for _, length, _ in segments) == total
    assert diagnostics["prior_steps"] + sum(diagnostics["rounds"]) == total
    assert len(controller.passes) == diagnostics["validation_passes"]
    assert diagnostics["probe_share_of_rounds"] <= 0.15
    if "update_steps" not in changed:
        most = max(params["validation_passes"], 1 + k * params["lp_rounds"])
        assert len(controller.passes) <= most
    if k == 1:
        assert not controller.passes and all(w == {"d00": 1.0} for _, _, w in segments)


def test_the_default_run():
    """What the documentation says: .15 of a short run in probes, the paper's rounds in a long one."""
    for total, k, rounds in ((1000, 7, [450] * 2), (1000, 15, [900]), (400, 7, [360]), (400, 15, [360])):
        domains = [f"d{i}" for i in range(k)]
        found = registry.get("aioli").weights(inputs(domains, parameters(), total)).diagnostics
        assert found["rounds"] == rounds and found["validation_passes"] == len(rounds) * (1 + k)
        assert 0.1 < found["probe_share_of_rounds"] <= 0.15
    cut = aioli.plan(10_000, 7, parameters())
    assert cut.rounds == (250,) * 36 and cut.lp_steps == 8, "56 of 250 steps, of at most 72"
    # The shipped 7-domain script spends .70 in probes.
    paper = {"update_steps": 200, "lp_rounds": 2, "lp_steps": 10, "prior_steps": 0, "most_probing": 0.7}
    cut = aioli.plan(40_000, 7, parameters(**paper))
    assert cut.rounds == (200,) * 200 and cut.lp_steps == 10


def test_on_top_of_another_method():
    domains, prior = ("a", "b"), {"a": 0.9, "b": 0.1}
    law = np.array([[0.001, 0.001], [0.001, 0.003]])
    others = {"regmix": prior}
    params = parameters(prior="regmix", prior_steps=40)
    assert registry.get("aioli").uses(params) == ["regmix"] and registry.get("aioli").uses(parameters()) == []
    segments, controller = play(domains, law, params, total=400, others=others)
    assert segments[0] == (0, 40, prior)
    plain = controller.history[0]["weights"]
    _, from_prior = play(domains, law, {**params, "prior_in_update": True}, total=400, others=others)
    shifted = from_prior.history[0]["weights"]
    assert plain[1] > 0.5, "the prior plays no part in the update"
    assert shifted == pytest.approx(plain * [0.9, 0.1] / (plain @ [0.9, 0.1]), rel=1e-9)
    with pytest.raises(ValueError, match="needs the weights of 'regmix'"):
        registry.get("aioli").weights(inputs(domains, params))


def test_the_order_of_domains_plays_no_part():
    law = np.random.default_rng(0).uniform(0, 0.004, (7, 7))
    order = [3, 0, 6, 1, 5, 2, 4]
    one, _ = play(SEVEN, law, parameters())
    other, _ = play([SEVEN[i] for i in order], law[np.ix_(order, order)], parameters())
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a[:2] == b[:2] and b[2] == pytest.approx(a[2], rel=1e-9)


def test_sweeps_are_permutations_that_change_with_round_and_seed():
    def orders(seed):
        segments, _ = play(SEVEN, np.eye(7) * 1e-3, parameters(lp_rounds=2, most_probing=0.5), seed=seed)
        probes = [max(w, key=w.get) for _, length, w in segments if max(w.values()) > 0.7]
        return [tuple(probes[i : i + 7]) for i in range(0, len(probes), 7)]

    sweeps = orders(0)
    assert len(sweeps) == 4 and all(sorted(s) == sorted(SEVEN) for s in sweeps)
    assert len(set(sweeps)) > 1 and orders(0) == sweeps != orders(1)


def test_nothing_learnt_leaves_the_weights_uniform():
    assert (aioli.normalised(np.zeros((3, 3))) == 1 / 9).all()
    segments, _ = play(("a", "b", "c"), np.zeros((3, 3)), parameters())
    assert list(segments[-1][2].values()) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"eta": 0}, "aioli.eta: 0 is not a number above 0"),
        ({"ema": 1.0}, "aioli.ema: 1.0 is not a number of at least 0 and below 1, or null"),
        ({"lp_rounds": 0}, "aioli.lp_rounds: 0 is not a whole number of at least 1"),
        ({"lp_steps": 2.5}, "aioli.lp_steps: 2.5"),
        ({"update_steps": True}, "aioli.update_steps: True is not a whole number of at least 1, or null"),
        ({"prior_steps": -1}, "aioli.prior_steps: -1 is not a whole number of at least 0, or null"),
        ({"most_probing": 0}, "aioli.most_probing: 0 is not a number above 0 and at most 1, or null"),
        ({"one_hot_factor": 0.25}, "aioli.one_hot_factor: 0.25 is not a number above 1/4"),
        ({"diagonal": "no"}, "aioli.diagonal: 'no' is not true or false"),
        ({"prior": 3}, "aioli.prior: 3 is not the label of a method, or null"),
    ],
)
def test_bad_parameters(changed, words):
    with pytest.raises(UserError, match=words):
        registry.get("aioli").check(parameters(**changed), ("a", "b", "c", "d"), {})
    registry.get("aioli").check(parameters(), ("a",), {})
