"""Embeds the domains with one proxy in every way that the study asks for: layers, lengths, draws and counts.

One job per proxy: reads token manifests and a checkpoint, writes
`sensitivity/embeddings/{variant}/seed{n}.json`. One forward pass gives all layers at once. Only domain
means are kept, so the rest of the study is numpy on small files.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chameleon.core.provenance import Cost, Recorder
from chameleon.core.seeds import generator
from chameleon.data.tokens import TokenStream
from chameleon.embedding.embed import BATCH_TOKENS, window_starts
from chameleon.embedding.layers import domain_mean
from chameleon.stages.common import load_model
from chameleon.stages.inputs import open_corpora, streams
from chameleon.training.device import setup_torch
from chameleon.training.model import Decoder, flops_per_token

Spec = Mapping[str, Any]
#: layer -> windows x d_model
Means = dict[int, np.ndarray]


def _add_mean(means: list[torch.Tensor], states: torch.Tensor) -> None:
    means.append(states.mean(dim=1))


@torch.no_grad()
def means_by_layer(
    model: Decoder, stream: TokenStream, starts: np.ndarray, length: int, layers: Sequence[int]
) -> Means:
    """Return the mean hidden state of every window at each of `layers`: len(starts) x d_model, float32.

    The same numbers as `embeddings.window_means` gives layer by layer in float32.
    """
    device = next(model.parameters()).device
    deepest = max(layers)
    rows: dict[int, list[np.ndarray]] = {layer: [] for layer in layers}
    size = max(1, BATCH_TOKENS[device.type] // length)
    for i in range(0, len(starts), size):
        windows = np.stack([stream.read(int(s), int(s) + length) for s in starts[i : i + size]])
        means: list[torch.Tensor] = []
        watch = partial(_add_mean, means)
        watch(model.hidden(torch.from_numpy(windows).to(device), deepest, watch=watch))
        for layer, parts in rows.items():
            parts.append(means[layer].float().cpu().numpy())
    return {layer: np.concatenate(parts) for layer, parts in rows.items()}


def unions(counts: Sequence[int], per_draw: int, draws: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Return (count, draws) for every embedding over a number of windows other than a whole draw.

    Up to `per_draw` windows are part of one draw; more are the union of consecutive draws, as many disjoint
    unions as the draws give.
    """
    found: list[tuple[int, list[int]]] = []
    for count in counts:
        if count < per_draw:
            found += [(count, [draw]) for draw in draws]
        elif count > per_draw:
            n = count // per_draw
            found += [(count, list(draws[i : i + n])) for i in range(0, len(draws) - n + 1, n)]
    return found


def _entry(
    layer: int, length: int, windows: int, draw: int, rows: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    # Nine significant digits give a float32 back exactly, as in the pipeline's own files.
    shown = {d: [float(f"{x:.9g}") for x in domain_mean(means)] for d, means in rows.items()}
    return {"layer": layer, "window_length": length, "windows": windows, "window_seed": draw, "rows": shown}


def embed_all(
    model: Decoder, streams_of: Mapping[str, TokenStream], spec: Spec, cost: Cost
) -> list[dict[str, Any]]:
    """Return one entry per setting: layer, window_length, windows, window_seed and a row per domain.

    Args:
        model: the proxy.
        streams_of: train split per domain, in the scenario's order.
        spec: as `specs.study.embed` makes it.
        cost: counts the tokens and operations.
    """
    n, layer, own = spec["windows"], spec["layer"], spec["seed"]
    entries = []

    def means(draw: int, length: int, layers: Sequence[int]) -> dict[str, Means]:
        found = {}
        for domain, stream in streams_of.items():
            starts = window_starts(stream, n, length, spec["seeds"][str(draw)], domain)
            found[domain] = means_by_layer(model, stream, starts, length, layers)
            tokens = len(starts) * length
            # flops_per_token(layers=0) is 0: looking up embeddings costs nothing.
            per_token = flops_per_token(model.shape, training=False, layers=max(layers), length=length)
            cost.add(tokens, per_token * tokens)
        return found

    draws: dict[int, dict[str, np.ndarray]] = {}
    for draw in spec["window_seeds"]:
        layers = spec["layers"] if draw == own else [layer]
        found = means(draw, spec["window_length"], layers)
        entries += [
            _entry(at, spec["window_length"], n, draw, {d: found[d][at] for d in found}) for at in layers
        ]
        # Windows come in the order of the text; a smaller number must be a random part of the draw.
        draws[draw] = {
            d: m[layer][generator(spec["seeds"][str(draw)], "part", d).permutation(len(m[layer]))]
            for d, m in found.items()
        }
    for count, group in unions(spec["counts"], n, spec["draws"]):
        rows = {d: np.concatenate([draws[g][d] for g in group])[:count] for d in streams_of}
        entries.append(_entry(layer, spec["window_length"], count, group[0], rows))
    for length in spec["window_lengths"]:
        if length != spec["window_length"]:
            found = means(own, length, [layer])
            entries.append(_entry(layer, length, n, own, {d: m[layer] for d, m in found.items()}))
    return entries


def embed_checkpoints(
    model_dir: Path, streams_of: Mapping[str, TokenStream], spec: Spec, cost: Cost
) -> list[dict[str, Any]]:
    """Return one entry per checkpoint kept during the proxy's training: step and a row per domain.

    Over the windows of the proxy's own draw, like the finished proxy's.
    """
    found = []
    for step in spec["checkpoints"]:
        model = load_model(model_dir / "checkpoints" / f"step{step}")
        one = {**spec, "layers": [spec["layer"]], "window_lengths": [spec["window_length"]],
               "counts": [], "draws": [], "window_seeds": [spec["seed"]]}  # fmt: skip
        found.append({"step": step, "rows": embed_all(model, streams_of, one, cost)[0]["rows"]})
    return found


def embed(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Embed with one proxy and write the file and its run record."""
    kept = [model_dir / "checkpoints" / f"step{step}" / "model.safetensors" for step in spec["checkpoints"]]
    read = [*manifests, model_dir / "model.safetensors", *kept]
    recorder = Recorder("sensitivity_embed", spec, read, threads=threads)
    recorder.seeds, recorder.device = dict(spec["seeds"]), setup_torch(threads)
    model = load_model(model_dir)
    corpora = open_corpora(manifests, spec["domains"])
    entries = embed_all(model, streams(corpora, "train"), spec, recorder.cost)
    recorder.deliver(
        out,
        {
            **{key: spec[key] for key in ("scenario", "variant", "seed")},
            "domains": list(spec["domains"]),
            "proxy_sha256": recorder.digest(model_dir / "model.safetensors"),
            "tokenizer_sha256": next(iter(corpora.values())).tokenizer_sha256,
            "corpora_sha256": {c.corpus: c.sha256 for c in corpora.values()},
            "entries": entries,
            "checkpoints": embed_checkpoints(model_dir, streams(corpora, "train"), spec, recorder.cost),
        },
        schema="sensitivity_embeddings",
    )
