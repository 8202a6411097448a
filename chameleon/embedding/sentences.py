"""Domain embeddings by a frozen sentence encoder instead of a proxy: what any text features would give.

Random windows of the domain's train split (those of `embed`, fewer) are turned back into text and encoded;
hidden states of the last layer are averaged over a window's tokens and divided by their norm, as the
encoders of sentence-transformers do, then averaged over windows. Nothing is trained. The encoder is `minilm`,
from a pinned package, or a folder of yours with `config.json`, `tokenizer.json` and `model.safetensors` (any
encoder that transformers' AutoModel loads).

Texts longer than the encoder takes are cut at its end. Runs in float32, so that results do not depend on how
windows are batched by more than rounding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chameleon.core.artifacts import sha256_file
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus
from chameleon.embedding.embed import artefact, window_starts
from chameleon.embedding.encoders import FILES, unpacked

#: Windows encoded at once, and the most tokens of one.
BATCH, MOST = 32, 512


class Encoder:
    """A loaded encoder.

    Attributes:
        sha256: of its weights.
        layers, width: of its transformer.
    """

    def __init__(self, encoder: str) -> None:
        """Load an encoder.

        Raises:
            UserError: as `check_encoder`, or transformers cannot load it.
        """
        from tokenizers import Tokenizer
        from transformers import AutoModel

        with unpacked(encoder) as folder:
            try:
                self._model = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
                self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            except Exception as error:
                told = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise UserError(f"sentences.encoder: {encoder!r} cannot be loaded: {told}") from error
            self.sha256 = sha256_file(folder / FILES[0])
        config = self._model.config
        self.layers, self.width = int(config.num_hidden_layers), int(config.hidden_size)
        self._most = min(MOST, int(getattr(config, "max_position_embeddings", MOST)))
        self._tokenizer.enable_padding()  # with 0, to the longest of a batch
        self._tokenizer.enable_truncation(self._most)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """Return unit vectors (texts x width, float64) and the encoder's tokens that went through it."""
        import torch

        rows, tokens = [], 0
        with torch.no_grad():
            for i in range(0, len(texts), BATCH):
                read = self._tokenizer.encode_batch(list(texts[i : i + BATCH]))
                mask = torch.tensor([encoded.attention_mask for encoded in read])
                batch = torch.tensor([encoded.ids for encoded in read])
                states = self._model(input_ids=batch, attention_mask=mask).last_hidden_state
                seen = mask.unsqueeze(-1).to(states.dtype)
                means = (states * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
                rows.append(torch.nn.functional.normalize(means, dim=1).double().numpy())
                tokens += int(mask.sum())
        return np.concatenate(rows), tokens

    def flops_per_token(self, length: int) -> float:
        """Return the operations of a forward pass per token of texts of so many tokens.

        Two per parameter that is multiplied (embeddings are looked up), and attention's 4 · length · width
        per layer.
        """
        multiplied = sum(
            p.numel()
            for name, p in self._model.named_parameters()
            if p.ndim == 2 and not {"embeddings", "pooler"} & set(name.split("."))
        )
        return 2.0 * multiplied + 4.0 * length * self.width * self.layers


def embed(
    encoder: Encoder, tokenizer: Any, corpus: TokenCorpus, spec: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Return the embeddings artefact of a corpus (schema `embeddings`) and the encoder's tokens.

    Args:
        encoder: what encodes.
        tokenizer: the experiment's, which turns token ids back into text.
        corpus: its token shards.
        spec: as `specs.sentences` makes it.
    """
    rows, tokens, length = {}, 0, spec["window_length"]
    for domain in spec["domains"]:
        stream = corpus.stream(domain, "train")
        starts = window_starts(stream, spec["windows"], length, spec["seeds"]["windows"], domain)
        texts = [tokenizer.decode(stream.read(int(s), int(s) + length).tolist()) for s in starts]
        vectors, read = encoder.encode(texts)
        tokens += read
        rows[domain] = [float(f"{x:.9g}") for x in vectors.mean(axis=0)]
    made = {"layer": encoder.layers, "proxy_sha256": encoder.sha256, "window_length": length}
    return artefact(corpus, spec, rows, **made), tokens
