"""litdata: token blocks, and the exported mixture.py's CombinedStreamingDataset read."""

from itertools import islice

import numpy as np
import torch
from litdata import optimize
from litdata.streaming.item_loader import TokensLoader
from shared import LENGTH, NAMES, WEIGHTS, data, report, script, token

SAMPLES = 100_000


def blocks(task):
    """Yield a domain's blocks: the mixture ends with its first domain, so each has enough."""
    i, n = task
    for _ in range(n // 100 + 1):
        yield torch.full((100 * LENGTH,), token(i), dtype=torch.int32)


if __name__ == "__main__":
    for i, name in enumerate(NAMES):
        enough = int(SAMPLES * WEIGHTS[name] * 1.1) + 1000
        optimize(
            fn=blocks, inputs=[(i, enough)], output_dir=str(data(i)), chunk_size=LENGTH * 4096, num_workers=1,
            item_loader=TokensLoader(), mode="overwrite",
        )  # fmt: skip
    mixed = script()["dataset"](block_size=LENGTH)
    counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
    read = 0
    for row in islice(mixed, SAMPLES):
        counts += np.bincount(row.numpy(), minlength=len(counts))
        read += 1
    report("litdata", f"CombinedStreamingDataset of mixture.py, {read:,} blocks read", counts[1:].tolist())
