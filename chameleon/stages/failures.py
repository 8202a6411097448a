"""Why a job failed, as a file beside where its results would lie, for whoever reads what is missing.

`failure.json` in the folder of a run, `NAME.failure.json` beside a single file; gone once the job succeeds.
It is no declared output: Snakemake leaves it alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import write_json
from chameleon.core.errors import Diverged, Interrupted, UserError


def failure_file(out: Path) -> Path:
    """Return where the failure of a job with this `--out` is told."""
    return out.with_suffix(".failure.json") if out.suffix else out / "failure.json"


@contextmanager
def reported(stage: str, out: Path) -> Iterator[None]:
    """Tell of an exception from within; of a stop by a signal nothing, since the job goes on.

    A mistake of the user's that shows before anything is written leaves nothing behind, not even this.
    """
    path = failure_file(out)
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        raise
    except Exception as error:
        if not isinstance(error, UserError) or isinstance(error, Diverged) or path.parent.exists():
            _tell(path, stage, error)
        raise
    path.unlink(missing_ok=True)


def _tell(path: Path, stage: str, error: Exception) -> None:
    told: dict[str, Any] = {
        "stage": stage,
        "reason": " ".join(str(error).split()) or type(error).__name__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if isinstance(error, Diverged):
        told |= {"step": error.step, "learning_rate": error.learning_rate, "domains": error.domains}
    # A full or read-only disk may be the very failure; the log has it.
    with suppress(OSError, UserError):
        write_json(path, told)
