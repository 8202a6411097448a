"""Tiny models of random weights with a tokenizer, and folders of toy text, for the tests of `weigh`."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

_CODE = "def return class import self None True for in range print assert yield lambda"
_LAW = "whereas party shall court appeal statute hereby clause tenant liable plaintiff deed"
_FOOD = "butter flour oven sugar bake whisk egg simmer garlic onion salt pepper taste"
WORDS = {name: words.split() for name, words in (("code", _CODE), ("law", _LAW), ("food", _FOOD))}


def tokenizer(marks: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes; with marks, it adds [CLS] and [SEP]."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: i for i, c in enumerate([*alphabet, "<eos>", "[CLS]", "[SEP]"])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<eos>", "[CLS]", "[SEP]"])
    if marks:
        ids = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
        made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>")


SHAPES = {
    "llama": {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32,
              "num_key_value_heads": 1, "max_position_embeddings": 256},
    "gpt2": {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 256},
    "gpt_neox": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
                 "max_position_embeddings": 256},
    "bert": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
             "max_position_embeddings": 256},
}  # fmt: skip


def make(folder: Path, kind: str = "llama", **save: object) -> Path:
    """Save a model of a kind with its tokenizer; `save` goes to save_pretrained (shards)."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=260, initializer_range=0.3, **SHAPES[kind])
    model = (AutoModel if kind == "bert" else AutoModelForCausalLM).from_config(config)
    model.save_pretrained(folder, **save)
    tokenizer(marks=kind == "bert").save_pretrained(folder)
    return folder


def documents(domain: str, count: int = 40, seed: int = 0) -> list[str]:
    """Return documents of a domain's words."""
    rng = np.random.default_rng([seed, sorted(WORDS).index(domain)])
    return [" ".join(rng.choice(WORDS[domain], rng.integers(20, 60))) for _ in range(count)]


def folders(root: Path, count: int = 40) -> Path:
    """Write a folder per domain, a .jsonl in each."""
    for domain in WORDS:
        (root / domain).mkdir(parents=True)
        lines = [json.dumps({"text": text}) for text in documents(domain, count)]
        (root / domain / "a.jsonl").write_text("\n".join(lines) + "\n")
    return root
