"""Makes tests/data/encoder, a sentence encoder of random weights: `python tests/tiny_encoder.py`."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

FOLDER = Path(__file__).parent / "data" / "encoder"


def main() -> None:
    torch.manual_seed(0)
    bytes_alone = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=bytes_alone, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(FOLDER / "tokenizer.json"), pretty=False)
    shape = BertConfig(
        vocab_size=len(bytes_alone), hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(shape).half().save_pretrained(FOLDER)


if __name__ == "__main__":
    main()
