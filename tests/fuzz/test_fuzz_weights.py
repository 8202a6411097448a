"""Weights and mixture files: method `fixed` with a `file`, and the schedule that training reads.

Malformed for `fixed`: no JSON object; a weight that is no number from 0 to 1; a sum further than 0.02 from
one; a domain of ours without a weight, or (unless `partial`) a weight without a domain; names spelt alike;
several stages; another tokenizer. Malformed for training, beside that: a key of the schema missing, unknown
or of another type; a sum that is not one; stages that do not start at 0 and increase, or whose domains are
not those of the file.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import spoil
import tally
from hypothesis import given
from hypothesis import strategies as st

from chameleon.mixing import registry
from chameleon.mixing.types import MethodInputs
from chameleon.stages.inputs import read_weights

NAMES = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,4}(_[a-z0-9]{1,3})?", fullmatch=True), min_size=2, max_size=5, unique=True
)
FIXED, SCHEDULE = "mixtures (fixed)", "weights (training)"
FINGERPRINT = "0" * 64


@st.composite
def mixtures(draw: st.DrawFn) -> dict[str, float]:
    """Return weights of sum 1 under two to five names, no two of them spelt alike."""
    names = draw(NAMES)
    parts = draw(st.lists(st.integers(0, 1000), min_size=len(names), max_size=len(names)).filter(sum))
    total = sum(parts)
    return {name: part / total for name, part in zip(names, parts, strict=True)}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "mine.json"


def fixed(file: Path, domains: Any, **params: Any) -> dict[str, float]:
    """Do what the suite does with method `fixed`: check the config, then ask for the weights."""
    params = registry.parameters("fixed", {"file": str(file), **params}, "config")
    method, ours = registry.get("fixed"), tuple(domains)
    method.check(params, ours, {"tokenizer_fingerprint": FINGERPRINT})
    found = method.weights(MethodInputs(ours, dict.fromkeys(ours, 1), params, 0, 10))
    return found.schedule.stages[0].weights


def dressed(draw: st.DrawFn, name: str) -> str:
    """Return a name as somebody else spells it."""
    return draw(
        st.sampled_from(
            [name, name.upper(), name.title(), name.replace("_", "-"), f" {name}) ".replace("_", " (")]
        )
    )


def form(draw: st.DrawFn, weights: Any) -> Any:
    """Return what a file holds: a plain mapping, or a weights file of this suite."""
    stage = {"start_step": 0, "weights": weights}
    return draw(
        st.sampled_from(
            [weights, {"stages": [stage]}, {"stages": [stage], "tokenizer_fingerprint": FINGERPRINT}]
        )
    )


@given(st.data(), mixtures())
def test_whole_mixtures_are_taken(file: Path, data: st.DataObject, weights: dict[str, float]) -> None:
    theirs = {dressed(data.draw, name): weight for name, weight in weights.items()}
    rename = dict(zip(weights, theirs, strict=True))
    given_rename = data.draw(
        st.sampled_from([None, rename, {name: domain for domain, name in rename.items()}])
    )
    file.write_text(json.dumps(form(data.draw, theirs)), encoding="utf-8")
    found = tally.accepts(FIXED, lambda: fixed(file, weights, rename=given_rename))
    assert found == pytest.approx(weights, abs=1e-9)


@given(st.data(), mixtures())
def test_malformed_mixtures_are_refused(file: Path, data: st.DataObject, weights: dict[str, float]) -> None:
    domains, content = list(weights), dict[str, Any](weights)
    name = max(weights, key=weights.__getitem__)
    kind = data.draw(st.integers(0, 8))
    if kind == 0:
        factor = data.draw(st.floats(0, 0.9) | st.floats(1.1, 9))
        content = {d: w * factor for d, w in weights.items()}
    elif kind == 1:
        other = next(d for d in domains if d != name)
        content |= {name: 1.25, other: weights[other] + weights[name] - 1.25}
    elif kind == 2:
        content[name] = data.draw(spoil.ODD)
    elif kind == 3:
        del content[name]
        content["zzzzzzzz"] = weights[name]
    elif kind == 4:
        content |= {"zzzzzzzz": weights[name] / 2, name: weights[name] / 2}
    elif kind == 5:
        content = {**content, name.upper() + "!": weights[name] / 2, name.upper(): weights[name] / 2}
        del content[name]
    elif kind == 6:
        content = data.draw(
            st.sampled_from([{"stages": []}, {"stages": [content]}, [content], 3, "x", None, {}])
        )
    elif kind == 7:
        content = {"stages": [{"start_step": 0, "weights": data.draw(spoil.ODD)}]}
    else:
        content = {"stages": [{"start_step": 0, "weights": content}]}
        content["tokenizer_fingerprint"] = data.draw(st.sampled_from(["1" * 64, 3, []]))
    whole = form(data.draw, content) if kind < 6 else content
    file.write_text(json.dumps(whole), encoding="utf-8")
    tally.refuses(FIXED, ["mine.json: "], lambda: fixed(file, domains))


@given(st.data(), mixtures())
def test_spoilt_mixtures_are_refused(file: Path, data: st.DataObject, weights: dict[str, float]) -> None:
    file.write_bytes(data.draw(spoil.text(weights)))
    tally.refuses(FIXED, ["mine.json: "], lambda: fixed(file, weights))


@given(st.data(), mixtures())
def test_malformed_renames_are_refused(file: Path, data: st.DataObject, weights: dict[str, float]) -> None:
    theirs = {f"{name} of theirs": weight for name, weight in weights.items()}
    rename: Any = dict(zip(weights, theirs, strict=True))
    first, second, *_ = weights
    kind = data.draw(st.integers(0, 4))
    if kind == 0:
        rename = data.draw(spoil.ODD.filter(lambda odd: odd != {}))
    elif kind == 1:
        rename[first] = data.draw(st.sampled_from([None, 3, "nobody", [rename[first]]]))
    elif kind == 2:
        rename["nobody"] = rename.pop(first)
    elif kind == 3:
        rename[first] = rename[second]
    else:
        del rename[first]
    file.write_text(json.dumps(theirs), encoding="utf-8")
    tally.refuses(FIXED, ["rename"], lambda: fixed(file, weights, rename=rename))


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    """Return the contents of a weights file as this suite writes it."""
    weights = draw(mixtures())
    starts = [0, *sorted(draw(st.sets(st.integers(1, 99), max_size=2)))]
    return {
        "scenario": "s",
        "method": "m",
        "registered": "m",
        "method_version": 1,
        "params": {},
        "seed": draw(st.integers(0, 9)),
        "domains": list(weights),
        "online": len(starts) > 1,
        "stages": [{"start_step": start, "weights": dict(weights)} for start in starts],
        "diagnostics": {},
        "tokenizer_sha256": "t",
        "tokenizer_fingerprint": FINGERPRINT,
        "corpora_sha256": {"c": "d"},
    }


def corpora(content: dict[str, Any]) -> Any:
    return {domain: SimpleNamespace(tokenizer_sha256="t") for domain in content["domains"]}


@given(schedules())
def test_whole_schedules_are_read(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
    found = tally.accepts(SCHEDULE, lambda: read_weights(file, corpora(content)))
    assert [(s.start_step, s.weights) for s in found.stages] == [
        (s["start_step"], s["weights"]) for s in content["stages"]
    ]


@given(st.data(), schedules())
def test_malformed_schedules_are_refused(file: Path, data: st.DataObject, content: dict[str, Any]) -> None:
    known = corpora(content)
    stage = data.draw(st.sampled_from(content["stages"]))
    name = max(stage["weights"], key=stage["weights"].__getitem__)
    kind = data.draw(st.integers(0, 8))
    if kind == 0:
        del content[data.draw(st.sampled_from(sorted(content)))]
    elif kind == 1:
        content["extra"] = 0
    elif kind == 2:
        content[data.draw(st.sampled_from(sorted(content)))] = data.draw(
            st.sampled_from([None, 1.5, [0], [[]]])
        )
    elif kind == 3:
        stage["weights"][name] += data.draw(st.floats(-0.19, -1e-6) | st.floats(1e-6, 9))
    elif kind == 4:
        stage["weights"][name] = data.draw(spoil.ODD)
    elif kind == 5:
        stage["weights"] = {"zz" if d == name else d: w for d, w in stage["weights"].items()}
    elif kind == 6:
        stage["start_step"] = data.draw(
            st.sampled_from([-1, 0.5, None, "0", 500, content["stages"][-1]["start_step"] + 500])
        )
        if (
            stage is content["stages"][-1]
            and len(content["stages"]) > 1
            and stage["start_step"] not in (None, "0", 0.5)
        ):
            stage["start_step"] = content["stages"][-2]["start_step"]
    elif kind == 7:
        content["tokenizer_sha256"] = "u"
    else:
        known = {**known, "zz": known[name]}
    file.write_text(json.dumps(content), encoding="utf-8")
    tally.refuses(SCHEDULE, ["mine.json: "], lambda: read_weights(file, known))


@given(st.data(), schedules())
def test_spoilt_schedules_are_refused(file: Path, data: st.DataObject, content: dict[str, Any]) -> None:
    file.write_bytes(data.draw(spoil.text(content)))
    tally.refuses(SCHEDULE, ["mine.json: "], lambda: read_weights(file, corpora(content)))


@given(st.data(), schedules())
def test_random_edits_end_in_one_line_or_in_weights(
    file: Path, data: st.DataObject, content: dict[str, Any]
) -> None:
    known = corpora(content)
    file.write_bytes(data.draw(spoil.edits(json.dumps(content).encode())))
    tally.survives(SCHEDULE, ["mine.json: "], lambda: read_weights(file, known))
    tally.survives(FIXED, ["mine.json: "], lambda: fixed(file, known))
