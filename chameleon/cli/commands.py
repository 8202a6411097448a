"""Commands for people: each is a function, its arguments the function's parameters, as those of jobs are.

A parameter is annotated with its type and its help (`Annotated[int, "samples"]`), and, where the type does
not say all, with what argparse shall be told beside it. Parameters after `*` are options, the others go by
their place; a sequence takes several words; what has no default must be given.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin


class Command(NamedTuple):
    """What does a command (its docstring's first line describes it), and an example for its help."""

    handler: Callable[..., int | None]
    example: str


def add(parsers: Any, commands: Mapping[str, Command]) -> None:
    """Add commands to a parser's subcommands (what `add_subparsers` returned)."""
    for name, command in commands.items():
        text = (command.handler.__doc__ or "").strip().splitlines()[0]
        said = text[0].lower() + text[1:].rstrip(".")
        sub = parsers.add_parser(name, help=said, description=text, epilog=f"example: {command.example}")
        sub.set_defaults(handler=command.handler)
        for parameter in inspect.signature(command.handler).parameters.values():
            word, settings = argument(parameter)
            sub.add_argument(word, **settings)


def argument(parameter: inspect.Parameter) -> tuple[str, dict[str, Any]]:
    """Return a parameter as argparse takes it: the word, and what belongs to it."""
    form, text, *more = get_args(parameter.annotation)
    inner = [part for part in get_args(form) or [form] if part is not NoneType]
    settings: dict[str, Any] = {"help": text}
    given = parameter.default is not parameter.empty
    if given:
        settings["default"] = parameter.default
    if get_origin(form) is Literal:
        settings["choices"] = inner
    elif form is bool:
        settings["action"] = "store_true"
    else:
        settings["type"] = inner[0]
    if get_origin(form) is Sequence:
        settings["nargs"] = "+" if parameter.default else "*"
    if parameter.kind is parameter.KEYWORD_ONLY:
        settings["required"] = not given
        return f"--{parameter.name.replace('_', '-')}", settings | dict(*more)
    if given:
        settings.setdefault("nargs", "?")
    return parameter.name, settings | dict(*more)
