"""The shape of a scale's model, for prices: ours, one of transformers from scratch, or a checkpoint's."""

import json
from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.experiment.config import Config
from chameleon.training.hf import scratch
from chameleon.training.model import ModelShape


def shape(cfg: Config, scale: str, vocab: int) -> ModelShape:
    """Return the shape of a scale's model; a checkpoint whose config is not here is taken for one of ours.

    Args:
        cfg: the experiment.
        scale: one in use.
        vocab: tokens of the experiment's tokenizer.
    """
    model = cfg.raw["scales"][scale]["model"]
    for name, (source, of) in cfg.checkpoints.items():
        if of == scale and (file := _config(cfg, name, source)) is not None:
            return scratch.counted(json.dumps(read_json(file), sort_keys=True), model["context"])
    return scratch.shape(model, vocab)


def _config(cfg: Config, name: str, source: str) -> Path | None:
    """Return a checkpoint's config.json: its folder's, the one in the hub's cache, or one taken before."""
    from huggingface_hub import try_to_load_from_cache

    places = [Path(source) / "config.json", Path(cfg.results, "checkpoints", name, "model", "config.json")]
    hub, _, revision = source.partition("@")
    if hub.count("/") <= 1 and not hub.startswith((".", "/", "~")):
        cached = try_to_load_from_cache(hub, "config.json", revision=revision or None)
        places += [Path(cached)] if isinstance(cached, str) else []
    return next((file for file in places if file.is_file()), None)
