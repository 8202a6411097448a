"""Corpus kind `local`: one folder per domain, holding files of JSON lines, Parquet or plain text.

`{kind: local, path: data/mine, text_field: text, domains: [subset]}`. A .txt file is one document; .jsonl,
.ndjson, .json and .parquet hold one per row, in `text_field`, which is looked up as in kind `hf`. All but
.parquet may be compressed (.gz, .zst, .bz2, .xz). `domains: {name: folder}` gives folders other names.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import (
    DOMAINS,
    OPTIONAL_TEXT,
    TEXT,
    Entry,
    Source,
    Tally,
    Unit,
    register,
    subset,
    unfit,
)
from chameleon.data.corpora.files import folder, rows

# Domains written out in a message.
_MOST_NAMES = 12


@register("local")
class LocalCorpus:
    """The user's own text files."""

    keys = {
        "path": TEXT,
        "text_field": OPTIONAL_TEXT,
        "domains": DOMAINS | {"type": [*DOMAINS["type"], "object"], "additionalProperties": TEXT},
    }

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the names of the sub-folders, sorted, or the entry's subset or own names of them."""
        root = Path(entry.get("path") or "")
        if not entry.get("path") or not folder.is_folder(root):
            raise UserError(f"corpora.{name}.path: no such folder: {str(entry.get('path'))!r}")
        found, loose = folder.domain_folders(root)
        if not found:
            there = f"; beside folders, files are not read: {folder.listed(loose)}" if loose else ""
            raise UserError(f"corpora.{name}.path: {root}: no folder in it; a domain is a folder{there}")
        given = entry.get("domains")
        if isinstance(given, Mapping):
            for domain in given.values():
                if domain not in found:
                    raise UserError(f"corpora.{name}.domains: folder {choices(domain, found)}")
            return list(given)
        names = subset(name, entry, found)
        for domain in names:
            if why := unfit(domain):
                raise UserError(
                    f"corpora.{name}: the folder {domain!r} {why}; rename it, or name it in the config: "
                    f"domains: {_renamed(names)}"
                )
        return names

    def units(self, entry: Entry, domains: Sequence[str]) -> list[Unit]:
        """Return a unit per file, in order of file name; say what is passed over."""
        units: list[Unit] = []
        for domain in domains:
            found = _look(entry, domain)
            if said := found.said():
                print(f"local: {folder_of(entry, domain)}: {said}", file=sys.stderr, flush=True)
            # A link to nothing has no size; reading it says so.
            units += [Unit(domain, str(p), p.stat().st_size if p.exists() else 0) for p in found.read]
        _, loose = folder.domain_folders(Path(entry["path"]))
        if loose and self.domains("", entry)[0] in domains:
            said = f"beside the domains' folders, not read: {folder.listed(loose)}"
            print(f"local: {entry['path']}: {said}", file=sys.stderr, flush=True)
        return units

    def read(
        self, entry: Entry, unit: Unit, domains: Sequence[str], tally: Tally
    ) -> Iterator[tuple[str, str]]:
        """Yield the documents of a file."""
        assert unit.domain is not None
        field = entry.get("text_field") or "text"
        for text in rows.texts(Path(unit.at), field, tally.skipped[unit.domain]):
            yield unit.domain, text

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Return one record per file, with its checksum; the licence is the user's to know."""
        return [
            {
                "registry": "local",
                "package": entry["path"],
                "version": None,
                "file": str(path.relative_to(entry["path"])),
                "sha256": _sha256(path),
                "bytes": path.stat().st_size,
                "licence": "the user's own data",
                "redistributable": False,
            }
            for path in _look(entry, domain).read
        ]

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return the domain's own name: it stands for itself."""
        return {"title": domain, "stands_for": domain, "differs": ""}

    def files(self, entry: Entry, domains: Sequence[str]) -> list[Path]:
        """Return every file that is read."""
        return [path for domain in domains for path in _look(entry, domain).read]


def folder_of(entry: Entry, domain: str) -> Path:
    """Return the folder of a domain."""
    given = entry.get("domains")
    return Path(entry["path"]) / (given[domain] if isinstance(given, Mapping) else domain)


def _look(entry: Entry, domain: str) -> folder.Found:
    return folder.look(folder_of(entry, domain), domain)


def _renamed(names: Sequence[str]) -> str:
    """Return a mapping for the config that gives every folder a name of a domain."""
    taken: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W", "_", name)
        plain = plain if plain.isidentifier() else f"d{plain}"
        while plain in taken:
            plain += "_"
        taken[plain] = name
    pairs = [f"{plain}: {json.dumps(name, ensure_ascii=False)}" for plain, name in taken.items()]
    more = ", ..." if len(pairs) > _MOST_NAMES else ""
    return "{" + ", ".join(pairs[:_MOST_NAMES]) + more + "}"


def _sha256(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
