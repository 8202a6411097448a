"""Where the text of the domains comes from: folders and files, a data set with a domain field, token shards.

Each kind streams through a `Sampler` per domain and says how much text there is.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError
from chameleon.data.corpora.fields import DOMAIN_FIELD, TEXT_FIELD, find, kind_of, text_of
from chameleon.data.corpora.files import folder, rows, streams
from chameleon.data.corpora.hub_rows import data_set_rows
from chameleon.data.corpora.kinds.hub import plain
from chameleon.weighing.meter import Meter
from chameleon.weighing.text.sample import Sampler

#: Domains that a domain field may have: more are a field of something else (an id, a URL).
MOST_DOMAINS = 1000


@dataclass
class Drawn:
    """What one pass over the text gave.

    Attributes:
        samplers: by domain.
        paths: files or folders of each domain.
        notes: what was passed over, a line each.
    """

    samplers: dict[str, Sampler]
    paths: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)


def named(data: Sequence[str | Path], alone: bool = False) -> dict[str, Path]:
    """Return the domains of folders and files: the folders in one folder, or each path that is given.

    Args:
        data: the paths.
        alone: one folder of files is one domain.

    Raises:
        UserError: no such path, two of one name, or a folder that holds files and no folder.
    """
    given = [Path(path) for path in data]
    for path in given:
        if not path.exists():
            raise UserError(f"no such folder or file: {str(path)!r}")
    if len(given) == 1 and given[0].is_dir():
        inside, loose = folder.domain_folders(given[0])
        if not inside and alone:
            return {given[0].resolve().name: given[0]}
        if not inside:
            hint = (
                f" (in it: {folder.listed(loose)}); to make every file a domain, name the files"
                if loose
                else ""
            )
            raise UserError(f"{given[0]}: no folder in it; a domain is a folder{hint}")
        if loose:
            print(f"weigh: beside the folders, not read: {folder.listed(loose)}", file=sys.stderr)
        return {name: given[0] / name for name in inside}
    found: dict[str, Path] = {}
    for path in given:
        name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
        if name in found:
            raise UserError(f"two domains are called {name!r}: {found[name]} and {path}")
        found[name] = path
    return found


def draw_folders(domains: Mapping[str, Path], text_field: str, sampler: Callable[[str], Sampler]) -> Drawn:
    """Stream the files of every domain through its sampler.

    Args:
        domains: name -> folder or file of .jsonl, .json, .parquet, .csv, .tsv or .txt.
        text_field: where rows hold their text.
        sampler: makes the sampler of a domain.

    Raises:
        UserError: a domain without a readable file, or a file that cannot be read.
    """
    files = {name: _files(name, path) for name, path in domains.items()}
    drawn = Drawn({}, {name: [str(path)] for name, path in domains.items()})
    sizes = {path: path.stat().st_size for found in files.values() for path in found}
    with Meter("reading", sum(sizes.values()), "B") as meter:
        for name, found in files.items():
            drawn.samplers[name], skipped = sampler(name), Counter[str]()
            for path in found:
                for text, new in _texts(path, text_field, skipped):
                    drawn.samplers[name].add(text, new)
                meter.add(sizes[path], name)
            drawn.notes += [
                f"{name}: {n} rows {why.replace('_', ' ')} passed over" for why, n in skipped.items()
            ]
    return drawn


def _files(name: str, path: Path) -> list[Path]:
    if not path.is_dir():
        if rows.form_of(path.name) is None:
            raise UserError(f"{path}: not a file of text; read are {folder.known()}")
        return [path]
    found = folder.look(path, name)
    if said := found.said():
        print(f"weigh: {path}: {said}", file=sys.stderr)
    return found.read


def _texts(path: Path, text_field: str, skipped: Counter[str]) -> Iterator[tuple[str, bool]]:
    """Yield (text, whether a document begins) of a file; a .txt file is one document, read block by block."""
    if rows.form_of(path.name) == ".txt":
        for i, block in enumerate(streams.blocks(path)):
            yield block, i == 0
        return
    for text in rows.texts(path, text_field, skipped):
        yield text, True


def draw_dataset(
    path: str,
    options: Mapping[str, Any],
    text_field: str,
    domain_field: str,
    sampler: Callable[[str], Sampler],
) -> Drawn:
    """Stream a data set of `datasets` once, each row to the sampler of its domain.

    Args:
        path: a name on the hub, or a folder laid out like one.
        options: of `datasets.load_dataset`: split, name, revision; streaming is set here.
        text_field, domain_field: dotted paths into a row.
        sampler: makes the sampler of a domain.

    Raises:
        UserError: there is no such data set, split or field, or the field has too many values.
    """
    drawn, skipped = Drawn({}, {}), Counter[str]()
    entry = {"path": path, **options, TEXT_FIELD: text_field, DOMAIN_FIELD: domain_field, "streaming": True}
    with Meter("reading", None, "rows") as meter:
        for where, row in data_set_rows(entry, None):
            value = find(row, domain_field, where, DOMAIN_FIELD)
            if isinstance(value, Mapping | list | tuple):
                raise UserError(
                    f"{where}: {DOMAIN_FIELD} {domain_field!r} holds {kind_of(value)}, not a name"
                )
            text = text_of(find(row, text_field, where, TEXT_FIELD), where, TEXT_FIELD, text_field)
            meter.add(1)
            if value is None or not text:
                skipped["without domain" if value is None else "without text"] += 1
                continue
            name = plain(value)
            if name not in drawn.samplers:
                if len(drawn.samplers) == MOST_DOMAINS:
                    raise UserError(f"--domain-field: {domain_field!r} has more than {MOST_DOMAINS} values")
                drawn.samplers[name] = sampler(name)
            drawn.samplers[name].add(text)
    drawn.samplers = dict(sorted(drawn.samplers.items()))
    drawn.paths = {name: [path] for name in drawn.samplers}
    drawn.notes = [f"{n} rows {why} passed over" for why, n in skipped.items()]
    return drawn
