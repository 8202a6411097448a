"""torchtitan: the data loader that the exported mixture.py configures, over JSON lines, packed rows read."""

from itertools import islice

import numpy as np
from shared import LENGTH, NAMES, report, script, write_jsonl
from torchtitan.components.tokenizer import BaseTokenizer
from torchtitan.hf_datasets.text_datasets import InterleavedHuggingFaceTextDataLoader

ROWS = 60_000


class Numbers(BaseTokenizer):
    """Words are numbers."""

    def encode(self, text, add_bos=False, add_eos=False):
        return [int(word) for word in text.split()]

    def decode(self, tokens):
        return " ".join(map(str, tokens))

    def get_vocab_size(self):
        return 100


write_jsonl()
config = script()["loader"]()
loader = InterleavedHuggingFaceTextDataLoader(
    config, dp_world_size=1, dp_rank=0, tokenizer=Numbers(), seq_len=LENGTH, local_batch_size=1
)
counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
for inputs, _ in islice(loader, ROWS):
    counts += np.bincount(inputs["input"].flatten().numpy(), minlength=len(counts))
report(
    "torchtitan",
    f"InterleavedHuggingFaceTextDataLoader of mixture.py, {ROWS:,} rows read",
    counts[1:].tolist(),
)
