"""The one exception that a user's mistake raises: printed as a single line, exit code 2."""


class UserError(Exception):
    """Bad input. The message names the file, the key, the value and the valid choices.

    `chameleon.cli` prints it without a traceback; everything else is a bug and keeps its traceback.
    """


def choices(value: object, valid: object) -> str:
    """Return `'x' is not one of a, b, c` for a message; `valid` is any iterable of names."""
    names = ", ".join(str(v) for v in valid)  # type: ignore[attr-defined]
    return f"{value!r} is not one of {names or '(nothing)'}"
