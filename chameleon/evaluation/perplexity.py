"""Loss per domain on a held-out split that never depends on a mixture.

Every domain contributes the same number of tokens: the first whole blocks of its split, whose documents
were shuffled once, by seed, when they were tokenised. A block's first token is context only. Perplexity is
exp(loss); the two are never averaged as if they were one (`summary`).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenStream
from chameleon.training.model import Decoder

#: Blocks per forward pass. Fixed, because the batch's shape decides the last bits of a sum.
BATCH = 16


def blocks(stream: TokenStream, tokens: int, context: int, where: str) -> np.ndarray:
    """Return the first blocks of a stream, `tokens // context` x (context + 1) int64.

    Raises:
        UserError: the split is too short for that many tokens.
    """
    count = tokens // context
    if count < 1 or count * context + 1 > len(stream):
        raise UserError(f"{where}: holds {len(stream)} tokens, but {max(tokens, context) + 1} are asked for")
    flat = stream.read(0, count * context + 1)
    return np.stack([flat[i * context : (i + 1) * context + 1] for i in range(count)])


@torch.no_grad()
def domain_loss(model: Decoder, data: np.ndarray) -> float:
    """Return the mean loss in nats/token of `model` over blocks x (context + 1) token ids."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = 0.0
    for start in range(0, len(data), BATCH):
        batch = torch.from_numpy(data[start : start + BATCH]).to(device)
        total += model(batch[:, :-1], batch[:, 1:]).double().sum().item()
    model.train(was_training)
    return total / (data.shape[0] * (data.shape[1] - 1))


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
