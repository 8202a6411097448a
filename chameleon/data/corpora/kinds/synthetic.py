"""Corpus kind `synthetic`: five small domains of made-up words whose relation to each other is known.

`{kind: synthetic, seed: 0, documents: 400, words: 120}` (all but `kind` optional; `domains` takes a subset).

Three sources write sentences: each is a first-order Markov chain over 80 words, every word having six
successors. `first` and `second` share 40 words (but no transitions); `third` shares none. A domain is a
mixture of sources, drawn sentence by sentence:

    domain     first  second  third
    twin_one   0.80   0.20    -        nearly the same text as twin_two: redundant
    twin_two   0.75   0.25    -
    cousin     0.25   0.75    -        leans to the other source
    unique     -      -       1.00     shares nothing with any domain but the blend
    blend      0.45   0.30    0.25     the mean of the other four

A domain's mean representation is about the same mixture of its sources' means, so `blend` lies at the
centroid of the domains and `unique` furthest from it. Expected centred leverage scores:
blend (near 0) < each twin < cousin < unique; Chameleon's pretraining weights have the opposite order. Only a
ridge so small that sampling noise counts as a direction of its own flattens them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from chameleon.core.seeds import generator
from chameleon.data.corpora.base import DOMAINS, Entry, Source, Tally, Unit, register, subset

MIXTURES: dict[str, tuple[float, float, float]] = {
    "twin_one": (0.80, 0.20, 0.0),
    "twin_two": (0.75, 0.25, 0.0),
    "cousin": (0.25, 0.75, 0.0),
    "unique": (0.0, 0.0, 1.0),
    "blend": (0.45, 0.30, 0.25),
}
ABOUT = {
    "twin_one": "Redundant: nearly the mixture of twin_two.",
    "twin_two": "Redundant: nearly the mixture of twin_one.",
    "cousin": "Shares both sources of the twins in other proportions.",
    "unique": "The only domain of its source, apart from a quarter of the blend.",
    "blend": "The mean of the four other domains.",
}
WORDS_PER_SOURCE = 80
SHARED_WORDS = 40
SUCCESSORS = 6
SENTENCE_WORDS = 12
DEFAULTS = {"seed": 0, "documents": 400, "words": 120}


def vocabulary() -> list[str]:
    """Return the 200 words of the three sources: two syllables each, all different."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    return [syllables[i % 70] + syllables[(7 * i + i // 70) % 70] for i in range(200)]


def source_words(source: int) -> np.ndarray:
    """Return the indices into `vocabulary()` of a source's words, (80,)."""
    start = (0, WORDS_PER_SOURCE - SHARED_WORDS, 2 * WORDS_PER_SOURCE - SHARED_WORDS)[source]
    return np.arange(start, start + WORDS_PER_SOURCE)


def _chain(seed: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Return successors (80, 6) as positions in the source's words, and their cumulative probabilities."""
    random = generator(seed, "synthetic chain", source)
    successors = np.stack(
        [random.choice(WORDS_PER_SOURCE, SUCCESSORS, replace=False) for _ in range(WORDS_PER_SOURCE)]
    )
    # Fixed, unequal probabilities: a chain of known and equal entropy for every source.
    shares = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    return successors, np.cumsum(shares)


def _sentences(seed: int, domain: str, count: int) -> list[str]:
    """Return `count` sentences of a domain, each from one source."""
    random = generator(seed, "synthetic text", domain)
    words = np.array(vocabulary())
    sources = random.choice(len(MIXTURES[domain]), size=count, p=MIXTURES[domain])
    state = random.integers(WORDS_PER_SOURCE, size=count)
    draws = random.random((SENTENCE_WORDS, count))
    written = np.empty((count, SENTENCE_WORDS), dtype=words.dtype)
    for source in np.unique(sources):
        rows = np.flatnonzero(sources == source)
        successors, cumulative = _chain(seed, int(source))
        own, at = words[source_words(int(source))], state[rows]
        for step in range(SENTENCE_WORDS):
            at = successors[at, np.searchsorted(cumulative[:-1], draws[step, rows], side="right")]
            written[rows, step] = own[at]
    return [" ".join(row).capitalize() + "." for row in written]


@register("synthetic")
class SyntheticCorpus:
    """Markov text of known mixtures."""

    keys = {
        "seed": {"type": "integer", "minimum": 0},
        "documents": {"type": "integer", "minimum": 1},
        "words": {"type": "integer", "minimum": 1},
        "domains": DOMAINS,
    }

    def domains(self, name: str, entry: Entry) -> list[str]:
        """Return the five domains, or the entry's subset."""
        return subset(name, entry, list(MIXTURES))

    def units(self, entry: Entry, domains: Sequence[str]) -> list[Unit]:
        """Return a unit per domain."""
        return [Unit(domain) for domain in domains]

    def read(
        self, entry: Entry, unit: Unit, domains: Sequence[str], tally: Tally
    ) -> Iterator[tuple[str, str]]:
        """Yield `documents` texts of about `words` words, four sentences a line."""
        assert unit.domain is not None
        settings = {**DEFAULTS, **entry}
        length = max(1, round(settings["words"] / SENTENCE_WORDS))
        sentences = _sentences(settings["seed"], unit.domain, settings["documents"] * length)
        for start in range(0, len(sentences), length):
            document = sentences[start : start + length]
            yield unit.domain, "\n".join(" ".join(document[i : i + 4]) for i in range(0, length, 4))

    def sources(self, entry: Entry, domain: str) -> list[Source]:
        """Return the generator itself as the source."""
        return [
            {
                "registry": "synthetic",
                "package": "chameleon.data.corpora.kinds.synthetic",
                "version": None,
                "file": None,
                "sha256": None,
                "bytes": None,
                "licence": "generated, no rights reserved",
                "redistributable": True,
            }
        ]

    def about(self, entry: Entry, domain: str) -> dict[str, str]:
        """Return the domain's place in the construction."""
        return {"title": domain, "stands_for": domain, "differs": ABOUT[domain]}

    def files(self, entry: Entry, domains: Sequence[str]) -> list[Path]:
        """Return nothing: the text is made by this module."""
        return []
