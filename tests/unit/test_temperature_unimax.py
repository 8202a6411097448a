"""Temperature sampling and UniMax: recorded values, limits, bad input."""

import json
from pathlib import Path

import pytest

from baselines.unimax import unimax
from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "token_counts.json").read_text())
COUNTS = {"a": 100, "b": 800, "c": 200, "d": 400}


def solve(name, counts=COUNTS, token_budget=1000, **params):
    params = registry.parameters(name, params, "here")
    registry.get(name).check(params, tuple(counts), {})
    result = registry.get(name).weights(
        MethodInputs(tuple(counts), counts, params, 0, 10, token_budget=token_budget)
    )
    (stage,) = result.schedule.stages
    assert tuple(stage.weights) == tuple(counts)
    return stage.weights, result.diagnostics


def named(values):
    return {f"d{i}": v for i, v in enumerate(values)}


@pytest.mark.parametrize("case", GOLDEN["temperature"], ids=lambda c: f"tau{c['tau']}")
def test_recorded_temperatures(case):
    weights, _ = solve("temperature", named(case["counts"]), tau=case["tau"])
    assert list(weights.values()) == pytest.approx(case["p"], rel=1e-12)


def test_temperature_lies_between_natural_and_uniform():
    assert solve("temperature", tau=1)[0] == pytest.approx({d: n / 1500 for d, n in COUNTS.items()})
    assert solve("temperature", tau=1e9)[0] == pytest.approx(dict.fromkeys(COUNTS, 0.25), rel=1e-6)
    assert solve("temperature")[0] == solve("temperature", tau=3.33)[0]
    assert solve("temperature", tau=1e-3)[0]["b"] == 1, "a tiny tau does not overflow"


@pytest.mark.parametrize("case", GOLDEN["unimax"], ids=lambda c: f"budget{c['budget']}")
def test_recorded_unimax(case):
    given = unimax(named(case["counts"]), case["budget"], case["max_epochs"])
    assert list(given.values()) == pytest.approx(case["U"], rel=1e-12)
    weights, diagnostics = solve(
        "unimax", named(case["counts"]), case["budget"], max_epochs=case["max_epochs"]
    )
    assert list(weights.values()) == pytest.approx(case["p"], rel=1e-12)
    assert diagnostics["unspent_tokens"] == pytest.approx(case["budget"] - sum(case["U"]), abs=1e-9)


def test_unimax_is_uniform_where_no_cap_binds_and_natural_where_all_do():
    weights, diagnostics = solve("unimax", token_budget=396)
    assert weights == dict.fromkeys(COUNTS, 0.25) and diagnostics["capped"] == []
    weights, diagnostics = solve("unimax", token_budget=10**6)
    assert weights == pytest.approx({d: n / 1500 for d, n in COUNTS.items()})
    assert diagnostics["capped"] == sorted(COUNTS) and diagnostics["unspent_tokens"] == 10**6 - 1500


def test_unimax_takes_what_a_capped_domain_leaves():
    weights, diagnostics = solve("unimax", token_budget=1000)
    assert diagnostics["capped"] == ["a", "c"]
    assert weights == pytest.approx({"a": 0.1, "b": 0.35, "c": 0.2, "d": 0.35})
    assert solve("unimax", token_budget=1000, max_epochs=2)[0]["a"] == pytest.approx(0.2)
    assert solve("unimax", token_budget=7, budget=1000)[0] == weights


@pytest.mark.parametrize("name", ["temperature", "unimax"])
def test_an_empty_domain_is_refused(name):
    with pytest.raises(UserError, match=f"{name}: domain a has no train tokens"):
        solve(name, {**COUNTS, "a": 0})


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("temperature", {"tau": 0}, "temperature.tau: 0 is not a number above 0"),
        ("temperature", {"tau": "3"}, "temperature.tau: '3'"),
        ("unimax", {"max_epochs": None}, "unimax.max_epochs: None is not a number above 0"),
        ("unimax", {"budget": -1}, "unimax.budget: -1 is not a number above 0"),
        ("unimax", {"budget": True}, "unimax.budget: True"),
    ],
)
def test_bad_parameters(name, params, words):
    with pytest.raises(UserError, match=words):
        solve(name, **params)


def test_unimax_needs_a_budget():
    with pytest.raises(ValueError, match="token budget"):
        solve("unimax", token_budget=0)
