"""What transformers says of a scale's config, asked in a process of its own and remembered in the cache.

Imports nothing heavy: reading an experiment's config comes here, and Snakemake reads it for every job.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from chameleon.core.artifacts import fingerprint, read_json, write_json
from chameleon.core.cache import cache_dir
from chameleon.core.errors import UserError

#: To be raised when `chameleon.training.hf.scratch.describe` says something else of the same config.
VERSION = 1
#: Sizes of a model, and what they are called in configs of transformers.
SIZES = {
    "n_layer": ("num_hidden_layers", "n_layer", "num_layers"),
    "n_head": ("num_attention_heads", "n_head", "num_heads"),
    "d_model": ("hidden_size", "n_embd", "d_model"),
}


def sizes(config: Mapping[str, Any], context: int, where: str) -> dict[str, int]:
    """Return n_layer, n_head and d_model of a model of transformers.

    Args:
        config: by the names of transformers, with `model_type`.
        context: tokens of a block.
        where: the file and key of the scale's model, for messages.

    Raises:
        UserError: no such decoder can be made; or transformers is not at hand, as where the workflow's
            environment is not the jobs', and the config does not say its sizes itself.
    """
    asked = {"config": dict(config), "context": context}
    try:
        of = version("transformers")
    except PackageNotFoundError:
        return {size: _written(config, size, where) for size in SIZES}
    kept = cache_dir() / "architectures" / f"{fingerprint([asked, of, VERSION])}.json"
    if kept.is_file():
        answer = read_json(kept)
    else:
        command = [sys.executable, "-m", "chameleon.training.hf.scratch"]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{where}: transformers could not be asked:\n{done.stderr}")
        answer = json.loads(done.stdout.splitlines()[-1])
        with suppress(UserError):  # a cache that cannot be written costs time only
            write_json(kept, answer)
    if "error" in answer:
        raise UserError(f"{where}.{answer['error']}")
    return dict(answer["sizes"])


def _written(config: Mapping[str, Any], size: str, where: str) -> int:
    for name in SIZES[size]:
        if isinstance(value := config.get(name), int):
            return value
    raise UserError(f"{where}.config.{SIZES[size][0]}: missing; without transformers here it must be written")
