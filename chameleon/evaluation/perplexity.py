"""Loss per domain on a held-out split that never depends on a mixture.

Every domain contributes the same number of tokens: whole blocks, spread evenly over its split, so that the
same number of tokens meets as many documents as the split has. A block's first token is context only.
Perplexity is exp(loss); the two are never averaged as if they were one (`summary`).
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenStream
from chameleon.training.model import Decoder

#: Blocks per forward pass. Fixed, because the batch's shape decides the last bits of a sum.
BATCH = 16


class Blocks(NamedTuple):
    """Token ids, blocks x (context + 1) int64, and the document in which each block begins."""

    ids: np.ndarray
    documents: np.ndarray


def blocks(stream: TokenStream, tokens: int, context: int, where: str) -> Blocks:
    """Return `tokens // context` whole blocks of a stream, evenly spread over it, in its order.

    The stream is cut into blocks from its start; of these, every so many-th is taken. Where all are asked
    for, all are taken.

    Raises:
        UserError: the split is too short for that many tokens.
    """
    count = tokens // context
    held = (len(stream) - 1) // context
    if not 1 <= count <= held:
        raise UserError(f"{where}: holds {len(stream)} tokens, but {max(tokens, context) + 1} are asked for")
    starts = np.arange(count) * held // count * context
    ids = np.stack([stream.read(start, start + context + 1) for start in starts.tolist()])
    return Blocks(ids, np.searchsorted(stream.offsets, starts, side="right") - 1)


@torch.no_grad()
def block_losses(model: Decoder, ids: np.ndarray) -> np.ndarray:
    """Return the mean loss in nats/token of `model` on each of blocks x (context + 1) token ids, float64."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    losses = []
    for start in range(0, len(ids), BATCH):
        batch = torch.from_numpy(ids[start : start + BATCH]).to(device)
        found = model(batch[:, :-1], batch[:, 1:]).double()
        losses.append(found.view(len(batch), -1).mean(1).cpu().numpy())
    model.train(was_training)
    return np.concatenate(losses)


def by_document(losses: np.ndarray, documents: np.ndarray) -> dict[str, list[float]]:
    """Return how many blocks begin in each document and their mean loss, in the order of the documents."""
    _, place, counts = np.unique(documents, return_inverse=True, return_counts=True)
    means = np.bincount(place, losses) / counts
    return {"blocks": counts.tolist(), "loss": [round(float(x), 9) for x in means]}


def summary(losses: Mapping[str, float]) -> dict[str, Any]:
    """Return losses with their perplexities and the two means, rounded for byte-stable files.

    `mean_perplexity` is the unweighted mean of per-domain perplexities (the papers' measure: hard domains
    dominate it); `mean_log_perplexity` is the mean loss (every domain's ratio counts alike).
    """
    if bad := {d: x for d, x in losses.items() if not math.isfinite(x)}:
        raise ValueError(f"loss is not finite: {bad}")
    perplexities = {d: math.exp(x) for d, x in losses.items()}
    return {
        "loss": {d: round(x, 9) for d, x in losses.items()},
        "perplexity": {d: round(x, 7) for d, x in perplexities.items()},
        "mean_perplexity": round(math.fsum(perplexities.values()) / len(losses), 7),
        "mean_log_perplexity": round(math.fsum(losses.values()) / len(losses), 9),
    }
