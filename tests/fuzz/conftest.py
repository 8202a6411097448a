"""Property tests over every parser of files that users bring, and the table of what they tried.

Short and the same every time in `make test`; CHAMELEON_FUZZ=full tries at least 2,000 malformed inputs, other
ones each time.
"""

from typing import Any

import tally
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=tally.EXAMPLES,
    derandomize=not tally.FULL,
    print_blob=True,
    deadline=None,
    database=None,
    # Files are written anew for every example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("fuzz")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was tried."""
    lines = tally.table()
    if lines:
        terminalreporter.section("fuzzing")
        for line in lines:
            terminalreporter.write_line(line)
