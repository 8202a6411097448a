"""Corpus kind `hf`: any data set of `datasets.load_dataset`, with a domain field or a config per domain.

`{kind: hf, path, split, text_field, ...}` and one of
- `domain_field: meta.set_name` with `domains: {name: value}`: the rows of a domain are those whose field has
  that value; rows without one are skipped and counted (fields: see `chameleon.data.corpora.fields`);
- `configs: {name: config}`: one configuration of the data set per domain;
- `data_dirs: {name: folder}`: one folder of the data set per domain.
Optional: `name` (configuration, where `configs` is not used), `revision` (pin it), `streaming`,
`max_documents` (per domain, from the front), `substitutions` (pairs of regular expression and replacement,
for markers that a set keeps in its text).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.base import MOST_VALUES, OPTIONAL_TEXT, TEXT, Entry, Source, Tally, Unit, register
from chameleon.data.corpora.fields import (
    DOMAIN_FIELD,
    TEXT_FIELD,
    WITHOUT_DOMAIN,
    WITHOUT_TEXT,
    find,
    kind_of,
    text_of,
)
from chameleon.data.corpora.hub_rows import data_set_rows, parts_of
from chameleon.data.corpora.readers import substitute

_LAYOUTS = ("domains", "configs", "data_dirs")
_NAMED = {"type": ["object", "null"], "additionalProperties": TEXT}


@register("hf")
class HubCorpus:
    """A data set of the Hugging Face hub, or a local folder laid out like one."""

    keys = {
        "path": TEXT,
        "name": OPTIONAL_TEXT,
        "revision": OPTIONAL_TEXT,
        "split": TEXT,
        "text_field": TEXT,
        "domain_field": TEXT,
        # A column of a data set may hold whole numbers.
        "domains": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "integer"]}},
        "configs": _NAMED,
        "data_dirs": _NAMED,
        "streaming": {"type": ["boolean", "null"]},
        "max_documents": {"type": ["integer", "null"], "minimum": 1},
        "substitutions": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "string"}}},
    }

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the keys of `domains`, `configs` or `data_dirs`, in the config's order."""
        for key in ("path", "split", "text_field"):
            if not entry.get(key):
                raise UserError(f"corpora.{name}: kind hf needs the key {key!r}")
        given = [layout for layout in _LAYOUTS if entry.get(layout)]
        if len(given) != 1 or ("domain_field" in entry) != (given == ["domains"]):
            raise UserError(
                f"corpora.{name}: kind hf needs one of: domain_field with domains; configs; data_dirs"
            )
        _check_substitutions(name, entry.get("substitutions") or ())
        return list(entry[given[0]])

    def units(self, entry: Entry, domains: Sequence[str]) -> list[Unit]:
        """Return stretches of rows: of the whole set, or of each domain's own one."""
        sets = [None] if entry.get(DOMAIN_FIELD) else domains
        return [Unit(d, (i, n)) for d in sets for n in [parts_of(entry, d)] for i in range(n)]

    def read(
        self, entry: Entry, unit: Unit, domains: Sequence[str], tally: Tally
    ) -> Iterator[tuple[str, str]]:
        """Yield these domains' texts in the data set's order; rows without text are skipped and counted."""
        field, most = entry.get(DOMAIN_FIELD), entry.get("max_documents")
        wanted = _by_value(entry, domains) if field else {}
        # What each domain may still get.
        left = dict.fromkeys(domains if field else [str(unit.domain)], most or math.inf)
        for where, row in data_set_rows(entry, unit.domain, unit.at):
            owners = _owners(row, field, where, wanted, left, tally) if field else list(left)
            for domain in owners:
                text = text_of(
                    find(row, entry[TEXT_FIELD], where, TEXT_FIELD), where, TEXT_FIELD, entry[TEXT_FIELD]
                )
                if not text:
                    tally.skipped[domain][WITHOUT_TEXT] += 1
                    continue
                yield domain, substitute(text, entry.get("substitutions") or ())
                left[domain] -= 1
                if left[domain] == 0:
                    del left[domain]
            if not left:
                return

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Return the data set's name; its licence is on its card and is not known here."""
        return [
            {
                "registry": "hf",
                "package": entry["path"],
                "version": entry.get("revision") or "not pinned",
                "file": None,
                "sha256": None,
                "bytes": None,
                "licence": "see the data set's card",
                "redistributable": False,
            }
        ]

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return the domain's own name: it stands for itself."""
        return {"title": domain, "stands_for": domain, "differs": ""}

    def files(self, entry: Entry, domains: Sequence[str]) -> list[Path]:
        """Return the files of a local folder laid out like a data set; the hub's have their revision."""
        root = Path(entry["path"])
        found = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
        return [path for path in found if not any(p.startswith(".") for p in path.relative_to(root).parts)]


def _check_substitutions(name: str, substitutions: Any) -> None:
    """Refuse what is not a list of (regular expression, replacement) pairs."""
    for pair in substitutions:
        try:
            pattern, _ = pair
            re.compile(pattern)
        except (TypeError, ValueError, re.error) as error:
            raise UserError(
                f"corpora.{name}.substitutions: {pair!r} is not [regular expression, replacement]: {error}"
            ) from error


def _by_value(entry: Entry, domains: Sequence[str]) -> dict[str, list[str]]:
    """Return the domains by the value of their rows, in both forms in which it may stand in a row."""
    found: dict[str, list[str]] = {}
    for domain in domains:
        wanted = entry["domains"][domain]
        for value in {plain(wanted), str(wanted)}:
            found.setdefault(value, []).append(domain)
    return found


def _owners(
    row: Any,
    field: str,
    where: str,
    wanted: Mapping[str, list[str]],
    left: Mapping[str, float],
    tally: Tally,
) -> list[str]:
    """Return the domains that a row belongs to and that still take rows."""
    value = find(row, field, where, DOMAIN_FIELD)
    if value is None:
        for domain in left:
            tally.skipped[domain][WITHOUT_DOMAIN] += 1
        return []
    if not isinstance(value, str) and isinstance(value, Mapping | list | tuple):
        raise UserError(f"{where}: {DOMAIN_FIELD} {field!r} holds {kind_of(value)}, not a name")
    owners = wanted.get(plain(value)) or wanted.get(str(value)) or []
    tally.found.update(owners)
    if not owners and len(tally.values) < MOST_VALUES:
        tally.values.add(plain(value))
    return [domain for domain in owners if domain in left]


def plain(value: Any) -> str:
    """Return a value as it would stand in a config: a column of numbers with gaps holds 1.0 for 1."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
