"""The registry of corpus kinds and the calls that the other stages make on a corpus entry of the config.

First stage of the flow. A kind is one module in this package with a class under `@register("name")`; the
config's `kind:` picks it. Nothing heavy is imported until documents are read.
"""

import importlib
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.digest import digest
from chameleon.data.corpora.fields import DOMAIN_FIELD

#: Values of a domain field that a message lists at most.
MOST_VALUES = 30

Entry = Mapping[str, Any]
# Name, package, version, file, registry, sha256, bytes, licence, redistributable of one source of text.
Source = dict[str, Any]

#: Schemas that several kinds' keys share: a text, one that may be left out, a list of domains.
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"], "minLength": 1}
DOMAINS: dict[str, Any] = {"type": ["array", "null"], "items": TEXT, "minItems": 1, "uniqueItems": True}


@dataclass(frozen=True)
class Unit:
    """A stretch of a corpus's text that is read in one go; all units, in order, are the whole of it.

    Attributes:
        domain: whose text it is; None: rows of several domains.
        at: what the kind knows it by.
        size: in a measure of the kind's own, by which work is shared out.
    """

    domain: str | None
    at: Any = None
    size: int = 1


@dataclass
class Tally:
    """What is met besides documents; those of several units add up.

    Attributes:
        skipped: by domain, rows that are passed over, by reason (constants of `corpora.fields`).
        found: domains that rows were found of.
        values: values of a domain field, the first few.
    """

    skipped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    found: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)


class CorpusKind(Protocol):
    """What a kind of corpus provides; every method gets the corpus entry of the config."""

    @property
    def keys(self) -> Mapping[str, Any]:
        """Keys an entry of this kind may have beside `kind`, each with the JSON schema of its value."""

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the domain names: cheap and pure, called while the workflow is planned."""

    def units(self, entry: Entry, domains: Sequence[str]) -> list[Unit]:
        """Return the stretches in which these domains' text is read, in a fixed order; say what is not.

        They depend on the text alone, not on who reads them.
        """

    def read(
        self, entry: Entry, unit: Unit, domains: Sequence[str], tally: Tally
    ) -> Iterator[tuple[str, str]]:
        """Yield (domain, document) of a unit in a fixed order: those of these domains, in one pass."""

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Return where one domain's text comes from, fetching it if it can be fetched ahead."""

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return one domain's `title`, `stands_for` and `differs` (one sentence each, may be empty)."""

    def files(self, entry: Entry, domains: Sequence[str]) -> list[Path]:
        """Return the user's own files that the domains' text is read from: none where it comes pinned."""


_KINDS: dict[str, CorpusKind] = {}


def register(name: str) -> Callable[[type[CorpusKind]], type[CorpusKind]]:
    """Class decorator: make `kind: <name>` of the config mean this class."""

    def add(cls: type[CorpusKind]) -> type[CorpusKind]:
        _KINDS[name] = cls()
        return cls

    return add


@cache
def kinds() -> dict[str, CorpusKind]:
    """Return every kind by name, after importing the modules beside this one."""
    package = importlib.import_module("chameleon.data.corpora.kinds")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"chameleon.data.corpora.kinds.{module.name}")
    return dict(sorted(_KINDS.items()))


def find_kind(entry: Entry, name: str = "corpus") -> CorpusKind:
    """Return the kind of a corpus entry.

    Raises:
        UserError: unknown kind, or a key that this kind does not have.
    """
    if entry.get("kind") not in kinds():
        raise UserError(f"corpora.{name}.kind: {choices(entry.get('kind'), kinds())}")
    kind = kinds()[entry["kind"]]
    for key in entry:
        if key != "kind" and key not in kind.keys:
            raise UserError(
                f"corpora.{name}: unknown key {key!r}; valid keys: {', '.join(sorted(kind.keys))}"
            )
    return kind


def domain_names(name: str, entry: Entry) -> list[str]:
    """Return the domain names of the corpus `name`, in their fixed order.

    Raises:
        UserError: unknown kind, set, key or domain; a missing folder; no domains; a name unfit for a file.
    """
    names = find_kind(entry, name).domains(name, entry)
    if not names:
        raise UserError(f"corpora.{name}: no domains")
    for domain in names:
        if why := unfit(domain):
            raise UserError(f"corpora.{name}: domain {domain!r} {why}")
    return names


def unfit(domain: str) -> str:
    """Return why a domain cannot have this name; empty if it can."""
    if domain.isidentifier():
        return ""
    odd = "".join(sorted({letter for letter in domain if not f"_{letter}".isidentifier()}))
    why = f"has {odd!r} in its name" if odd else "starts with a digit" if domain else "is empty"
    return f"{why}; it must be letters, digits and _, no digit first (it names files)"


def subset(name: str, entry: Entry, known: list[str]) -> list[str]:
    """Return `known`, or the entry's `domains` list after checking it against `known`."""
    wanted = entry.get("domains") or known
    for domain in wanted:
        if domain not in known:
            raise UserError(f"corpora.{name}.domains: {choices(domain, known)}")
    return list(wanted)


def refuse_missing(entry: Entry, domains: Sequence[str], tally: Tally) -> None:
    """Refuse domains that no row has: known when all units are read.

    Raises:
        UserError: names the values that rows have.
    """
    for domain in domains if entry.get(DOMAIN_FIELD) else ():
        if domain not in tally.found:
            more = f" (and more than {MOST_VALUES})" if len(tally.values) >= MOST_VALUES else ""
            said = choices(entry["domains"][domain], sorted(tally.values))
            raise UserError(f"corpus {entry['path']}: {DOMAIN_FIELD} {entry[DOMAIN_FIELD]!r}: {said}{more}")


def text_digest(entry: Entry, domains: Sequence[str]) -> str | None:
    """Return the identity of the user's own files (see `digest`), or None if a corpus has none."""
    found = find_kind(entry).files(entry, domains)
    return digest(entry["path"], found) if found else None


def pinned(entry: Entry) -> bool:
    """Return whether a corpus's text cannot change behind its entry: of the hub, only with a revision."""
    return entry["kind"] not in ("hf", "local") or bool(entry.get("revision"))


def domain_sources(entry: Entry, domain: str) -> list[Source]:
    """Return the sources of one domain's text (see `Source`)."""
    return find_kind(entry).sources(entry, domain)
