"""WordNet's data files: lines `words: gloss`, many synsets to a document."""

from collections.abc import Iterator

from chameleon.data.corpora.readers import Members, decode


def _entry(line: str) -> str:
    """Return `word, word: gloss` of a line of a data file (its format is in wndb(5WN))."""
    synset, _, gloss = line.partition("|")
    fields = synset.split()
    # Field 3 counts the words in hexadecimal; each word is followed by its sense number.
    words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
    # Adjectives may end in a marker of their position, such as `(p)`.
    return f"{', '.join(word.partition('(')[0].replace('_', ' ') for word in words)}: {gloss.strip()}"


def read(members: Members, *, group: int) -> Iterator[str]:
    """Yield one document per `group` consecutive synsets of a file; a gloss alone is too short to be one.

    Neighbours in a file share their topic (noun.animal, verb.motion, ...).
    """
    for _, data in members:
        # The licence at the top of a file is indented; no synset is.
        lines = [line for line in decode(data).splitlines() if "|" in line and not line.startswith(" ")]
        for start in range(0, len(lines), group):
            yield "\n".join(map(_entry, lines[start : start + group]))
