"""Numbers of exports: shares that sum to one as printed, caps, epochs, refusals."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chameleon.core.errors import UserError
from chameleon.exports import FORMATS, export
from chameleon.exports.caps import capped
from chameleon.exports.preparing import prepare
from chameleon.exports.texts import json_text, plain, rounded, slugs, yaml_text
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixture import Domain, Mixture

SHARES = st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=40)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@given(SHARES, st.integers(1, 12))
def test_rounded_shares_sum_to_one_and_lie_within_a_unit(shares: list[float], decimals: int) -> None:
    found = rounded(shares, decimals)
    unit = Decimal(1).scaleb(-decimals)
    assert sum(found) == 1 and min(found) >= 0
    assert all(-d.as_tuple().exponent == decimals and "E" not in plain(d) for d in found)
    exact = [share / sum(shares) for share in shares]
    assert all(abs(float(d) - x) <= float(unit) * 1.001 + 1e-12 for d, x in zip(found, exact, strict=True))
    # Order stays: what is larger never prints smaller.
    ranked = sorted(zip(exact, found, strict=True))
    assert all(b[1] >= a[1] for a, b in zip(ranked, ranked[1:], strict=False) if b[0] - a[0] > 1e-12)


@given(SHARES.filter(lambda s: len(s) > 2), st.integers(3, 9))
def test_floored_places_are_never_rounded_up(shares: list[float], decimals: int) -> None:
    found = rounded(shares, decimals, {0, 1})
    assert sum(found) == 1
    assert all(float(found[i]) <= shares[i] / sum(shares) + 1e-12 for i in (0, 1))


@pytest.mark.parametrize("number", [1e-5, 1e-12, 0.1, 1.0, 2e9, 1e22, Decimal("0.000010")])
def test_plain_numbers_have_no_exponent_and_lose_nothing(number: float | Decimal) -> None:
    assert "e" not in plain(number).lower() and float(plain(number)) == float(number)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, st.floats(1e-5, 1.0), min_size=1, max_size=6))
def test_any_names_and_weights_survive_yaml_and_json(weights: dict[str, float]) -> None:
    value = {name: Decimal(repr(w)) for name, w in weights.items()}
    for text, load in ((yaml_text(value), yaml.safe_load), (json_text(value), json.loads)):
        found = load(text)
        assert list(found) == list(weights) and list(found.values()) == list(weights.values())


@pytest.mark.parametrize(
    "word", ["yes", "NO", "on", "y", "null", "~", "1e5", "0x1f", "a: b", "#x", "- a", "3", " a", "é"]
)
def test_words_that_could_be_something_else_are_quoted(word: str) -> None:
    text = yaml_text({word: word})
    assert text == f'"{word}": "{word}"\n' and yaml.safe_load(text) == {word: word}


@given(st.lists(NAMES, min_size=1, max_size=12))
def test_slugs_are_unique_words(names: list[str]) -> None:
    found = slugs(names)
    assert len({s.lower() for s in found}) == len(names) and all(
        s.isidentifier() and s.isascii() for s in found
    )


def about(**tokens: float) -> dict[str, Domain]:
    return {name: Domain(tokens=n) for name, n in tokens.items()}


def test_what_is_above_a_cap_goes_to_the_others_in_proportion() -> None:
    found, full = capped({"a": 0.5, "b": 0.3, "c": 0.2}, about(a=20, b=300, c=300), budget=100, most=1)
    assert full == ["a"] and found == pytest.approx({"a": 0.2, "b": 0.48, "c": 0.32})


def test_a_domain_pushed_over_its_cap_is_held_too() -> None:
    found, full = capped({"a": 0.5, "b": 0.3, "c": 0.2}, about(a=20, b=40, c=300), budget=100, most=1)
    assert full == ["a", "b"] and found == pytest.approx({"a": 0.2, "b": 0.4, "c": 0.4})


@settings(max_examples=200)
@given(st.data())
def test_caps_hold_whenever_they_can(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    raw = data.draw(st.lists(st.floats(1e-4, 1), min_size=n, max_size=n))
    tokens = data.draw(st.lists(st.floats(1, 1e6), min_size=n, max_size=n))
    budget, most = data.draw(st.floats(1, 1e6)), data.draw(st.floats(0.1, 10))
    shares = {f"d{i}": w / sum(raw) for i, w in enumerate(raw)}
    facts = {f"d{i}": Domain(tokens=t) for i, t in enumerate(tokens)}
    if sum(min(1, most * t / budget) for t in tokens) < 1 - 1e-9:
        with pytest.raises(UserError, match="too few for a budget"):
            capped(shares, facts, budget, most)
        return
    if sum(min(1, most * t / budget) for t in tokens) < 1 + 1e-9:
        return
    found, full = capped(shares, facts, budget, most)
    assert sum(found.values()) == pytest.approx(1)
    assert all(found[d] * budget / facts[d].tokens <= most * (1 + 1e-9) for d in found)
    free = [d for d in found if d not in full]
    assert all(found[a] * shares[b] == pytest.approx(found[b] * shares[a]) for a in free for b in free)


def test_a_cap_holds_as_printed(tmp_path: Path) -> None:
    """1/3 of the budget prints as 0.333333, never 0.333334."""
    facts = {"a": {"tokens": 1e9}, "b": {"tokens": 1e10}, "c": {"tokens": 1e10}}
    done = export(
        Mixture.of({"a": 0.6, "b": 0.2, "c": 0.2}), "json", tmp_path, data=facts, budget=3e9, max_epochs=1.0
    )
    assert [plain(e.weight) for e in done.plan.entries] == ["0.333333", "0.333334", "0.333333"]
    assert "held at 1 epochs, their rest shared in proportion: a" in done.lines
    assert any(line.startswith("a") and line.endswith("1.000") for line in done.lines)


def test_a_mixture_that_moves_cannot_be_capped_in_stages(tmp_path: Path) -> None:
    moving = Mixture(MixtureSchedule((Stage(0, {"a": 0.9, "b": 0.1}), Stage(5, {"a": 0.5, "b": 0.5}))))
    facts = {"a": {"tokens": 50}, "b": {"tokens": 1000}}
    options = {"data": facts, "budget": 100, "max_epochs": 1, "steps": 10}
    with pytest.raises(UserError, match="a would be read more often, and a mixture that moves"):
        export(moving, "levanter", tmp_path, **options)
    done = export(moving, "json", tmp_path, **options)
    assert [plain(e.weight) for e in done.plan.entries] == ["0.500000", "0.500000"]
    assert len(export(moving, "levanter", tmp_path, **{**options, "max_epochs": 2}).plan.stages) == 2


def test_decimals_follow_the_smallest_weight() -> None:
    def decimals(smallest: float, told: int | None = None) -> tuple[int, list[str]]:
        plan = prepare(Mixture.of({"a": 1 - smallest, "b": smallest}), FORMATS["json"], decimals=told)
        return plan.decimals, [e.domain for e in plan.entries]

    assert decimals(0.1) == (6, ["a", "b"]) and decimals(1e-5) == (6, ["a", "b"])
    assert decimals(1e-9) == (10, ["a", "b"]) and decimals(1e-15) == (12, ["a"])
    assert decimals(1e-5, told=2) == (2, ["a"])


def test_what_is_left_out_is_said() -> None:
    plan = prepare(Mixture.of({"a": 0.999, "b": 0.001, "c": 0.0}), FORMATS["json"], decimals=2)
    assert "left out, with weight 0: c" in plan.notes
    assert "left out, with a weight that prints as 0 at 2 decimals: b" in plan.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "megatron-lm"}, "--to: 'megatron-lm' is not one of megatron, automodel, olmo-core, levanter"),
        ({"max_epochs": 1}, "--max-epochs: needs --budget"),
        ({"budget": -1}, "--budget: -1 is not a number above 0"),
        ({"steps": 2.5}, "--steps: 2.5 is not a whole number"),
        ({"to": "nanotron", "data": {"a": {"paths": "x"}, "b": {"paths": "x"}}}, "'x' is given twice"),
        ({"steps": 0}, "--steps: 0 is not a number above 0"),
        ({"decimals": 13}, "--decimals: 13 is not a whole number from 1 to 12"),
        ({"budget": 9.0, "max_epochs": 1.0}, "--max-epochs: the tokens of a, b are not known"),
        ({"budget": 9.0, "data": {"a": {"tokens": 5}, "b": {"tokens": 1}}, "max_epochs": 1.0},
         "--max-epochs 1: the mixture's domains hold 6 tokens, too few for a budget of 9.*least is 1.5000"),
        ({"data": {"x": {}}}, "data: domain 'x' is not in the mixture; it has a, b"),
        ({"data": {"a": {"token": 1}}}, "data: a: unknown key 'token' is not one of paths, tokens"),
        ({"data": {"a": {"tokens": "many"}}}, "data: a: tokens: 'many' is not a number above 0"),
        ({"data": {"a": {"paths": []}}}, r"data: a: paths: \[\] is not a path or a list of them"),
        ({"data": {"a": 3}}, "data: a: 3 is not a mapping with keys of paths"),
        ({"data": Path("none.yaml")}, "none.yaml: cannot be read"),
    ],
)  # fmt: skip
def test_a_user_s_mistake_is_one_line_and_writes_nothing(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        export(Mixture.of({"a": 0.5, "b": 0.5}), **{"to": "json", "out": tmp_path / "out", **options})
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
