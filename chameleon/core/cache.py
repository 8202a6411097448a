"""Where downloads and compiled code are kept from one run to the next."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the cache folder: `$CHAMELEON_CACHE`, else `.cache` in the working directory."""
    return Path(os.environ.get("CHAMELEON_CACHE") or ".cache").absolute()
