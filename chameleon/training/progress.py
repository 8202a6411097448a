"""How far a long job has come: a bar on a terminal, a log line now and then elsewhere."""

import sys
import time

from tqdm import tqdm


class Progress:
    """A tqdm bar on a terminal, a log line every twenty seconds elsewhere."""

    def __init__(self, label: str, total: int, every: float = 20.0) -> None:
        self.label, self.total, self.every = label, total, every
        self.bar = tqdm(total=total, desc=label, unit="step") if sys.stderr.isatty() else None
        self.start = self.last = time.monotonic()

    def update(self, step: int, loss: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif (now := time.monotonic()) - self.last >= self.every or step == self.total:
            self.last = now
            rate = step / max(1e-9, now - self.start)
            left = (self.total - step) / rate
            print(
                f"{self.label}: step {step}/{self.total}, loss {loss:.3f}, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
