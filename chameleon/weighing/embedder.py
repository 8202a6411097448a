"""Windows of text to vectors: the mean hidden state of a layer of any transformers model.

The reference procedure (tokenise a window, run the model, take `hidden_states[layer]`, average over
positions), with three differences: a window is cut to full length, so nothing is padded (its code averages
over the padding); tokens that a tokenizer adds by itself ([CLS], a beginning of text) are left out of the
mean; the blocks after the layer are not run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.embedding.layers import middle
from chameleon.training.hf import blocks
from chameleon.weighing.models import Loaded

#: Tokens of one forward pass.
BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
#: Characters that are read for one token of a window: text with longer words gives shorter windows.
CHARACTERS = 12
#: A tokenizer without a limit has one like 1e30.
_NO_LIMIT = 10**9


class Embedder:
    """A model, its tokenizer and the layer that embeds.

    Attributes:
        layer: entry of the n_layer + 1 hidden states (0: the embeddings).
        layers, width: of the model.
        window_length: tokens of a window, what the tokenizer adds not among them.
    """

    def __init__(self, loaded: Loaded, layer: int | None = None, window_length: int = 128) -> None:
        """Prepare a loaded model.

        Raises:
            UserError: no such layer, a window longer than the model's context, or another model's tokenizer.
        """
        self.name, self.sha256 = loaded.name, loaded.sha256
        self.model, self.tokenizer = loaded.model, loaded.tokenizer
        config = self.model.config.get_text_config()
        self.layers, self.width = int(config.num_hidden_layers), int(config.hidden_size)
        self.layer = middle(self.layers) if layer is None else layer
        if not 0 <= self.layer <= self.layers:
            raise UserError(f"--layer: {self.layer} is not one of 0 to {self.layers} of {loaded.name!r}")
        self.window_length = window_length
        self._before, self._after = self._added()
        added = len(self._before) + len(self._after)
        limits = [getattr(config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        most = min((int(n) for n in limits if n is not None and 0 < n < _NO_LIMIT), default=_NO_LIMIT) - added
        if window_length > most:
            raise UserError(
                f"--window-length: {window_length} is longer than the {most} tokens of {loaded.name!r}"
            )
        rows = self.model.get_input_embeddings().weight.shape[0]
        if len(self.tokenizer) > rows:
            raise UserError(
                f"--model: {loaded.name!r}: its tokenizer has {len(self.tokenizer)} tokens and the model "
                f"{rows}: it is another model's"
            )
        # None where it cannot be told which they are: all of the model is run then.
        self._blocks = blocks.find(self.model, self.layers)

    def _added(self) -> tuple[list[int], list[int]]:
        """Return the tokens that the tokenizer puts before and after a text by itself."""
        probe = "a b"
        bare = self.tokenizer(probe, add_special_tokens=False)["input_ids"]
        full = self.tokenizer(probe)["input_ids"]
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return full[:start], full[start + len(bare) :]
        return [], []

    def tokens(self, pieces: Sequence[str]) -> tuple[list[int], float]:
        """Return a window's token ids (at most `window_length`) and its tokens per character.

        Args:
            pieces: its text, one piece per document.
        """
        ids: list[int] = []
        end = self.tokenizer.eos_token_id
        found = 0
        for i, piece in enumerate(pieces):
            new = self.tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"]
            found += len(new)
            ids += ([end] if i and end is not None else []) + new
        return ids[: self.window_length], found / max(1, sum(map(len, pieces)))

    def embed(self, ids: Sequence[Sequence[int]], progress: Callable[[int], None]) -> np.ndarray:
        """Return the mean hidden state of every window, n x width, float32.

        Args:
            ids: token ids, n windows of 1 to `window_length`.
            progress: told the number of windows of each batch that is done.
        """
        import torch

        device = next(self.model.parameters()).device
        size = max(1, BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"]) // self.window_length)
        rows = []
        with torch.inference_mode():
            for i in range(0, len(ids), size):
                rows.append(self._means(ids[i : i + size], device))
                progress(len(ids[i : i + size]))
        found = np.concatenate(rows) if rows else np.zeros((0, self.width), np.float32)
        if not np.isfinite(found).all():
            raise UserError(
                f"--model: {self.name!r} gives hidden states that are not finite; try --precision fp32"
            )
        return found

    def _means(self, batch: Sequence[Sequence[int]], device: Any) -> np.ndarray:
        import torch

        before, after = self._before, self._after
        longest = max(map(len, batch))
        width = len(before) + longest + len(after)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        seen = torch.zeros(len(batch), width, dtype=torch.long)
        own = torch.zeros(len(batch), width)
        for i, row in enumerate(batch):
            full = [*before, *row, *after]
            ids[i, : len(full)] = torch.tensor(full)
            seen[i, : len(full)] = 1
            own[i, len(before) : len(before) + len(row)] = 1 / len(row)
        # What pads a short window comes last, so a causal model needs no mask to not see it.
        mask = {} if bool(seen.all()) else {"attention_mask": seen.to(device)}
        states = self._states(ids.to(device), mask)
        means: np.ndarray = torch.einsum("btd,bt->bd", states.float(), own.to(device)).cpu().numpy()
        return means

    def _states(self, ids: Any, mask: dict[str, Any]) -> Any:
        """Return `hidden_states[layer]`, without running the blocks after it where they are known."""
        arguments = {"input_ids": ids, **mask}
        if hasattr(self.model.config, "use_cache"):
            arguments["use_cache"] = False
        # The last entry is normed in most models and the zeroth is no block's: those come from the model.
        if self._blocks is None or not 0 < self.layer < self.layers:
            return self.model(**arguments, output_hidden_states=True).hidden_states[self.layer]
        return blocks.state_before(list(self._blocks[1]), self.layer, lambda: self.model(**arguments))
