"""A scheduler's signal while a run trains: it is noted, and the loop saves and stops at the next step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

#: What schedulers send before they kill (SLURM: SIGTERM, or SIGUSR1 on request), and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@dataclass
class Watch:
    """`number` is that of the first signal that came, or 0."""

    number: int = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number

    @property
    def received(self) -> str | None:
        """The signal's name, or None."""
        return signal_name(self.number) if self.number else None


def signal_name(number: int) -> str:
    """Return a signal's name."""
    return signal.Signals(number).name


@contextmanager
def watching() -> Iterator[Watch]:
    """Note the signals that come within; outside of the main thread none can be caught."""
    watch = Watch()
    before = {}
    try:
        for number in SIGNALS:
            before[number] = signal.signal(number, watch.note)
    except ValueError:
        pass
    try:
        yield watch
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
