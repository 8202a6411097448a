"""Every shipped method says, at the end of its file's docstring, where it differs from what it ports."""

import inspect
import re
from pathlib import Path

import pytest

from chameleon.mixing import registry

ROOT = Path(__file__).resolve().parents[2]
HEADING = re.compile(r"Known differences from (the paper|its code):")


def shipped():
    """Return the docstring of every shipped method's module, by the method's name."""
    found = {}
    for name in registry.names():
        module = inspect.getmodule(type(registry.get(name)))
        file = Path(module.__file__)
        if file.is_relative_to(ROOT) and "tests" not in file.relative_to(ROOT).parts:
            found[name] = module.__doc__
    return found


def ends_with_list(doc):
    """Return whether the last block is the heading, with bullets below it or `none` and why beside it."""
    first, *rest = inspect.cleandoc(doc or "").split("\n\n")[-1].split("\n")
    heading = HEADING.match(first)
    if heading is None:
        return False
    if beside := first[heading.end() :]:
        return re.fullmatch(r" none, .+\.", beside) is not None and not rest
    return bool(rest) and rest[0].startswith("- ") and all(re.match(r"(- |  )\S", line) for line in rest)


DOCS = shipped()


def test_all_methods_are_looked_at():
    assert set(DOCS) >= {"aioli", "chameleon", "doge", "doremi", "fixed", "natural", "regmix", "temperature",
                         "uniform", "unimax"}  # fmt: skip


@pytest.mark.parametrize("name", DOCS)
def test_the_docstring_ends_with_the_known_differences(name):
    assert ends_with_list(DOCS[name]), f"{name}: no list headed 'Known differences from ...' at the end"


LIST = "A method.\n\nKnown differences from its code:\n- One that\n  is long.\n- Another.\n"


def test_what_counts_as_such_an_end():
    assert ends_with_list(LIST)
    assert ends_with_list("A.\n\nKnown differences from the paper: none, it is a definition.\n")
    not_so = ["", "A method.", LIST + "\nCost: none.", LIST + "Cost: none.", LIST.replace("Known", "Some"),
              LIST.replace(":\n- One", ":\nOne"), LIST.replace("its code:", "its code"),
              "A.\n\nKnown differences from the paper:\n"]  # fmt: skip
    assert not [doc for doc in not_so if ends_with_list(doc)]
