"""Configs: `load_files` on config.yaml under a changed configs/smoke.yaml, and on random YAML.

Malformed: not UTF-8, not YAML, several documents, no mapping at the top; a key twice, no text, or with a tag;
    an anchor that holds itself; a key that is unknown where the keys are known; a value of another type, a
    number out of range; the name of a scenario, corpus, method, scale, task or domain that does not exist.
"""

import copy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spoil
import tally
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chameleon.experiment.load import load_files

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "configs" / "smoke.yaml").read_text(encoding="utf-8")
SMOKE = yaml.safe_load(TEXT)
PARSER = "configs"
Where = tuple[str | int, ...]


def places(value: Any, where: Where = ()) -> Iterator[Where]:
    """Yield the place of every value inside a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*where, key)
        yield from places(inner, (*where, key))


def at(value: Any, where: Where) -> Any:
    for key in where:
        value = value[key]
    return value


def change(value: Any, where: Where, new: Any) -> Any:
    changed = copy.deepcopy(value)
    at(changed, where[:-1])[where[-1]] = new
    return changed


ALL = list(places(SMOKE))
LEAVES = [where for where in ALL if not isinstance(at(SMOKE, where), dict | list)]
NUMBERS = [where for where in LEAVES if type(at(SMOKE, where)) in (int, float)]
NAMES = [where for where in LEAVES if isinstance(at(SMOKE, where), str) and where[0] != "results_dir"]
#: Mappings whose keys are the user's own names.
OPEN = {("scenarios",), ("corpora",), ("method_params",), ("scales",)}
CLOSED = [(), *(where for where in ALL if isinstance(at(SMOKE, where), dict) and where not in OPEN)]


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield tmp_path_factory.mktemp("configs") / "overlay.yaml"


def load(overlay: Path) -> Any:
    return load_files([Path("config.yaml"), overlay])


@given(st.data())
@settings(max_examples=tally.EXAMPLES // 5)
def test_other_numbers_are_accepted(overlay: Path, data: st.DataObject) -> None:
    changed = copy.deepcopy(SMOKE)
    changed["seeds"] = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True))
    changed["corpora"]["toy"]["documents"] = data.draw(st.integers(1, 10**6))
    changed["data"]["split"] = data.draw(
        st.sampled_from([{"validation": 0.05, "test": 0.3}, {"validation": 0.2, "test": 0.2}])
    )
    changed["tokenizer"]["vocab_size"] = data.draw(st.integers(257, 50_000))
    changed["method_params"]["regmix"]["num_proxies"] = data.draw(st.integers(3, 20))
    changed["swarm"] = {"runs_per_job": data.draw(st.integers(1, 9))}
    changed["sensitivity"] = data.draw(st.sampled_from([None, SMOKE["sensitivity"]]))
    overlay.write_text(yaml.safe_dump(changed, sort_keys=data.draw(st.booleans())), encoding="utf-8")
    assert tally.accepts(PARSER, lambda: load(overlay)).seeds == changed["seeds"]


@given(st.data())
def test_wrong_values_are_refused(overlay: Path, data: st.DataObject) -> None:
    kind = data.draw(st.integers(0, 4))
    if kind == 0:
        changed = change(SMOKE, data.draw(st.sampled_from(LEAVES)), {"odd": [data.draw(st.integers())]})
    elif kind == 1:
        changed = change(
            SMOKE,
            data.draw(st.sampled_from(NUMBERS)),
            data.draw(st.sampled_from([-1, -0.5, "x", "", []])),
        )
    elif kind == 2:
        where = data.draw(st.sampled_from(CLOSED))
        changed = change(
            SMOKE, (*where, data.draw(st.sampled_from(["odd", "seed ", "trust_remote_code", "x-y"]))), 1
        )
    elif kind == 3:
        changed = change(
            SMOKE,
            data.draw(st.sampled_from(NAMES)),
            data.draw(st.sampled_from(["nope", "x y", 3, True, ["x"], ""])),
        )
    else:
        number = data.draw(st.sampled_from([float("nan"), float("inf"), 10**40, 1e308]))
        changed = change(SMOKE, data.draw(st.sampled_from(NUMBERS)), number)
    overlay.write_text(yaml.safe_dump(changed), encoding="utf-8")
    tally.refuses(PARSER, ["overlay.yaml", "corpora."], lambda: load(overlay))


#: What may not stand at the end of a config, or anywhere in it.
ENDS = [
    b"no: 1",
    b"3: 1",
    b"null: 1",
    b"? [a]\n: 1",
    b"x: !!python/object:os.x 1",
    b"x: !!set {a}",
    b"x: &a [*a]",
    b"x: *nowhere",
    b"<<: 3",
    b"x: 2020-01-01",
    b"x: 'open",
    b"seeds: [0]",
    b"run: [pretrain]",
    b"---\nseeds: [0]",
    b"- x",
    b"x: [",
]
NOT_MAPPINGS = [b"", b"# nothing\n", b"3", b"text", b"[seeds]", b"null", b"- a: 1\n", b"--- {}\n--- {}\n"]


@given(st.data())
def test_spoilt_texts_are_refused(overlay: Path, data: st.DataObject) -> None:
    content, lines = TEXT.encode(), TEXT.splitlines()
    kind = data.draw(st.integers(0, 5))
    if kind == 0:
        cut, odd = data.draw(st.integers(0, len(content))), [b"\xff", b"\x00", b"\xed\xa0\x80"]
        content = content[:cut] + data.draw(st.sampled_from(odd)) + content[cut:]
    elif kind == 1:
        content += data.draw(st.sampled_from(ENDS))
    elif kind == 2:
        line = data.draw(st.integers(0, len(lines) - 1))
        content = "\n".join([*lines[:line], "\todd: 1", *lines[line:]]).encode()
    elif kind == 3:
        content = data.draw(st.binary(max_size=60).filter(lambda data: b":" not in data))
    elif kind == 4:
        content = data.draw(st.sampled_from(NOT_MAPPINGS))
    else:
        names = ["a", *(f"b{i}" for i in range(9))]
        lists = [f"{name}: &{name} [{', '.join([f'*{one}'] * 10)}]" for one, name in pairwise(names)]
        content = "\n".join(["a: &a [x, x]", *lists]).encode()
    overlay.write_bytes(content)
    tally.refuses(PARSER, ["overlay.yaml"], lambda: load(overlay))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["pretrain", "cpu"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(sorted(SMOKE)), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_random_yaml_is_no_config(overlay: Path, value: Any) -> None:
    overlay.write_text(yaml.safe_dump(value), encoding="utf-8")
    tally.refuses(PARSER, ["overlay.yaml"], lambda: load_files([overlay]))


@given(st.data())
def test_random_edits_end_in_one_line_or_in_a_config(overlay: Path, data: st.DataObject) -> None:
    overlay.write_bytes(data.draw(spoil.edits(TEXT.encode())))
    tally.survives(PARSER, ["overlay.yaml", "corpora.", "evaluation."], lambda: load(overlay))
