"""`carry`, `play`, `merge`: the commands that have jobs done on a machine without Snakemake."""

import argparse
from pathlib import Path
from typing import Any

from chameleon.cli.commands import add, dashed


def carry(args: argparse.Namespace) -> None:
    """Pack the jobs that train and measure, and what they read, for a machine that has torch alone."""
    from chameleon.carrying.carry import carry as work

    print(work(args.configfile, args.out))


def play(args: argparse.Namespace) -> None:
    """Do carried jobs, several at a time, and pack what came out of them; called again, it goes on."""
    from chameleon.carrying.play import play as work

    work(args.carried, args.out, args.jobs, args.minutes)


def merge(args: argparse.Namespace) -> None:
    """Take over what came back, so that the workflow goes on from it."""
    from chameleon.carrying.merge import merge as work

    print(work(args.played, args.configfile))


COMMANDS = {"carry": carry, "play": play, "merge": merge}
EXAMPLES = {
    "carry": "chameleon carry --configfile configs/one_gpu.yaml",
    "play": "python -m chameleon play carried.tar.gz --jobs 6 --minutes 9",
    "merge": "chameleon merge played.tar.gz --configfile configs/one_gpu.yaml",
}
_CONFIG: dict[str, Any] = {
    "type": Path,
    "nargs": "*",
    "default": [],
    "help": "configs laid over config.yaml",
}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "carry": {
        "configfile": _CONFIG,
        "out": {
            "type": Path,
            "default": Path("carried.tar.gz"),
            "help": "file to write (default carried.tar.gz)",
        },
    },
    "play": {
        "carried": {"type": Path, "help": "what `carry` wrote"},
        "jobs": {"type": int, "default": 1, "help": "jobs at a time, on one GPU (default 1)"},
        "minutes": {"type": float, "default": None, "help": "after which it is over; what runs is saved"},
        "out": {
            "type": Path,
            "default": Path("played.tar.gz"),
            "help": "file to write (default played.tar.gz)",
        },
    },
    "merge": {"played": {"type": Path, "help": "what `play` wrote"}, "configfile": _CONFIG},
}
#: What is given without the name of an option.
NAMED = ("carried", "played")


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    arguments = {name: dashed(options, NAMED) for name, options in OPTIONS.items()}
    add(commands, COMMANDS, arguments, EXAMPLES)
