"""The shape of a scale's model, for prices: ours, one of transformers from scratch, or a checkpoint's."""

import json
from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.experiment.config import Config
from chameleon.training.model import ModelShape


def shape(cfg: Config, scale: str, vocab: int) -> ModelShape:
    """Return the shape of a scale's model; what lies beside a checkpoint on the hub is taken for one of ours.

    Args:
        cfg: the experiment.
        scale: one in use.
        vocab: tokens of the experiment's tokenizer.
    """

    from chameleon.training.hf import scratch

    model = cfg.raw["scales"][scale]["model"]
    sources = {name: source for source, name in cfg.checkpoints.values()}
    if scale in sources and (file := Path(sources[scale]) / "config.json").is_file():
        return scratch.counted(json.dumps(read_json(file), sort_keys=True), model["context"])
    return scratch.shape(model, vocab)
