"""Adding commands for people to the parser: one form for all of them."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any


def add(
    commands: Any,
    handlers: Mapping[str, Callable[[argparse.Namespace], int | None]],
    arguments: Mapping[str, Mapping[str, Mapping[str, Any]]],
    examples: Mapping[str, str],
) -> None:
    """Add commands to a parser's subcommands.

    Args:
        commands: what `add_subparsers` returned.
        handlers: what does each; the first line of its docstring describes it.
        arguments: of each, as argparse takes them: by their place, or with dashes.
        examples: of each, for its help.
    """
    for name, handler in handlers.items():
        text = (handler.__doc__ or "").strip().splitlines()[0]
        said = text[0].lower() + text[1:].rstrip(".")
        example = f"example: {examples[name]}"
        sub = commands.add_parser(name, help=said, description=text, epilog=example)
        sub.set_defaults(handler=handler)
        for argument, settings in arguments[name].items():
            sub.add_argument(argument, **settings)


def dashed(options: Mapping[str, Mapping[str, Any]], named: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """Return arguments with dashes before all names but those that go by their place."""
    return {name if name in named else f"--{name}": settings for name, settings in options.items()}
