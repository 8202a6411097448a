"""A folder that experiments and users share: prepared and tokenised corpora by what they were made from.

`$CHAMELEON_STORE` names it; without it there is none. An entry's key is a digest of everything that decides
its bytes, so whoever would make the same takes it instead; its files are compared with their digests first.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from chameleon.core.artifacts import read_json, sha256_file, write_json
from chameleon.core.errors import UserError

VARIABLE = "CHAMELEON_STORE"
LISTING = "stored.json"


def _entry(key: str) -> Path | None:
    root = os.environ.get(VARIABLE)
    return Path(root).absolute() / key[:2] / key if root else None


def holds(key: str) -> bool:
    """Return whether there is a store and it has this."""
    entry = _entry(key)
    return entry is not None and (entry / LISTING).is_file()


def take(key: str, out: Path) -> bool:
    """Put the files of an entry into `out`; False where there is no such entry, or it is damaged."""
    entry = _entry(key)
    if entry is None or not holds(key):
        return False
    try:
        files = read_json(entry / LISTING)
        for name, digest in files.items():
            if sha256_file(entry / name) != digest:
                raise UserError(f"{entry / name}: its bytes are not those that were stored")
    except (OSError, UserError) as error:
        print(f"warning: {error}; made anew", file=sys.stderr, flush=True)
        return False
    for name in files:
        _link(entry / name, out / name)
    print(f"taken from the store: {entry}", file=sys.stderr, flush=True)
    return True


def put(key: str, out: Path, files: Iterable[Path]) -> None:
    """Store files that lie in `out`; a store that cannot be written is said and costs nothing else."""
    entry = _entry(key)
    if entry is None or holds(key):
        return
    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".new."))
        digests = {}
        for path in files:
            name = path.relative_to(out).as_posix()
            _link(path, temporary / name)
            digests[name] = sha256_file(path)
        write_json(temporary / LISTING, digests)
        temporary.chmod(0o755)
        # What is there without a listing was damaged; of two that store at once the later one finds it done.
        if not holds(key):
            shutil.rmtree(entry, ignore_errors=True)
            temporary.rename(entry)
    except (OSError, UserError) as error:
        print(f"warning: {entry}: not stored: {error}", file=sys.stderr, flush=True)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it to another disk; nobody writes into a file that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
