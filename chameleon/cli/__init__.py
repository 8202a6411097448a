"""The command line: `chameleon COMMAND` for people, `chameleon job STAGE` for the workflow.

A user's mistake ends as one line on stderr and exit code 2; anything else is a bug and shows its traceback.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from chameleon.cli import carrying, commands, export, jobs, mixtures, people
from chameleon.core.errors import Interrupted, UserError

#: Exit code of a job that a signal stopped and that goes on when it is called again (EX_TEMPFAIL).
INTERRUPTED = 75
#: What a full, read-only or forbidden disk says: nobody's bug.
BROKEN_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="chameleon",
        description="Data mixing for language-model training: weigh domains, compare methods fairly.",
        epilog="The benchmark itself is run by Snakemake: `make reproduce`, or `snakemake --cores all`.",
    )
    parsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for group in (mixtures, export, people, carrying):
        commands.add(parsers, group.COMMANDS)
    jobs.add_to(parsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    given = vars(parser().parse_args(argv))
    handler = given.pop("handler")
    if given.pop("command") == "job":
        given["argv"] = sys.argv[1:] if argv is None else argv
    try:
        code = handler(**given)
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `chameleon plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in BROKEN_DISK:
            raise
        print(f"error: {error.filename or 'disk'}: {error.strerror}", file=sys.stderr)
        return 2
    except Interrupted as error:
        print(f"stopped: {error}; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    return code or 0
