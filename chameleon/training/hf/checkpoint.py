"""Reading checkpoints: from a folder, a GGUF file or the hub, and from what a run of ours has left.

`provide` is the work of the `checkpoint` job: the one place that may need a network. transformers is loaded
when the first checkpoint is: models of our own do without it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.tokenizer import load_tokenizer, vocabulary_size
from chameleon.training.hf.building import without_dropout
from chameleon.training.hf.decoder import CONTEXT, HfDecoder, HfShape
from chameleon.training.model import Decoder, load_pretrained


def load(folder: Path) -> Decoder:
    """Read a model folder of the suite, our own decoder or one of transformers, in float32.

    Raises:
        UserError: see `load_pretrained`; or the folder does not hold what its config says.
    """
    config = read_json(folder / "config.json")
    if CONTEXT not in config:  # it was not left by `HfDecoder.save`
        return load_pretrained(folder)
    return HfDecoder(read(str(folder), torch.float32, str(folder)), config[CONTEXT])


def provide(source: str, model: Mapping[str, int], tokenizer: Path, folder: Path) -> HfShape:
    """Write a checkpoint as one folder that `load` reads, in its own precision; return its shape.

    Args:
        source: a folder, a GGUF file, or a name on the hub, `NAME` or `NAME@REVISION`.
        model: what the config says: n_layer, n_head, d_model, context.
        tokenizer: the experiment's.
        folder: to be written.

    Raises:
        UserError: it cannot be loaded, is of another size, takes fewer tokens, or reads another tokenizer.
    """
    lm = read(source, "auto", "checkpoint")
    own = {
        "n_layer": lm.config.num_hidden_layers,
        "n_head": lm.config.num_attention_heads,
        "d_model": lm.config.hidden_size,
    }
    for key, value in own.items():
        if model[key] != value:
            raise UserError(f"scales: model.{key}: {model[key]}, but checkpoint {source!r} has {value}")
    most = getattr(lm.config, "max_position_embeddings", None) or model["context"]
    if model["context"] > most:
        raise UserError(
            f"scales: model.context: {model['context']} is longer than the {most} of checkpoint {source!r}"
        )
    _check_tokenizer(source, tokenizer, lm.get_output_embeddings().weight.shape[0])
    made = HfDecoder(lm, model["context"])
    made.save(folder)
    return made.shape


def _check_tokenizer(source: str, tokenizer: Path, rows: int) -> None:
    """Refuse a tokenizer that is not the checkpoint's: its ids would mean other tokens."""
    remedy = f"write tokenizer: {{kind: hf, path: {source.partition('@')[0]}}}"
    ours = load_tokenizer(tokenizer)
    if (size := vocabulary_size(ours)) > rows:
        said = f"{size} tokens, but checkpoint {source!r} has {rows} embeddings"
        raise UserError(f"tokenizer: {said}; {remedy}")
    path = Path(source)
    if path.is_file() or (path.is_dir() and not (path / "tokenizer.json").is_file()):
        return  # it has none to compare with
    from transformers import AutoTokenizer

    try:
        name, _, revision = (source, "", "") if path.is_dir() else source.partition("@")
        theirs = AutoTokenizer.from_pretrained(name, revision=revision or None, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"checkpoint: cannot load the tokenizer of {source!r}: {reason}") from error
    if theirs.get_vocab() != ours.get_vocab():
        raise UserError(f"tokenizer: its tokens are not those of checkpoint {source!r}; {remedy}")


def read(source: str, dtype: Any, where: str) -> Any:
    """Return the causal language model of a folder, a GGUF file or a name on the hub (`NAME@REVISION`).

    Code that comes with a model is never run, no pickle is read, and there is no dropout.

    Raises:
        UserError: it cannot be had, or is no causal language model, or lacks weights.
    """
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    path, name = Path(source), source
    found: dict[str, Any] = {"trust_remote_code": False}
    if path.suffix == ".gguf" and path.is_file():
        name, found["gguf_file"] = str(path.parent), path.name
    elif not path.is_dir() and "@" in source:
        name, _, found["revision"] = source.rpartition("@")
    try:
        config = without_dropout(AutoConfig.from_pretrained(name, **found))
        if "gguf_file" not in found:
            found["use_safetensors"] = True
        load: Any = AutoModelForCausalLM.from_pretrained
        lm, said = load(name, config=config, dtype=dtype, output_loading_info=True, **found)
    except Exception as error:  # whatever a library makes of a folder that holds something else
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{where}: cannot load {source!r} as a causal language model: {reason}") from error
    if missing := sorted(said["missing_keys"]):
        raise UserError(f"{where}: {source!r} lacks {len(missing)} weights, {missing[0]} first")
    if (quantizer := getattr(lm, "hf_quantizer", None)) is not None:
        if "gguf_file" not in found:
            raise UserError(f"{where}: {source!r} is quantized; take the model in 16 or 32 bits")
        # Its weights are plain numbers by now.
        quantizer.remove_quantization_config(lm)
    return lm
