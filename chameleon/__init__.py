"""Data mixing for language-model training: KRLS domain weights and a fair comparison of methods.

Data flows one way: corpora -> tokens -> proxy -> embeddings -> weights -> base training ->
evaluation -> tables and figures. A module imports only from its left. Importing the package
imports nothing heavy, so that Snakemake can parse the workflow without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chameleon.exports import audit, export
    from chameleon.mixture import Mixture
    from chameleon.mixture.compare import compare
    from chameleon.weighing.api import add, remove, weigh
    from chameleon.weighing.bench import bench

__version__ = "0.1.0"

#: What `from chameleon import ...` gives, named as on the command line, and where it lies.
_PUBLIC = {
    "Mixture": "chameleon.mixture",
    "weigh": "chameleon.weighing.api",
    "add": "chameleon.weighing.api",
    "remove": "chameleon.weighing.api",
    "compare": "chameleon.mixture.compare",
    "bench": "chameleon.weighing.bench",
    "export": "chameleon.exports",
    "audit": "chameleon.exports",
}
__all__ = ["Mixture", "add", "audit", "bench", "compare", "export", "remove", "weigh"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'chameleon' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
