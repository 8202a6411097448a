"""Windows of a domain as token ids, made as they are asked for, and what is known of its text."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from chameleon.core.errors import UserError
from chameleon.mixture import Domain
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.text.sources import Drawn

#: Token ids, the document that they begin in, and tokens per character (None: the text came as tokens).
Made = tuple[list[int], int, float | None]


class Text:
    """Windows of one domain, in the order drawn. Short ones are left out where there are full ones.

    Args:
        make: returns the i-th of `count` windows.
        count: windows that were drawn.
        length: tokens of a full one.
        about: what is known without looking at tokens.
    """

    def __init__(self, make: Callable[[int], Made], count: int, length: int, about: Domain) -> None:
        self._make, self._count, self._length, self._about = make, count, length, about
        self._tried: list[Made] = []
        self._full: list[int] = []

    def first(self, n: int) -> tuple[list[list[int]], np.ndarray]:
        """Return token ids and documents of the first n windows; fewer where there are not so many."""
        while len(self._full) < n and len(self._tried) < self._count:
            made = self._make(len(self._tried))
            if len(made[0]) == self._length:
                self._full.append(len(self._tried))
            self._tried.append(made)
        kept = self._full or [i for i, made in enumerate(self._tried) if made[0]]
        chosen = [self._tried[i] for i in kept[:n]]
        return [ids for ids, _, _ in chosen], np.array([document for _, document, _ in chosen], np.int64)

    @property
    def known(self) -> Domain:
        """What is known of the domain: its tokens from the tokens per character of the windows so far."""
        rates = [rate for _, _, rate in self._tried if rate is not None]
        if self._about.characters is None or self._about.documents is None or not rates:
            return self._about
        tokens = round(float(np.mean(rates)) * self._about.characters)
        return replace(self._about, tokens=tokens, tokens_per_document=tokens / self._about.documents)


def texts(drawn: Drawn, embedder: Embedder) -> dict[str, Text]:
    """Return the windows of every domain that was read.

    Raises:
        UserError: a domain without text.
    """
    found = {}
    for name, sampler in drawn.samplers.items():
        windows = sampler.drawn()
        if not windows:
            raise UserError(f"domain {name!r}: no text in {', '.join(drawn.paths[name])}")

        def make(i: int, windows: list = windows) -> Made:  # type: ignore[type-arg]
            ids, rate = embedder.tokens(windows[i].pieces)
            return ids, windows[i].document, rate

        about = Domain(
            paths=drawn.paths[name], documents=sampler.documents, characters=sampler.characters_seen
        )
        found[name] = Text(make, len(windows), embedder.window_length, about)
    return found
