"""A stage's code does not change unnoticed: bump its version, or say that its numbers stay.

`tests/golden/stage_sources.json` holds, per stage, the version and a digest of the stage's sources without
comments, docstrings and layout. After a change, either bump the stage in `chameleon/core/versions.py` (its
numbers change: the jobs must run again) or not (a faster form, a better message); then, in both cases,

    python tests/unit/test_versions.py --acknowledge

rewrites the golden file, which goes into the same commit.
"""

import ast
import hashlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from stage_sources import SOURCES

from chameleon.core.artifacts import write_json
from chameleon.core.versions import STAGES
from chameleon.mixing import registry

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "stage_sources.json"
COMMAND = "python tests/unit/test_versions.py --acknowledge"


def shape(node: Any) -> Any:
    """Return a syntax tree as nested lists, without strings that only document and without empty fields.

    `ast.dump` would do, but what it writes for empty fields differs between versions of Python.
    """
    if isinstance(node, ast.AST):
        fields = [[name, shape(value)] for name, value in ast.iter_fields(node)]
        return [type(node).__name__, *(field for field in fields if field[1] not in ("None", []))]
    if isinstance(node, list):
        return [shape(item) for item in node if not documents(item)]
    return repr(node)


def documents(node: Any) -> bool:
    """Return whether a statement is a bare string: a docstring, or one below an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def digest(sources: dict[str, str]) -> str:
    """Return the digest of the code in `sources` (path -> text)."""
    trees = [
        [path, shape(ast.parse(text)) if path.endswith(".py") else text]
        for path, text in sorted(sources.items())
    ]
    return hashlib.sha256(json.dumps(trees).encode()).hexdigest()


def read_sources(stage: str) -> dict[str, str]:
    paths = {path for pattern in SOURCES[stage] for path in ROOT.glob(pattern)}
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def current(stage: str) -> dict[str, Any]:
    return {"version": STAGES[stage], "digest": digest(read_sources(stage))}


def methods() -> dict[str, dict[str, Any]]:
    """Return version and digest of every method that the suite ships, by name."""
    found = {}
    for name in registry.names():
        method = registry.get(name)
        file = Path(inspect.getfile(type(method)))
        if file.is_relative_to(ROOT) and "tests" not in file.relative_to(ROOT).parts:
            text = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")}
            found[name] = {"version": method.version, "digest": digest(text)}
    return found


def everything() -> dict[str, Any]:
    return {**{stage: current(stage) for stage in STAGES}, "methods": methods()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_changes_with_its_version(stage):
    known, now = json.loads(GOLDEN.read_text(encoding="utf-8")).get(stage), current(stage)
    if now == known:
        return
    if known is not None and now["version"] == known["version"]:
        files = ", ".join(sorted(read_sources(stage)))
        pytest.fail(
            f"code of stage {stage!r} changed ({files}) but not its version. If its numbers change, bump "
            f"STAGES[{stage!r}] in chameleon/core/versions.py. Then, either way: {COMMAND}"
        )
    pytest.fail(f"stage {stage!r} has another version than {GOLDEN.name} knows: {COMMAND}")


def test_every_stage_has_sources_and_every_pattern_a_file():
    assert set(SOURCES) == set(STAGES)
    assert {*STAGES, "methods"} == set(json.loads(GOLDEN.read_text(encoding="utf-8")))
    for stage, patterns in SOURCES.items():
        for pattern in patterns:
            assert list(ROOT.glob(pattern)), f"{stage}: {pattern}"


def test_a_method_changes_with_its_version():
    known, now = json.loads(GOLDEN.read_text(encoding="utf-8"))["methods"], methods()
    assert len(now) >= 9
    same = [n for n in now if n in known and now[n]["version"] == known[n]["version"]]
    silent = [n for n in same if now[n] != known[n]]
    assert not silent, (
        f"code of method {', '.join(silent)} changed but not its `version`. Bump it if the weights change "
        f"for the same inputs. Then, either way: {COMMAND}"
    )
    assert now == known, COMMAND


CODE = '''"""What the module does."""

LIMIT = 3  # a number


class Thing:
    """What it is."""

    size: int = 4
    """How large."""

    def double(self, x: float) -> float:
        """Return twice x."""
        return 2 * x
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a number", "# another remark"),
        ('"""What the module does."""', ""),
        ("Return twice x.", "Return 2x.\n\n        At length."),
        ('    """How large."""\n', ""),
        ("2 * x", "(2 *\n                x)"),
        ("LIMIT = 3", "\n\nLIMIT    =    0b11"),
    ],
)
def test_comments_docstrings_and_layout_are_no_code(old, new):
    assert old in CODE
    assert digest({"a.py": CODE.replace(old, new)}) == digest({"a.py": CODE})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("2 * x", "x * 2"),
        ("2 * x", "2 + x"),
        ("double", "twice"),
        ("x: float", "x: float = 0"),
        ("class Thing", "class Thing(dict)"),
        ("return 2 * x", "f'{x!r}'; return 2 * x"),
    ],
)
def test_a_change_of_code_is_noticed(old, new):
    assert old in CODE
    assert digest({"a.py": CODE.replace(old, new)}) != digest({"a.py": CODE})


def test_a_moved_or_new_file_is_noticed():
    one = {"a.py": CODE, "b.py": ""}
    assert len({digest(one), digest({"a.py": CODE}), digest({"c.py": CODE, "b.py": ""})}) == 3
    assert digest(dict(reversed(one.items()))) == digest(one)
    assert digest({"a.py": '"""Only this."""'}) == digest({"a.py": ""})
    assert digest({"a.js": "// Only this."}) != digest({"a.js": ""})


if __name__ == "__main__":
    if sys.argv[1:] != ["--acknowledge"]:
        sys.exit(f"usage: {COMMAND}")
    write_json(GOLDEN, everything())
