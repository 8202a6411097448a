"""A scheduler's signal while a run trains: it is noted, and the loop saves and stops at the next step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: What schedulers send before they kill (SLURM: SIGTERM, or SIGUSR1 on request), and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@dataclass
class Watch:
    """`numbers` are those of the signals that came, in their order."""

    numbers: list[int] = field(default_factory=list)

    @property
    def number(self) -> int:
        """The first signal's number, or 0."""
        return self.numbers[0] if self.numbers else 0

    @property
    def received(self) -> str | None:
        """The first signal's name, or None."""
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
            before[number] = signal.signal(number, lambda n, _: watch.numbers.append(n))
    except ValueError:
        pass
    try:
        yield watch
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
