"""Checks of a method's parameters, so that all methods refuse the same mistakes in the same words.

Used by `Method.check`. Each raises UserError with `where` (the parameter, as the user wrote it), the value
and what was expected. NaN and infinity are no numbers here; true and false are neither numbers nor counts.
"""

import sys
from typing import NoReturn

from chameleon.core.errors import UserError


def check_number(
    where: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    optional: bool = False,
) -> None:
    """Refuse what is not a finite number within the bounds (nor, if `optional`, None)."""
    if optional and value is None:
        return
    if is_number(value, above, least, below, most):
        return
    _refuse(where, value, _within("number", above, least, below, most), optional)


def check_whole(
    where: str, value: object, least: int, optional: bool = False, most: int | None = None
) -> None:
    """Refuse what is not a whole number from `least` to `most` (nor, if `optional`, None)."""
    if optional and value is None:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        _refuse(where, value, _within("whole number", None, least, None, most), optional)


def check_flag(where: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        _refuse(where, value, "true or false", False)


def check_label(where: str, value: object, optional: bool = False) -> None:
    """Refuse what cannot be the label of a method (nor, if `optional`, None)."""
    if not (isinstance(value, str) and value) and not (optional and value is None):
        _refuse(where, value, "the label of a method", optional)


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


def _within(
    kind: str, above: float | None, least: float | None, below: float | None, most: float | None
) -> str:
    bounds = [(above, "above"), (least, "of at least"), (below, "below"), (most, "at most")]
    said = [f"{words} {bound:g}" for bound, words in bounds if bound is not None]
    return f"a {kind} {' and '.join(said)}".rstrip()


def _refuse(where: str, value: object, wanted: str, optional: bool) -> NoReturn:
    raise UserError(f"{where}: {value!r} is not {wanted}{', or null' if optional else ''}")
