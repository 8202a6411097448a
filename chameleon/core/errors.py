"""The exceptions that end a command on purpose: printed as a single line, without a traceback."""


class UserError(Exception):
    """Bad input. The message names the file, the key, the value and the valid choices.

    `chameleon.cli` prints it and exits with 2; everything else is a bug and keeps its traceback. A message is
    one line, whatever the names in it hold: a domain may be called "a\\nb".
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


class Diverged(UserError):
    """A run whose loss is not finite or has exploded; the message names the step.

    Attributes:
        step: optimizer steps done before.
        learning_rate: of the step that failed.
        domains: of its batch.
    """

    def __init__(self, message: str, step: int, learning_rate: float, domains: list[str]) -> None:
        super().__init__(message)
        self.step, self.learning_rate, self.domains = step, learning_rate, domains


class Interrupted(Exception):
    """A signal stopped a job that goes on when it is started again; exit code 75 (try again)."""


def choices(value: object, valid: object) -> str:
    """Return `'x' is not one of a, b, c` for a message; `valid` is any iterable of names."""
    names = ", ".join(str(v) for v in valid)  # type: ignore[attr-defined]
    return f"{value!r} is not one of {names or '(nothing)'}"


def shown(value: object, most: int = 60) -> str:
    """Return a value for a message: as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
