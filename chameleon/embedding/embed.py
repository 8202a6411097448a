"""Domain embeddings: the mean hidden state of a domain under the proxy (the paper's x_i).

Random windows of the domain's *train* split go through the proxy up to the middle block; hidden states are
averaged over a window's positions, then over windows. The reference code decodes each window to text,
tokenises it again and averages over the padding too; here windows stay token ids of full length, so there
is nothing to pad. Windows may cross document ends, as in the reference.
"""

from typing import Any

import numpy as np
import torch

from chameleon.core.errors import UserError
from chameleon.core.seeds import generator
from chameleon.data.tokens import TokenCorpus, TokenStream
from chameleon.embedding.layers import domain_mean, middle
from chameleon.embedding.low_precision import MeanStates
from chameleon.training import engine
from chameleon.training.model import Decoder

#: Tokens of one forward pass: on a CPU so few that a layer's activations stay in the cache.
BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}


def window_starts(stream: TokenStream, count: int, length: int, seed: int, domain: str) -> np.ndarray:
    """Return `count` different window starts in a stream, ascending (fewer if the stream is short).

    Raises:
        UserError: the stream is shorter than one window.
    """
    positions = len(stream) - length + 1
    if positions < 1:
        raise UserError(
            f"domain {domain!r}: {len(stream)} training tokens are fewer than a window of {length}"
        )
    rng = generator(seed, "windows", domain)
    return np.sort(rng.choice(positions, size=min(count, positions), replace=False))


@torch.no_grad()
def window_means(
    model: Decoder, stream: TokenStream, starts: np.ndarray, length: int, layer: int, precision: str = "fp32"
) -> np.ndarray:
    """Return the mean hidden state of every window: len(starts) x d_model, float32.

    Args:
        precision: "fp32", "bf16" (see `chameleon.embedding.low_precision`), or "auto" (see
            `chameleon.training.engine`). bf16 means are off by less than 0.1 %; float32 gives the very bytes
            that the sensitivity study gets, which passes through all layers at once. A last or zeroth layer
            and a model of transformers are float32 always.
    """
    device = next(model.parameters()).device
    size = max(1, BATCH_TOKENS[device.type] // length)
    low = engine.precision(precision, device, model.shape.d_model) == "bf16"
    of_ours = low and type(model) is Decoder and 0 < layer < model.shape.n_layer
    states = MeanStates(model, layer) if of_ours else None
    rows = []
    for i in range(0, len(starts), size):
        windows = np.stack([stream.read(int(s), int(s) + length) for s in starts[i : i + size]])
        ids = torch.from_numpy(windows).to(device)
        means = model.hidden(ids, layer).mean(dim=1) if states is None else states(ids)
        rows.append(means.float().cpu().numpy())
    return np.concatenate(rows)


def embed(model: Decoder, corpus: TokenCorpus, spec: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the embeddings artefact of a corpus (schema `embeddings`) and the tokens processed.

    Args:
        model: the proxy.
        corpus: its token shards.
        spec: as `specs.embed` makes it.
    """
    shape = model.shape
    layer = middle(shape.n_layer) if spec["layer"] is None else spec["layer"]
    length = spec["window_length"] or shape.context
    if length > shape.context:
        raise UserError(
            f"embeddings.window_length: {length} is longer than the proxy's context {shape.context}"
        )
    rows, tokens = {}, 0
    for domain in spec["domains"]:
        stream = corpus.stream(domain, "train")
        starts = window_starts(stream, spec["windows"], length, spec["seeds"]["windows"], domain)
        means = window_means(model, stream, starts, length, layer, spec.get("precision", "fp32"))
        tokens += len(starts) * length
        # Nine significant digits give a float32 back exactly.
        rows[domain] = [float(f"{x:.9g}") for x in domain_mean(means)]
    return artefact(corpus, spec, rows, layer=layer, window_length=length), tokens


def artefact(
    corpus: TokenCorpus, spec: dict[str, Any], rows: dict[str, list[float]], **made: Any
) -> dict[str, Any]:
    """Return the embeddings artefact of rows by domain; `made`: how, beside what the spec says."""
    return {
        **{key: spec[key] for key in ("corpus", "seed", "windows")},
        "domains": list(spec["domains"]),
        "rows": rows,
        "tokenizer_sha256": corpus.tokenizer_sha256,
        "corpus_sha256": corpus.sha256,
        **made,
    }
