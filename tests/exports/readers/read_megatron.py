"""megatron-core: GPT data sets over .bin/.idx files, blended by its own builder; every sample is read."""

import numpy as np
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
from megatron.core.datasets.utils import get_blend_from_list
from shared import LENGTH, LENGTHS, NAMES, TOKENS, data, folder, report, token

SAMPLES = 20_000


class Tokenizer:
    """What the builder asks of a tokenizer."""

    vocab_size, eod, pad, unique_identifiers = 100, 0, 99, {"class": "Tokenizer"}


for i, name in enumerate(NAMES):
    data(i).parent.mkdir(parents=True, exist_ok=True)
    builder = IndexedDatasetBuilder(f"{data(i)}.bin", dtype=np.uint16)
    for _ in range(TOKENS // LENGTHS[name]):
        builder.add_document(torch.full((LENGTHS[name],), token(i)), [LENGTHS[name]])
    builder.finalize(f"{data(i)}.idx")

words = (folder() / "export" / "data-args.txt").read_text().split()
config = GPTDatasetConfig(
    random_seed=0,
    sequence_length=LENGTH,
    blend=get_blend_from_list(words),
    split="100,0,0",
    tokenizer=Tokenizer(),
    reset_position_ids=False,
    reset_attention_mask=False,
    eod_mask_loss=False,
    create_attention_mask=False,
)
train = BlendedMegatronDatasetBuilder(GPTDataset, [SAMPLES, 0, 0], lambda: True, config).build()[0]
counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
for i in range(SAMPLES):
    counts += np.bincount(train[i]["tokens"].numpy(), minlength=len(counts))
report("megatron-core", f"BlendedMegatronDatasetBuilder, {SAMPLES:,} samples read", counts[1:].tolist())
