"""The raw documents of one domain of a corpus, for tests of its kinds."""

from collections import Counter
from collections.abc import Iterator

from chameleon.data.corpora.base import Entry, Tally, find_kind, refuse_missing


def iter_documents(entry: Entry, domain: str, skipped: Counter[str] | None = None) -> Iterator[str]:
    """Yield the documents in the order of the corpus; count what is passed over in `skipped`."""
    kind, tally = find_kind(entry), Tally()
    if skipped is not None:
        tally.skipped[domain] = skipped
    for unit in kind.units(entry, [domain]):
        for _, document in kind.read(entry, unit, [domain], tally):
            yield document
    refuse_missing(entry, [domain], tally)
