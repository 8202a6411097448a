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

import itertools
import lzma
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import OPTIONAL_TEXT, TEXT, Entry, Source, register
from chameleon.data.corpora.fields import (
    DOMAIN_FIELD,
    TEXT_FIELD,
    WITHOUT_DOMAIN,
    WITHOUT_TEXT,
    find,
    kind_of,
    text_of,
)
from chameleon.data.corpora.files.rows import form_of, rows
from chameleon.data.corpora.readers import substitute

_LAYOUTS = ("domains", "configs", "data_dirs")
_UNREADABLE = (ValueError, TypeError, OSError, EOFError, RecursionError, zlib.error, lzma.LZMAError)
# Values of a domain field listed in a message.
_MOST_VALUES = 30
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
        if not isinstance(entry[given[0]], Mapping):
            raise UserError(
                f"corpora.{name}.{given[0]}: must map a domain name to its value, not {entry[given[0]]!r}"
            )
        _check_substitutions(name, entry.get("substitutions") or ())
        return list(entry[given[0]])

    def documents(self, entry: Entry, domain: str, skipped: Counter[str]) -> Iterator[str]:
        """Yield the texts of a domain in the data set's order; rows without text are skipped and counted."""
        found = data_set_rows(entry, domain)
        if entry.get(DOMAIN_FIELD):
            found = _matching(found, entry, domain, skipped)
        kept = itertools.islice(_texts(found, entry[TEXT_FIELD], skipped), entry.get("max_documents"))
        yield from (substitute(text, entry.get("substitutions") or ()) for text in kept)

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


def _open(entry: Entry, domain: str | None, load: str, **options: Any) -> Any:
    """Call `datasets.<load>` for the data set that holds a domain."""
    import datasets

    arguments = {
        "name": (entry.get("configs") or {}).get(domain or "", entry.get("name")),
        "data_dir": (entry.get("data_dirs") or {}).get(domain or ""),
        "revision": entry.get("revision"),
    }
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return getattr(datasets, load)(entry["path"], **given, **options)
    except StopIteration:  # it asked for a first row
        raise ValueError("its files are empty") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` raises at unknown names and at data that it cannot read: no type of its own."""
    import pyarrow
    from datasets.exceptions import DatasetsError

    return (*_UNREADABLE, pyarrow.ArrowException, DatasetsError)


def data_set_rows(entry: Entry, domain: str | None) -> Iterator[tuple[str, Any]]:
    """Yield (where it stands, row) of the data set that holds a domain, or all of them (None).

    `datasets` makes one table of all files and columns, and stops where two files disagree about a column,
    even one that nobody asks for. Of a folder on this machine we then read the files ourselves: the fields
    that are asked for, or a message that names file and row.

    Raises:
        UserError: there is no such data set, configuration or split; or a file cannot be read, by us either.
    """
    where, done = f"corpus {entry['path']}" + (f" (domain {domain!r})" if domain is not None else ""), 0
    try:
        split, streaming = entry["split"], bool(entry.get("streaming"))
        for row in _open(entry, domain, "load_dataset", split=split, streaming=streaming):
            done += 1
            yield f"{where}: row {done}", row
        return
    except _failures() as error:
        reason, found = _reasons(error), _own_files(entry, domain)
        if not found:
            after = f" (after row {done})" if done else ""
            raise UserError(f"{where}: datasets cannot load it{after}: {reason}") from error
    said = f"datasets cannot load it ({reason}); reading its {len(found)} files one by one"
    print(f"hf: {where}: {said}", file=sys.stderr, flush=True)
    fields = {key: entry[key] for key in (TEXT_FIELD, DOMAIN_FIELD) if entry.get(key)}
    yield from itertools.islice(itertools.chain.from_iterable(rows(f, fields) for f in found), done, None)


def _own_files(entry: Entry, domain: str | None) -> list[Path]:
    """Return the files of a data set's split if they are on this machine and we can read them too."""
    try:
        listed = _open(entry, domain, "load_dataset_builder").config.data_files or {}
    except _failures():
        return []
    found = [Path(f) for split, files in listed.items() if str(split) == entry["split"] for f in files]
    return found if all(path.is_file() and form_of(path.name) not in (None, ".txt") for path in found) else []


def _reasons(error: BaseException | None) -> str:
    """Return what an exception and its causes say, in one line."""
    said: list[str] = []
    while error is not None and len(said) < 3:
        text = " ".join(str(error).split()) or type(error).__name__
        if text not in said:
            said.append(text if len(text) <= 500 else f"{text[:500]}...")
        error = error.__cause__
    return ": ".join(said)


def _matching(
    rows: Iterable[tuple[str, Any]], entry: Entry, domain: str, skipped: Counter[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the rows of one domain; refuse a domain that no row has."""
    field, wanted = entry[DOMAIN_FIELD], entry["domains"][domain]
    others: set[str] = set()
    found = False
    for where, row in rows:
        value = find(row, field, where, DOMAIN_FIELD)
        if value is None:
            skipped[WITHOUT_DOMAIN] += 1
        elif isinstance(value, Mapping | list | tuple):
            raise UserError(f"{where}: {DOMAIN_FIELD} {field!r} holds {kind_of(value)}, not a name")
        elif plain(value) == plain(wanted) or str(value) == str(wanted):
            found = True
            yield where, row
        elif len(others) < _MOST_VALUES:
            others.add(plain(value))
    if not found:
        more = f" (and more than {_MOST_VALUES})" if len(others) == _MOST_VALUES else ""
        names = f"corpus {entry['path']}: {DOMAIN_FIELD} {field!r}"
        raise UserError(f"{names}: {choices(wanted, sorted(others))}{more}")


def plain(value: Any) -> str:
    """Return a value as it would stand in a config: a column of numbers with gaps holds 1.0 for 1."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _texts(rows: Iterable[tuple[str, Any]], field: str, skipped: Counter[str]) -> Iterator[str]:
    """Yield the texts of rows; null and empty ones are counted, and are none of `max_documents`."""
    for where, row in rows:
        if text := text_of(find(row, field, where, TEXT_FIELD), where, TEXT_FIELD, field):
            yield text
        else:
            skipped[WITHOUT_TEXT] += 1
