"""Corpus kind `hf`: any data set of `datasets.load_dataset`, with a domain field or a config per domain.

`{kind: hf, path, split, text_field, ...}` and one of
- `domain_field: meta.set_name` with `domains: {name: value}`: the rows of a domain are those whose (dotted,
  nested) field has that value;
- `configs: {name: config}`: one configuration of the data set per domain;
- `data_dirs: {name: folder}`: one folder of the data set per domain.
Optional: `name` (configuration, where `configs` is not used), `revision` (pin it), `streaming`,
`max_documents` (per domain, from the front), `substitutions` (pairs of regular expression and replacement,
for markers that a set keeps in its text).
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.data.corpora.base import Entry, Source, register
from chameleon.data.corpora.readers import substitute

_LAYOUTS = ("domains", "configs", "data_dirs")


@register("hf")
class HubCorpus:
    """A data set of the Hugging Face hub, or a local folder laid out like one."""

    keys = frozenset(
        {"path", "name", "revision", "split", "text_field", "domain_field", "streaming", "max_documents"}
        | {"substitutions", *_LAYOUTS}
    )

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

    def documents(self, entry: Entry, domain: str) -> Iterator[str]:
        """Yield the texts of a domain in the data set's order; rows without text are skipped."""
        rows = iter(_open(entry, domain))
        if entry.get("domain_field"):
            rows = _matching(rows, entry, entry["domains"][domain])
        texts = (_dig(row, entry["text_field"], entry["path"]) for row in rows)
        kept = itertools.islice((text for text in texts if text), entry.get("max_documents"))
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


def _open(entry: Entry, domain: str) -> Any:
    """Return the data set (or stream) that holds a domain.

    Raises:
        UserError: `datasets` cannot load it, with the first line of its reason.
    """
    import datasets

    arguments = {
        "name": (entry.get("configs") or {}).get(domain, entry.get("name")),
        "data_dir": (entry.get("data_dirs") or {}).get(domain),
        "revision": entry.get("revision"),
    }
    try:
        return datasets.load_dataset(
            entry["path"],
            split=entry["split"],
            streaming=bool(entry.get("streaming")),
            **{key: value for key, value in arguments.items() if value is not None},
        )
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        # ValueError: datasets' own answer to an unknown configuration or split, with the valid ones.
        reason = " ".join(str(error).split())
        raise UserError(
            f"corpus {entry['path']} (domain {domain!r}): datasets cannot load it: {reason}"
        ) from error


def _dig(row: Mapping[str, Any], field: str, where: str) -> Any:
    """Return the value at a dotted path of nested structs.

    Raises:
        UserError: a part of the path does not exist; the message lists what does.
    """
    value: Any = row
    for part in field.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = sorted(value) if isinstance(value, Mapping) else ()
            raise UserError(f"corpus {where}: column {field!r}: {choices(part, known)}")
        value = value[part]
    return value


def _matching(rows: Iterator[Any], entry: Entry, wanted: str) -> Iterator[Any]:
    """Yield the rows of one domain; refuse a domain that no row has."""
    seen: set[str] = set()
    for row in rows:
        value = _dig(row, entry["domain_field"], entry["path"])
        if value == wanted:
            yield row
        seen.add(str(value))
    if wanted not in seen:
        raise UserError(f"corpus {entry['path']}: {entry['domain_field']}: {choices(wanted, sorted(seen))}")
