"""`carry`, `play`, `merge`: the commands that have jobs done on a machine without Snakemake."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from chameleon.cli.commands import Command

_Configs = Annotated[Sequence[Path], "configs laid over config.yaml"]


def carry(
    *,
    configfile: _Configs = (),
    out: Annotated[Path, "file to write (default carried.tar.gz)"] = Path("carried.tar.gz"),
) -> None:
    """Pack the jobs that train and measure, and what they read, for a machine that has torch alone."""
    from chameleon.carrying.carry import carry as work

    print(work(configfile, out))


def play(
    carried: Annotated[Path, "what `carry` wrote"],
    *,
    jobs: Annotated[int, "jobs at a time, on one GPU (default 1)"] = 1,
    minutes: Annotated[float | None, "after which it is over; what runs is saved"] = None,
    out: Annotated[Path, "file to write (default played.tar.gz)"] = Path("played.tar.gz"),
) -> None:
    """Do carried jobs, several at a time, and pack what came out of them; called again, it goes on."""
    from chameleon.carrying.play import play as work

    work(carried, out, jobs, minutes)


def merge(played: Annotated[Path, "what `play` wrote"], *, configfile: _Configs = ()) -> None:
    """Take over what came back, so that the workflow goes on from it."""
    from chameleon.carrying.merge import merge as work

    print(work(played, configfile))


COMMANDS = {
    "carry": Command(carry, "chameleon carry --configfile configs/one_gpu.yaml"),
    "play": Command(play, "python -m chameleon play carried.tar.gz --jobs 6 --minutes 9"),
    "merge": Command(merge, "chameleon merge played.tar.gz --configfile configs/one_gpu.yaml"),
}
