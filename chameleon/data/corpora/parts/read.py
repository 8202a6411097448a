"""First step: clean and cut the documents of some units of a corpus; each goes to the range of its id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import read_json, write_json
from chameleon.data.corpora.base import Tally, Unit, find_kind
from chameleon.data.corpora.clean import clean, cut, document_id, normalise
from chameleon.data.corpora.parts.cap import Passing, key_of
from chameleon.data.corpora.parts.files import RangeWriter

#: Units by their number in the corpus.
Numbered = Sequence[tuple[int, Unit]]


def share_out(units: Sequence[Unit], parts: int) -> list[list[tuple[int, Unit]]]:
    """Return `parts` runs of consecutive units, numbered, of about the same size each; some may be empty."""
    total = sum(unit.size for unit in units) or 1
    shares: list[list[tuple[int, Unit]]] = [[] for _ in range(parts)]
    before = 0
    for number, unit in enumerate(units):
        # By its middle, so that no part gets less than the one unit that it would be cut in.
        shares[min(parts - 1, (2 * before + unit.size) * parts // (2 * total))].append((number, unit))
        before += unit.size
    return shares


def read(spec: Mapping[str, Any], units: Numbered, ranges: int, folder: Path) -> None:
    """Write the documents of some units into `folder`, with `read.json` (what was counted) last.

    Args:
        spec: as of `chameleon.data.corpora.prepare.prepare`.
        units: to be read.
        ranges: number of ranges of ids.
        folder: made if it is not there; old files in it are not looked at.
    """
    data, domains = spec["data"], list(spec["domains"])
    kind, tally = find_kind(spec["entry"]), Tally()
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in domains}
    capped = bool(data["max_bytes_per_domain"])
    passing = {domain: Passing(data["max_bytes_per_domain"]) for domain in domains}
    places = {domain: place for place, domain in enumerate(domains)}
    writer = RangeWriter(folder, ranges)
    for number, unit in units:
        written = 0
        for domain, document in kind.read(spec["entry"], unit, domains, tally):
            counted = counts[domain]
            counted["raw"] += 1
            pieces = list(cut(clean(document), data["max_characters"]))
            counted["cut_pieces"] += max(len(pieces) - 1, 0)
            if not pieces:
                counted["too_short"] += 1
            for piece in pieces:
                if len(piece) < data["min_characters"]:
                    counted["too_short"] += 1
                    continue
                doc_id = document_id(normalise(piece))
                fits = not capped or passing[domain].fits(key_of(data["seed"], doc_id), piece)
                # Of what cannot fit the id is kept: whether it is there twice is counted.
                writer.add(places[domain], doc_id, number, written, piece if fits else None)
                written += 1
    writer.close()
    for domain, skipped in tally.skipped.items():
        counts[domain].update(skipped)
    met = {"found": sorted(tally.found), "values": sorted(tally.values)}
    write_json(folder / "read.json", {"counts": counts, "ranges": ranges, **met})


def told(folders: Sequence[Path]) -> tuple[dict[str, Counter[str]], Tally]:
    """Return what was counted by domain in all parts, and what was met besides."""
    counts: dict[str, Counter[str]] = {}
    tally = Tally()
    for folder in folders:
        found = read_json(folder / "read.json")
        for domain, counted in found["counts"].items():
            counts.setdefault(domain, Counter()).update(counted)
        tally.found.update(found["found"])
        tally.values.update(found["values"])
    return counts, tally
