"""What transformers says of a scale's config, asked in a process of its own and remembered in the cache.

Imports nothing heavy: reading an experiment's config comes here, and Snakemake reads it for every job.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from chameleon.core.artifacts import fingerprint, read_json, write_json
from chameleon.core.cache import cache_dir
from chameleon.core.errors import UserError

#: To be raised when `chameleon.training.hf.scratch.describe` says something else of the same config.
VERSION = 1


def sizes(config: Mapping[str, Any], context: int, where: str) -> dict[str, int]:
    """Return n_layer, n_head and d_model of a model of transformers.

    Args:
        config: by the names of transformers, with `model_type`.
        context: tokens of a block.
        where: the file and key of the scale's model, for messages.

    Raises:
        UserError: no such decoder can be made.
    """
    asked = {"config": dict(config), "context": context}
    kept = cache_dir() / "architectures" / f"{fingerprint([asked, version('transformers'), VERSION])}.json"
    if kept.is_file():
        answer = read_json(kept)
    else:
        command = [sys.executable, "-m", "chameleon.training.hf.scratch"]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{where}: transformers could not be asked:\n{done.stderr}")
        answer = json.loads(done.stdout.splitlines()[-1])
        write_json(kept, answer)
    if "error" in answer:
        raise UserError(f"{where}.{answer['error']}")
    return dict(answer["sizes"])
