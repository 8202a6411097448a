"""The identity of text that lies on this machine, so that a change of it is seen while jobs are planned.

It is of content: a folder that was touched, copied or fetched anew is the same text. A file is read once; its
digest stays in the cache for as long as its size and times stay. Reading for that takes about a second per
gigabyte, a small part of what preparing the text takes.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chameleon.core.artifacts import fingerprint, read_json, sha256_file, write_json
from chameleon.core.cache import cache_dir
from chameleon.core.errors import UserError

#: A file changed so lately could change again without its times telling.
SECONDS = 2.0
#: Bytes to read from which on it is said why the plan takes a while.
MANY = 2_000_000_000

#: Size, time of the last change of content, of the inode (nanoseconds), SHA-256.
Known = dict[str, list[int | str]]


def digest(root: str | Path, files: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) of the names (relative to `root`) and contents of files.

    Raises:
        UserError: a file cannot be read.
    """
    root = Path(os.path.abspath(root))
    cache = cache_dir() / "text" / f"{fingerprint(str(root))[:32]}.json"
    known, found = _read(cache), dict[str, str]()
    new: Known = {}
    try:
        states = {os.path.relpath(os.path.abspath(path), root): os.stat(path) for path in files}
        todo = {n: s for n, s in states.items() if known.get(n, [])[:3] != _state(s)}
        if (size := sum(state.st_size for state in todo.values())) > MANY:
            print(f"{root}: reading {size / 1e9:.1f} GB of new text", file=sys.stderr)
        for name, state in states.items():
            found[name] = sha256_file(root / name) if name in todo else str(known[name][3])
            if time.time() - max(state.st_mtime, state.st_ctime) > SECONDS:
                new[name] = [*_state(state), found[name]]
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be read: {error.strerror or error}") from error
    if new != known:
        with suppress(UserError):  # a cache that cannot be written costs time only
            write_json(cache, new)
    return fingerprint(sorted(found.items()))


def _state(state: os.stat_result) -> list[int | str]:
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _read(cache: Path) -> Known:
    try:
        known: Known = read_json(cache)
    except UserError:
        return {}
    good = isinstance(known, dict) and all(isinstance(v, list) and len(v) == 4 for v in known.values())
    return known if good else {}
