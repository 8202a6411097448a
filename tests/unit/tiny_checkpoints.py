"""Checkpoints of random weights with their tokenizers, as somebody else would have left them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

VOCAB, POSITIONS, LAYERS, WIDTH = 300, 64, 3, 16
_IDS: dict[str, Any] = {"vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0}
_LIKE_LLAMA: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.2,
    **_IDS,
}
_NEOX = {k: v for k, v in _LIKE_LLAMA.items() if k != "num_key_value_heads"}
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**_LIKE_LLAMA),
    "qwen2": Qwen2Config(**_LIKE_LLAMA, tie_word_embeddings=True),
    # Heads wider than the model, and logits that are capped.
    "gemma2": Gemma2Config(**_LIKE_LLAMA, head_dim=12, final_logit_softcapping=2.0),
    "gpt_neox": GPTNeoXConfig(**_NEOX, hidden_dropout=0.1),
    "gpt2": GPT2Config(n_embd=WIDTH, n_layer=LAYERS, n_head=2, n_positions=POSITIONS, **_IDS),
}


def model(kind: str) -> Any:
    """Return a model of random weights."""
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[kind]).float().eval()


def write_model(folder: Path, kind: str = "llama", **options: Any) -> Path:
    """Write a model alone; `options` as `save_pretrained` takes them."""
    model(kind).save_pretrained(folder, **options)
    return folder


def write_tokenizer(
    folder: Path, tokens: int = VOCAB, text: str = "one two three, four; five. " * 50
) -> Path:
    """Write a byte-level tokenizer whose end-of-text token is 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=tokens, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer=trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.save_pretrained(folder)
    return folder


def write_gguf(file: Path) -> Path:
    """Write the llama as llama.cpp's tools would, unquantized; a tokenizer of no use comes with it."""
    import gguf

    state = model("llama").state_dict()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(24)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(CONFIGS["llama"].rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{i}" for i in range(VOCAB)])
    writer.add_token_merges(["a b"])
    for name, heads in (("q_proj", 2), ("k_proj", 1)):
        for layer in range(LAYERS):
            key = f"model.layers.{layer}.self_attn.{name}.weight"
            # Its rotation pairs neighbours, that of transformers the halves of a head.
            rows = state[key].reshape(heads, 2, -1, WIDTH)
            state[key] = rows.transpose(1, 2).reshape(state[key].shape)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    for key, value in state.items():
        name = names.get_name(key, try_suffixes=(".weight",))
        writer.add_tensor(name, value.numpy().copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def write(folder: Path, kind: str = "llama", **options: Any) -> Path:
    """Write a model and its tokenizer."""
    return write_tokenizer(write_model(folder, kind, **options))
