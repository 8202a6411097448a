"""grain: MapDataset.mix, which torchtitan's main branch mixes with, under the weights of its mixture.py."""

import grain
import numpy as np
from shared import LENGTH, NAMES, TOKENS, report, script, token

ROWS = 100_000

rows = [
    grain.MapDataset.source([np.full(LENGTH, token(i))] * (TOKENS // LENGTH)).shuffle(seed=i).repeat()
    for i in range(len(NAMES))
]
mixed = grain.MapDataset.mix(rows, weights=[row[-1] for row in script()["SOURCES"]])
counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
for i in range(ROWS):
    counts += np.bincount(mixed[i], minlength=len(counts))
report("grain", f"MapDataset.mix with the weights of mixture.py, {ROWS:,} rows read", counts[1:].tolist())
