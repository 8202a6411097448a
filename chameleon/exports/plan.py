"""What an export says, before any format: the entries of every stage, their shares, and the notes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from chameleon.mixture import Domain

Unit = Literal["tokens", "documents"]


@dataclass(frozen=True)
class Entry:
    """A line of the exported file.

    Attributes:
        domain: whose text it is.
        name: unique; the domain's, with a number where a domain has several entries.
        slug: `name` in letters, digits and `_`, unique too.
        paths: what it reads; one where the format takes one path per weight.
        weight: as printed, in the format's unit.
    """

    domain: str
    name: str
    slug: str
    paths: tuple[str, ...]
    weight: Decimal

    @property
    def path(self) -> str:
        """The first path."""
        return self.paths[0]

    @property
    def files(self) -> str:
        """All paths, as one word."""
        return "+".join(self.paths)


@dataclass(frozen=True)
class Stage:
    """Entries in force from a step on; `requested`: token shares of the domains in them, before rounding."""

    start_step: int
    entries: tuple[Entry, ...]
    requested: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """What is to be exported.

    Attributes:
        trainer: name of the format.
        unit: of the weights.
        stages: one, unless the mixture moves and the format has stages.
        about: what is known of each domain.
        decimals: of the printed weights.
        budget: tokens of the run; None: not told.
        epochs: over each domain; None: without a budget, or where its tokens are not known.
        steps: of the run; None: not told.
        notes: what a reader must know, a line each.
    """

    trainer: str
    unit: Unit
    stages: tuple[Stage, ...]
    about: Mapping[str, Domain]
    decimals: int
    budget: float | None
    epochs: Mapping[str, float | None]
    steps: int | None
    notes: tuple[str, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries of the only (or first) stage."""
        return self.stages[0].entries


@dataclass(frozen=True)
class Format:
    """A trainer's format.

    Attributes:
        name: as `--to` takes it.
        unit: what its weights are shares of.
        files: that it writes, main file first.
        write: a plan to texts by file name.
        read: a folder to (key, weight) per entry, per stage; refuses what the trainer would refuse.
        use: how the trainer takes it, `{out}` being the folder.
        key: which field of an entry stands in the file.
        one_path: each weight belongs to one path: a domain of several has as many entries.
        staged: weights may change over steps.
        draws: how its trainer picks: at random, in shares (nothing left to chance), or levanter's blocks.
        notes: what a reader of any export to it must know.
        shards: pattern of the token files that it reads, where it reads no text.
    """

    name: str
    unit: Unit
    files: tuple[str, ...]
    write: Callable[[Plan], dict[str, str]]
    read: Callable[[Path], list[list[tuple[str, float]]]]
    use: str
    key: Literal["name", "path", "files", "slug"] = "name"
    one_path: bool = False
    staged: bool = False
    draws: Literal["random", "shares", "blocks"] = "random"
    notes: tuple[str, ...] = ()
    shards: str = ""
