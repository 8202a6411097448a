"""Third step: which of the gathered documents stay: those under the cap, and of near duplicates the first.

Documents are compared in the order of their ids, each with those kept before it. Only what shares a band of
its signature with another document can be a near duplicate: the bands of all documents are numbers, which are
sorted, and only the texts of documents that share one are read and compared exactly. What is held at once is
some 150 bytes a document, and the shingles of those that share a band.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from chameleon.data.corpora.dedup import Index
from chameleon.data.corpora.parts.cap import under_cap
from chameleon.data.corpora.parts.files import Gathered
from chameleon.data.corpora.parts.gather import PRIORITY, near_duplicates

_TRAIN = PRIORITY.index("train")


def within(gathered: Gathered, data: Mapping[str, Any], domain: str) -> tuple[np.ndarray, Counter[str]]:
    """Return a mask of a domain's documents that stay as far as it alone is concerned, and what was counted.

    Of two near duplicates in two splits the one further from test goes.
    """
    kept = np.ones(gathered.rows(domain), bool)
    if cap := data["max_bytes_per_domain"]:
        kept = under_cap(gathered.column(domain, "key"), gathered.column(domain, "bytes"), cap)
    counts = Counter({"kept": int(kept.sum())})
    near = near_duplicates(data)
    if near is None:
        return kept, counts
    suspects, rows = np.zeros(len(kept), bool), np.flatnonzero(kept)
    for values in gathered.band_values(domain)[rows].T:
        suspects[rows[_shared(values)]] = True
    splits = gathered.column(domain, "split")
    index = Index(near)
    for row, text in gathered.texts(domain, suspects):
        document = near.document(text)
        if found := index.matches(document):
            kept[row] = False
            same = splits[found[0]] == splits[row]
            counts["near_duplicates" if same else "cross_split_duplicates"] += 1
        else:
            index.add(row, document)
    return kept, counts


def across(gathered: Gathered, data: Mapping[str, Any], kept: dict[str, np.ndarray]) -> Counter[str]:
    """Drop documents that near-duplicate a held-out document of another domain; return how many of each.

    Validation is checked against test, then train against both; within a domain none are left by now. Exact
    duplicates cannot be in two splits (the split is a function of the text), and two domains may share a
    document within a split: it belongs to both.
    """
    near, dropped = near_duplicates(data), Counter[str]()
    if near is None:
        return dropped
    splits = {domain: gathered.column(domain, "split") for domain in gathered.domains}
    suspects = _beside_held_out(gathered, kept, splits)
    index = Index(near)
    for number, split in enumerate(PRIORITY):
        held_out = []
        for domain in gathered.domains:
            chosen = suspects[domain] & kept[domain] & (splits[domain] == number)
            for row, text in gathered.texts(domain, chosen):
                document = near.document(text)
                if index.matches(document):
                    kept[domain][row] = False
                    dropped[domain] += 1
                elif number != _TRAIN:
                    held_out.append(document)
        # Only now, as two documents of one split never leak into each other.
        for place, document in enumerate(held_out):
            index.add((split, place), document)
    return dropped


def _beside_held_out(
    gathered: Gathered, kept: Mapping[str, np.ndarray], splits: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return masks of the documents that share a band with another one, one of them held out at least."""
    rows = {domain: np.flatnonzero(kept[domain]) for domain in gathered.domains}
    held = np.concatenate([splits[domain][rows[domain]] != _TRAIN for domain in gathered.domains])
    suspects = np.zeros(len(held), bool)
    of_domains = [gathered.band_values(domain)[rows[domain]] for domain in gathered.domains]
    for values in np.concatenate(of_domains).T:
        mine = np.flatnonzero(np.isin(values, np.unique(values[held])))
        suspects[mine[_shared(values[mine])]] = True
    found, start = {}, 0
    for domain in gathered.domains:
        found[domain] = np.zeros(len(kept[domain]), bool)
        found[domain][rows[domain]] = suspects[start : start + len(rows[domain])]
        start += len(rows[domain])
    return found


def _shared(values: np.ndarray) -> np.ndarray:
    """Return a mask of the values that are there more than once."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    equal = ordered[1:] == ordered[:-1]
    mask = np.zeros(len(values), bool)
    mask[order[1:][equal]] = True
    mask[order[:-1][equal]] = True
    return mask
