"""Windows of a domain's text, drawn while it streams by once, in constant memory.

Every window's start is uniform over the characters of all documents, one after the other, and independent of
the other windows' (so the first n of them are a sample too). A stream's length is not known before its end:
the text is taken in chunks, and at each chunk every window moves into it with probability chunk / (all so
far), to a uniform place in it, which leaves every character of the stream equally likely in the end. A window
begins at a word, runs on into the next documents as in the reference code, and is moved back where the chunk
would end inside it.
"""

from dataclasses import dataclass, field

import numpy as np

from chameleon.core.seeds import generator

#: Characters of a chunk. Larger ones lose fewer windows at their ends; every open domain holds one.
CHUNK = 1 << 18
#: How far a start moves on to the next word.
_WORD = 40


@dataclass(frozen=True)
class Window:
    """Text from one place of a stream.

    Attributes:
        document: number of the document that it begins in, from 0.
        pieces: its text, one piece per document; longer than the tokens that will be read of it.
    """

    document: int
    pieces: tuple[str, ...]


@dataclass
class Sampler:
    """Draws `count` windows of `characters` each from the documents it is shown.

    Attributes:
        documents, characters_seen: of the stream so far.
    """

    domain: str
    count: int
    characters: int
    seed: int
    documents: int = 0
    characters_seen: int = 0
    _windows: list[Window | None] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _numbers: list[int] = field(default_factory=list)
    _held: int = 0

    def __post_init__(self) -> None:
        self._windows = [None] * self.count
        self._rng = generator(self.seed, "weigh", self.domain)

    def add(self, text: str, new: bool = True) -> None:
        """Show it one more document, or (not `new`) more of the last one."""
        self.documents += new
        self._texts.append(text)
        self._numbers.append(self.documents - 1)
        self._held += len(text)
        if self._held >= CHUNK:
            self._close()

    def drawn(self) -> list[Window]:
        """Return the windows after the last document; none if there was no text."""
        self._close()
        return [window for window in self._windows if window is not None]

    def _close(self) -> None:
        """Move windows into the chunk that is held, and forget it."""
        texts, held = self._texts, self._held
        if held:
            moves = self._rng.random(self.count) * (self.characters_seen + held) < held
            places = self._rng.integers(0, held, self.count)
            ends = np.cumsum([len(text) for text in texts])
            for i in np.flatnonzero(moves):
                self._windows[i] = self._window(texts, ends, int(places[i]))
        self.characters_seen += held
        self._texts, self._numbers, self._held = [], [], 0

    def _window(self, texts: list[str], ends: np.ndarray, place: int) -> Window:
        place = max(0, min(place, int(ends[-1]) - self.characters))
        first = int(np.searchsorted(ends, place, side="right"))
        offset = place - (int(ends[first - 1]) if first else 0)
        pieces: list[str] = []
        left, at = self.characters, first
        while left > 0 and at < len(texts):
            text = texts[at]
            if at == first and offset:
                offset = _word(text, offset)
            piece = text[offset : offset + left] if at == first else text[:left]
            if piece and pieces and self._numbers[at] == self._numbers[at - 1]:
                pieces[-1] += piece
            elif piece:
                pieces.append(piece)
            left -= len(piece)
            at += 1
        return Window(self._numbers[first], tuple(pieces))


def _word(text: str, offset: int) -> int:
    """Return where the next word after `offset` begins, or `offset` where none does soon."""
    if text[offset - 1].isspace():
        return offset
    for at in range(offset, min(offset + _WORD, len(text))):
        if text[at].isspace():
            return at
    return offset
