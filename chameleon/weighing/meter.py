"""How far the reading and the embedding have come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from tqdm import tqdm

#: Seconds between lines.
EVERY = 20.0


class Meter:
    """Counts up to a total (None: not known)."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.done, self.unit = label, total, 0, unit
        self._bar = tqdm(total=total, desc=label, unit=unit, unit_scale=True) if sys.stderr.isatty() else None
        self._last = time.monotonic()

    def add(self, more: int, at: str = "") -> None:
        """Say that so much more is done; `at` names what."""
        self.done += more
        if self._bar is not None:
            self._bar.set_postfix_str(at, refresh=False)
            self._bar.update(more)
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            share = f"{self.done / self.total:.0%}" if self.total else f"{self.done} {self.unit}"
            print(f"{self.label}: {share} {at}".rstrip(), file=sys.stderr, flush=True)

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
