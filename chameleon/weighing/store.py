"""The windows' vectors beside a mixture: what adding and removing domains starts from.

`windows.safetensors`: for every domain i in the order of the mixture `i/rows` (n_i x width, float32) and
`i/documents` (n_i, which document a window begins in); the names are in the mixture.
"""

from pathlib import Path

import numpy as np

from chameleon.core.artifacts import atomic
from chameleon.core.errors import UserError

NAME = "windows.safetensors"

#: By domain: vectors (n x width) and document numbers (n).
Vectors = dict[str, tuple[np.ndarray, np.ndarray]]


def save(folder: Path, vectors: Vectors) -> None:
    """Write the vectors of a mixture into its folder."""
    from safetensors.numpy import save_file

    tensors = {}
    for i, (rows, documents) in enumerate(vectors.values()):
        tensors[f"{i:05d}/rows"] = np.ascontiguousarray(rows, dtype=np.float32)
        tensors[f"{i:05d}/documents"] = np.ascontiguousarray(documents, dtype=np.int64)
    with atomic(folder / NAME) as temporary:
        save_file(tensors, temporary)


def load(folder: Path, domains: tuple[str, ...]) -> Vectors:
    """Return the vectors of a mixture.

    Raises:
        UserError: no such file, it cannot be read, or it is not that of a mixture of so many domains.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / NAME
    try:
        tensors = load_file(path)
        if len(tensors) != 2 * len(domains):
            raise UserError(f"{path}: holds {len(tensors) // 2} domains, mix.json {len(domains)}")
        return {d: (tensors[f"{i:05d}/rows"], tensors[f"{i:05d}/documents"]) for i, d in enumerate(domains)}
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; it is written beside mix.json by `chameleon weigh`"
        ) from error
    except (SafetensorError, KeyError, OSError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
