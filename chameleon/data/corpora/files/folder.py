"""Which files of a domain's folder are read, and what is passed over there, so that it can be said.

Hidden files and folders (`.ipynb_checkpoints`, the `._name` of a Mac) are other programs' and are never read.
Links are followed, and a folder that several lead to is read once.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from chameleon.core.errors import UserError
from chameleon.data.corpora.files.rows import FORMS, form_of
from chameleon.data.corpora.files.streams import COMPRESSIONS

# Names in the line that says what is passed over.
_MOST_NAMES = 20


@dataclass
class Found:
    """What lies in a folder.

    Attributes:
        read: files that are read, sorted.
        unread: names, relative to the folder, of what is neither read nor hidden, with the reason where it
            is not the name.
        hidden: names of what is hidden; what lies in a hidden folder goes unnamed.
        empty: names of files that are read and hold nothing.
    """

    read: list[Path] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def said(self) -> str:
        """Return what is passed over, in one line; empty if nothing is."""
        parts = (("not read", self.unread), ("hidden, passed over", self.hidden), ("empty", self.empty))
        return "; ".join(f"{what}: {listed(names)}" for what, names in parts if names)


def known() -> str:
    """Return the names of files that are read, for a message."""
    return f"{', '.join(FORMS)} (all but .parquet with {', '.join(COMPRESSIONS)} as well)"


def look(root: Path, domain: str) -> Found:
    """Return what lies in a domain's folder and the folders inside it.

    Raises:
        UserError: a folder cannot be listed, something in it not be looked at, or nothing in it be read.
    """
    found = Found()
    # Links come last, so that a folder is read under its own name where it has one here.
    folders, links, seen = [root], list[Path](), set[tuple[int, int]]()
    while folders or links:
        folder = (folders or links).pop()
        name = _name(folder, root)
        state = _state(folder)
        if state is None:
            raise UserError(f"{folder}: no such folder")
        if (state.st_dev, state.st_ino) in seen:
            found.unread.append(f"{name} (a link to a folder that is read already)")
            continue
        seen.add((state.st_dev, state.st_ino))
        for path in _inside(folder):
            if path.name.startswith("."):
                found.hidden.append(_name(path, root))
            elif is_folder(path):
                (links if path.is_symlink() else folders).append(path)
            else:
                _sort(found, path, _name(path, root))
    for names in (found.unread, found.hidden, found.empty):
        names.sort()
    found.read.sort()
    if not found.read:
        there = f"; there: {found.said()}" if found.said() else ""
        raise UserError(f"{root}: no files for domain {domain!r}; read are {known()}{there}")
    return found


def domain_folders(root: Path) -> tuple[list[str], list[str]]:
    """Return the names of the folders in `root`, and of files beside them that would be read in one of them.

    Raises:
        UserError: `root` cannot be listed.
    """
    shown = [path for path in _inside(root) if not path.name.startswith(".")]
    folders = [path.name for path in shown if is_folder(path)]
    return folders, [p.name for p in shown if p.name not in folders and form_of(p.name)]


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder or leads to one."""
    state = _state(path)
    return state is not None and stat.S_ISDIR(state.st_mode)


def _sort(found: Found, path: Path, name: str) -> None:
    """Put what is no folder where it belongs."""
    state = _state(path)
    if form_of(path.name) is None:
        found.unread.append(name)
    elif state is not None and not stat.S_ISREG(state.st_mode):
        found.unread.append(f"{name} (not a file)")
    elif name != name.encode("utf-8", "replace").decode("utf-8"):
        raise UserError(f"{path.parent}: the name {path.name!r} is not UTF-8; rename the file")
    else:
        # A link to nothing among them: opening it says so.
        found.read.append(path)
        if state is not None and state.st_size == 0:
            found.empty.append(name)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _state(path: Path) -> os.stat_result | None:
    """Return what a path leads to, or None for a link to nothing or to itself."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def listed(names: list[str]) -> str:
    """Return names for a message, not too many."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
