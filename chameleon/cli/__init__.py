"""The command line: `chameleon COMMAND` for people, `chameleon job STAGE` for the workflow.

A user's mistake ends as one line on stderr and exit code 2; anything else is a bug and shows its traceback.
"""

import argparse
import sys
from collections.abc import Sequence

from chameleon.cli import jobs, people
from chameleon.core.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="chameleon",
        description="Data mixing for language-model training: weigh domains, compare methods fairly.",
        epilog="The benchmark itself is run by Snakemake: `make reproduce`, or `snakemake --cores all`.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    people.add_to(commands)
    jobs.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    args = parser().parse_args(argv)
    try:
        args.handler(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
