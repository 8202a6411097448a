"""Python as on a machine that has torch, numpy, transformers and what pip installs with them, no more.

Read by every interpreter that has this folder on its PYTHONPATH: other installed packages are not found.
"""

import importlib.machinery
import re
import sys
from importlib import metadata
from typing import Any

GIVEN = ("torch", "numpy", "transformers")
#: Importable because they are on the path, not installed.
OWN = {"chameleon", "baselines"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(names: tuple[str, ...]) -> set[str]:
    """Return the distributions and all that they require, extras aside."""
    found: set[str] = set()
    waiting = [plain(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        found.add(name)
        waiting += [plain(re.split(r"[^\w.-]", need)[0]) for need in needs if "extra ==" not in need]
    return found


ALLOWED = installed_with(GIVEN)
HIDDEN = {
    module
    for module, owners in metadata.packages_distributions().items()
    if not ALLOWED.intersection(map(plain, owners))
} - OWN


class Finder(importlib.machinery.PathFinder):
    """Finds what is not hidden."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] in HIDDEN:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, path, target)


sys.meta_path[:] = [
    Finder if finder is importlib.machinery.PathFinder else finder  # type: ignore[comparison-overlap]
    for finder in sys.meta_path
]
