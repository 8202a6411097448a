"""mosaicml-streaming: MDS shards, streams with the exported proportions, an epoch of samples read."""

import sys

import numpy as np
import yaml
from shared import LENGTH, NAMES, TOKENS, data, folder, report, token
from streaming import MDSWriter, Stream, StreamingDataset
from streaming.base.util import clean_stale_shared_memory

EPOCH = 20_000

for i in range(len(NAMES)):
    with MDSWriter(out=str(data(i)), columns={"tokens": f"ndarray:uint16:{LENGTH}"}) as shards:
        for _ in range(TOKENS // LENGTH):
            shards.write({"tokens": np.full(LENGTH, token(i), dtype=np.uint16)})
found = yaml.safe_load(next((folder() / "export").glob("*.yaml")).read_text())
foundry = "train_loader" in found
streams = found["train_loader"]["dataset"]["streams"] if foundry else found["streams"]
clean_stale_shared_memory()
# llm-foundry's build_streams does the same: Stream(**stream) for each value.
rows = StreamingDataset(
    streams=[Stream(**stream) for stream in streams.values()], epoch_size=EPOCH, batch_size=1
)
counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
for row in rows:
    counts += np.bincount(row["tokens"], minlength=len(counts))
by = (
    f"{'the same Stream(**stream) as llm-foundry' if foundry else 'StreamingDataset'}, {EPOCH:,} samples read"
)
report("mosaicml-streaming", by, counts[1:].tolist())
sys.stdout.flush()
