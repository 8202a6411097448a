"""Values that YAML misreads, names that no file can have, code of others: refused with the remedy."""

import copy
import datetime
import math
from typing import Any

import pytest
from toy_config import put, refused

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import kinds
from chameleon.experiment.load import load

HUB = {"kind": "hf", "path": "set", "split": "train", "text_field": "text", "configs": {"a": "b"}}
FIELDS = {key: value for key, value in HUB.items() if key != "configs"} | {"domain_field": "year"}


MISREAD = {
    "no": ("corpora.h", HUB | {"configs": {"norsk": False}}, ["configs.norsk: False", '"no"']),
    "no for a key": (
        "corpora.h",
        HUB | {"configs": {False: "no"}},
        ["corpora.h.configs: the key False", '"no"'],
    ),
    "a year": ("corpora.h", {"kind": "local", "path": 2024}, ["corpora.h.path: 2024", '"2024"']),
    "years": ("corpora.h", FIELDS | {"domains": {2019: 2019}}, ["corpora.h.domains: the key 2019", '"2019"']),
    "a version": ("corpora.h", HUB | {"revision": 1.1}, ["corpora.h.revision: 1.1", '"1.1"']),
    "a date": (
        "corpora.h",
        HUB | {"revision": datetime.date(2024, 1, 2)},
        ["revision: 2024-01-02", "quotes"],
    ),
    "a power": ("corpora.h", HUB | {"max_documents": "1e3"}, ["max_documents: '1e3'", "write 1000"]),
    "a float": ("corpora.h", HUB | {"max_documents": 1000.0}, ["max_documents: 1000.0", "write 1000"]),
    "no documents": ("corpora.h", {"kind": "synthetic", "documents": 0}, ["corpora.h.documents: 0"]),
    "a list of configs": ("corpora.h", HUB | {"configs": ["a"]}, ["corpora.h.configs: ['a']"]),
    "thousands": ("scales.tiny.train.steps", "1,000", ["steps: '1,000'", "write 1000"]),
    "a small number": ("scales.tiny.train.lr", "1e-5", ["lr: '1e-5'", "write 1.0e-05"]),
    "two fields": ("corpora.h", HUB | {"text_field": ["a", "b"]}, ["text_field: ['a', 'b']", "not a list"]),
    "no field": ("corpora.h", HUB | {"text_field": None}, ["corpora.h.text_field: None", "write a text"]),
    "one domain": ("corpora.left.domains", "law", ["corpora.left.domains: 'law'", "write [law]"]),
    "one seed": ("seeds", 3, ["seeds: 3", "write [3]"]),
    "true": ("seeds", [True], ["seeds.0: True", "integer"]),
    "in words": (
        "corpora.h",
        HUB | {"streaming": "yes"},
        ["streaming: 'yes'", "true or false, without quotes"],
    ),
    "domains true": ("corpora.h", FIELDS | {"domains": {"a": True}}, ["corpora.h.domains.a: True", "quotes"]),
    "an entry of none": ("corpora.h", None, ["corpora.h: None", "object"]),
    "not a number": ("scales.tiny.train.lr", math.nan, ["scales.tiny.train.lr: nan"]),
    "infinite": ("data.split.test", math.inf, ["data.split.test: inf"]),
    "huge": ("seeds", [10**30], ["seeds.0: 1000000", "too large"]),
    "half a character": ("corpora.h", {"kind": "local", "path": "\ud800"}, ["corpora.h.path", "character"]),
    "layers": ("sensitivity", {"scenario": "toy", "layers": 3}, ["sensitivity.layers: 3", "write [3]"]),
    "a long value": ("method_params.chameleon", "x" * 5000, ["method_params.chameleon: 'xxx", "..."]),
    "a method of none": ("method_params.mine", {"method": 3}, ["method_params.mine.method: 3", '"3"']),
    "a mode of none": (
        "method_params.chameleon",
        {"mode": []},
        ["method_params.chameleon.mode: []", "pretrain"],
    ),
    "a scale of none": ("method_params.regmix", {"scale": ["tiny"]}, ["regmix: scale: ['tiny']"]),
    "a corpus's name": ("corpora.Mine", {"kind": "synthetic"}, ["corpora: the name 'Mine'", "lower-case"]),
    "a name that leads out": (
        "corpora.a/b",
        {"kind": "synthetic"},
        ["corpora: the name 'a/b'", "lower-case"],
    ),
    "a name of two lines": ("scenarios.toy\n", {}, ["scenarios: the key 'toy\\n'"]),
    "a long name": ("corpora." + "x" * 65, {"kind": "synthetic"}, ["corpora: the name 'xxx", "64"]),
    "a scale's name": ("scales.a/b", {}, ["scales: the name 'a/b'", "letters, digits"]),
    "a tokenizer of bpe": ("tokenizer.path", "tok", ["tokenizer.path: 'tok'", "only kind gpt2"]),
    "no tokenizer": (
        "tokenizer",
        {"kind": "gpt2", "path": "/no/tok"},
        ["tokenizer.path: no such folder: '/no/tok'"],
    ),
}


@pytest.mark.parametrize("name", MISREAD)
def test_what_was_misread_is_said_with_the_remedy(raw: dict[str, Any], name: str) -> None:
    path, value, words = MISREAD[name]
    raw["scenarios"]["toy"]["methods"].append("regmix")
    put(raw, path, value)
    message = refused(raw)
    assert not [word for word in words if word not in message], message


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    "path", ["", "corpora.left", "corpora.unused", "tokenizer", "method_params.chameleon"]
)
def test_code_of_others_is_refused_wherever_it_is_asked_for(
    raw: dict[str, Any], path: str, given: bool
) -> None:
    raw["corpora"]["unused"] = dict(HUB)
    put(raw, f"{path}.trust_remote_code".lstrip("."), given)
    with pytest.raises(UserError, match=rf"{path}.*trust_remote_code: refused: .* may not bring code"):
        load(raw)


def test_every_kind_says_the_type_of_its_keys(raw: dict[str, Any]) -> None:
    """A value of no key's type, for every key of every kind, whether the corpus is used or not."""
    for kind, found in kinds().items():
        for key in found.keys:
            raw["corpora"]["h"] = {"kind": kind, key: {"a": {"b": []}}}
            with pytest.raises(UserError, match=rf"corpora\.h\.{key}"):
                load(raw)


def test_a_kind_of_the_future_is_not_looked_at_unless_it_is_used(raw: dict[str, Any]) -> None:
    raw["corpora"]["h"] = {"kind": "web", "pages": 3}
    assert load(raw).corpora == ["left", "right"]


VALUES = (None, True, -1, 1.5, 1e308, "x", "", [], {}, [1], ["x"], [[]], {"a": 1}, [None], 10**9)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in a config."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_no_value_anywhere_ends_in_a_traceback(raw: dict[str, Any], value: Any) -> None:
    raw["method_params"] = {"chameleon": {"mode": "pretrain", "ridge": 10.0}, "mine": {"method": "natural"}}
    for path in places(raw)[1:]:
        given = copy.deepcopy(raw)
        target = given
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = copy.deepcopy(value)
        try:
            load(given, "my.yaml")
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
