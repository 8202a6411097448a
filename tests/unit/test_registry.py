"""The registry of methods: names, requirements, folders of the user's own methods; the interface's types."""

import pytest

from chameleon.core.errors import UserError
from chameleon.mixing import registry
from chameleon.mixing.method import Method
from chameleon.mixing.schedule import MixtureSchedule, Stage

SOURCE = """
from chameleon.mixing.method import Method
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixing.types import MethodResult
from chameleon.mixing.registry import register

@register
class Mine(Method):
    name = "{name}"
    defaults = {{"alpha": 1.0}}

    def weights(self, inputs):
        return MethodResult(MixtureSchedule.static({{d: 1 / len(inputs.domains) for d in inputs.domains}}))
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """What a test registers is gone after it."""
    registry.names()
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))
    monkeypatch.setattr(registry, "_scanned", set(registry._scanned))


def make(method_name, **attributes):
    return type("Made", (Method,), {"name": method_name, "__module__": f"made.{method_name}", **attributes})


def test_a_registered_class_is_found_by_name():
    cls = registry.register(make("mine"))
    assert isinstance(registry.get("mine"), cls) and "mine" in registry.names()
    assert registry.names() == sorted(registry.names())


@pytest.mark.parametrize("name", ["", "Mine", "my-method", "9lives", "a b", "_x", "a/b"])
def test_a_name_that_is_no_wildcard_is_refused(name):
    with pytest.raises(ValueError, match=r"must match \[a-z\]\[a-z0-9_\]\*"):
        registry.register(make(name))


def test_a_taken_name_is_refused_and_the_same_class_is_not():
    with pytest.raises(ValueError, match=r"'uniform' is used by baselines\.uniform and made\.uniform"):
        registry.register(make("uniform"))
    assert type(registry.get("uniform")).__module__ == "baselines.uniform"
    cls = make("mine")
    registry.register(cls)
    registry.register(cls)


def test_an_unknown_requirement_is_refused():
    with pytest.raises(ValueError, match="method mine: requires 'gradients' is not one of embeddings"):
        registry.register(make("mine", requires=frozenset({"embeddings", "gradients"})))


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(UserError, match="method 'doremy' is not one of .*chameleon, .*natural.*, uniform"):
        registry.get("doremy")


def test_parameters_overlay_the_defaults():
    registry.register(make("mine", defaults={"a": 1, "b": None}))
    assert registry.parameters("mine", {"b": 2}, "here") == {"a": 1, "b": 2}
    assert registry.get("mine").defaults == {"a": 1, "b": None}, "defaults are left alone"
    with pytest.raises(UserError, match="^here: unknown parameter 'c'; method mine takes: a, b$"):
        registry.parameters("mine", {"c": 2}, "here")


def test_a_folder_of_methods_is_scanned(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, name in ((one, "first_of_mine"), (two, "second_of_mine")):
        folder.mkdir()
        (folder / f"{name}.py").write_text(SOURCE.format(name=name))
    assert "first_of_mine" not in registry.names()
    monkeypatch.setenv(registry.METHOD_PATH, f"{one}:{two}:")
    assert {"first_of_mine", "second_of_mine", "uniform"} <= set(registry.names())
    assert registry.parameters("first_of_mine", {}, "") == {"alpha": 1.0}
    assert registry.get("first_of_mine") is registry.get("first_of_mine"), "a file is read once"


def test_a_users_file_cannot_take_a_name(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(SOURCE.format(name="uniform"))
    monkeypatch.setenv(registry.METHOD_PATH, str(tmp_path))
    with pytest.raises(
        ValueError, match=r"'uniform' is used by baselines\.uniform and chameleon_user_methods"
    ):
        registry.names()


def test_two_files_of_one_name_in_two_folders_are_told_apart(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(SOURCE.format(name="mine"))
    monkeypatch.setenv(registry.METHOD_PATH, f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    with pytest.raises(ValueError, match="'mine' is used by"):
        registry.names()


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.METHOD_PATH, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"^CHAMELEON_METHOD_PATH: .*nowhere: no such folder$"):
        registry.names()


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, "at least one domain"),
        ({"a": 0.5, "b": 0.4}, "sum to 0.9"),
        ({"a": 1.5, "b": -0.5}, "non-negative"),
        ({"a": float("nan"), "b": 1.0}, "finite"),
    ],
)
def test_weights_off_the_simplex_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        MixtureSchedule.static(weights)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ((), "starts at step 0"),
        ((Stage(1, {"a": 1.0}),), "starts at step 0"),
        ((Stage(0, {"a": 1.0}), Stage(5, {"a": 1.0}), Stage(5, {"a": 1.0})), "must increase"),
        ((Stage(0, {"a": 1.0}), Stage(5, {"b": 1.0})), "same domains"),
    ],
)
def test_a_schedule_out_of_order_is_refused(stages, words):
    with pytest.raises(ValueError, match=words):
        MixtureSchedule(stages)


def test_segments_fill_the_run():
    a, b = {"x": 1.0, "y": 0.0}, {"x": 0.25, "y": 0.75}
    schedule = MixtureSchedule((Stage(0, a), Stage(3, b), Stage(10, a)))
    assert schedule.domains == ("x", "y")
    assert schedule.segments(12) == [(3, a), (7, b), (2, a)]
    assert schedule.segments(10) == [(3, a), (7, b)]
    assert schedule.segments(2) == [(2, a)]
