"""Parameters of a method: what each is if nobody says otherwise, and what it may be.

A method declares them (`Method.parameters`), so that all methods refuse the same mistakes in the same words:
UserError with the parameter, the value and what was expected. NaN and infinity are no numbers here; true and
false are neither numbers nor counts. What several parameters decide together, `Method.check` checks, with the
functions below.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from chameleon.core.errors import UserError, choices

#: In a parameter `target`: the mean over all domains.
MEAN = "mean"


@dataclass(frozen=True)
class Parameter:
    """A parameter with a rule.

    Attributes:
        default: its value where the config says nothing.
        check: refuses values; gets the parameter as the user wrote it, the value, and the domains.
        optional: whether it may be null.
        asks: of the label of another method: for the results of its extra runs, or for its weights.
    """

    default: Any
    check: Callable[[str, Any, Sequence[str]], None]
    optional: bool = False
    asks: Literal["", "runs", "weights"] = ""


def number(default: float | None, optional: bool = False, **bounds: float) -> Parameter:
    """Return the parameter that is a finite number within bounds, those of `is_number`.

    One whose default is None may be null, `optional` or not; so with `whole`.
    """
    null = optional or default is None
    return Parameter(default, lambda key, given, _: check_number(key, given, optional=null, **bounds), null)


def whole(default: int | None, least: int, most: int | None = None, optional: bool = False) -> Parameter:
    """Return the parameter that is a whole number from `least` to `most`."""
    null = optional or default is None
    return Parameter(default, lambda key, given, _: check_whole(key, given, least, null, most), null)


def flag(default: bool) -> Parameter:
    """Return the parameter that is true or false."""
    return Parameter(default, lambda key, given, _: check_flag(key, given))


def one_of(default: str, valid: Iterable[str]) -> Parameter:
    """Return the parameter that is one of some words."""
    return Parameter(default, lambda key, given, _: check_word(key, given, valid))


def target(default: str | None = MEAN) -> Parameter:
    """Return the parameter that names one domain, or is the default (MEAN or null): all of them."""
    null, words = default is None, [] if default is None else [default]
    return Parameter(default, lambda key, given, names: check_word(key, given, [*words, *names], null), null)


def runs_of(default: str) -> Parameter:
    """Return the parameter that is the label of a method whose extra runs are read."""
    return Parameter(default, lambda key, given, _: check_label(key, given), asks="runs")


def weights_of(default: str | None = None, optional: bool = False) -> Parameter:
    """Return the parameter that is the label of a method whose weights are used."""
    return Parameter(default, lambda key, given, _: check_label(key, given, optional), optional, "weights")


def check_number(where: str, value: object, *, optional: bool = False, **bounds: float) -> None:
    """Refuse what is not a finite number within bounds, those of `is_number` (nor, if `optional`, None)."""
    if not is_number(value, **bounds) and not (optional and value is None):
        _refuse(where, value, _within("number", **bounds), optional)


def check_whole(
    where: str, value: object, least: int, optional: bool = False, most: int | None = None
) -> None:
    """Refuse what is not a whole number from `least` to `most` (nor, if `optional`, None)."""
    if optional and value is None:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        _refuse(where, value, _within("whole number", least=least, most=most), optional)


def check_flag(where: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        _refuse(where, value, "true or false", False)


def check_label(where: str, value: object, optional: bool = False) -> None:
    """Refuse what cannot be the label of a method (nor, if `optional`, None)."""
    if not (isinstance(value, str) and value) and not (optional and value is None):
        _refuse(where, value, "the label of a method", optional)


def check_word(where: str, value: object, valid: Iterable[str], optional: bool = False) -> None:
    """Refuse what is not one of some words (nor, if `optional`, None)."""
    if value not in [*valid] and not (optional and value is None):
        raise UserError(f"{where}: {choices(value, valid)}")


def is_number(
    value: object,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> bool:
    """Return whether `value` is a finite number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not abs(value) <= sys.float_info.max:  # NaN, infinity, and whole numbers beyond float64
        return False
    fits = [above is None or value > above, least is None or value >= least]
    return all([*fits, below is None or value < below, most is None or value <= most])


def _within(kind: str, **bounds: float | None) -> str:
    words = {"above": "above", "least": "of at least", "below": "below", "most": "at most"}
    said = [f"{word} {bounds[key]:g}" for key, word in words.items() if bounds.get(key) is not None]
    return f"a {kind} {' and '.join(said)}".rstrip()


def _refuse(where: str, value: object, wanted: str, optional: bool) -> NoReturn:
    raise UserError(f"{where}: {value!r} is not {wanted}{', or null' if optional else ''}")
