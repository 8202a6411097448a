"""The decoder of every scale: GPT-2's architecture, lean, saved as a `transformers` checkpoint.

Same mathematics as `transformers.GPT2LMHeadModel` without dropout (the tests compare them), but with plain
linear layers, fused attention and no bookkeeping, which is what a model of a million parameters spends its
time on. Reads nothing; `save_pretrained` writes a Hugging Face folder.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from chameleon.core.artifacts import read_json, write_json
from chameleon.core.errors import UserError, choices
from chameleon.core.tensors import write_tensors
from chameleon.training.losses import summed_loss, token_losses


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder: blocks, heads (which divide the width), width, positions, vocabulary."""

    n_layer: int
    n_head: int
    d_model: int
    context: int
    vocab_size: int
    init_std: float = 0.02

    @property
    def block_weights(self) -> int:
        """Weights in the matrix products of one block."""
        return 12 * self.d_model**2

    @property
    def attention_width(self) -> int:
        """Width of all heads together."""
        return self.d_model

    @property
    def parameters(self) -> int:
        """Parameters, embeddings included (the head is tied)."""
        per_width = 13 * self.n_layer + self.vocab_size + self.context + 2
        return self.n_layer * self.block_weights + per_width * self.d_model

    @property
    def backward(self) -> int:
        """Operations of a backward pass in those of a forward pass."""
        return 2

    def initial(self, seed: int) -> "Decoder":
        """Return a model of this shape with its initial weights, drawn from `seed` alone."""
        return Decoder(self).initialise(seed)


class Block(nn.Module):
    """Pre-norm attention and MLP of GPT-2."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        d, self.n_head = shape.d_model, shape.n_head
        self.ln_1 = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.attn_out = nn.Linear(d, d)
        self.ln_2 = nn.LayerNorm(d)
        self.mlp_in = nn.Linear(d, 4 * d)
        self.mlp_out = nn.Linear(4 * d, d)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(b, t, 3, self.n_head, d // self.n_head).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self.attn_out(attended.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.ln_2(x)), approximate="tanh"))


class Decoder(nn.Module):
    """Causal language model with learned positions and a head tied to the embeddings."""

    #: Whether answers to one prompt may share a pass over it.
    packs = True
    #: What a run's record says of the model's own form, beside the engine's.
    form: dict[str, Any] = {}

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        #: While training, keep only the blocks' inputs and compute the rest again in the backward pass.
        self.checkpointing = False
        self.wte = nn.Embedding(shape.vocab_size, shape.d_model)
        self.wpe = nn.Embedding(shape.context, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.ln_f = nn.LayerNorm(shape.d_model)

    def initialise(self, seed: int) -> "Decoder":
        """Draw GPT-2's initial weights (normal, residual outputs scaled by 1/sqrt(2 n_layer)) from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        residual = self.shape.init_std / math.sqrt(2 * self.shape.n_layer)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.ndim == 2:
                    last = name.endswith(("attn_out.weight", "mlp_out.weight"))
                    std = residual if last else self.shape.init_std
                    parameter.normal_(0.0, std, generator=generator)
                elif name.endswith("bias"):
                    parameter.zero_()
                else:
                    parameter.fill_(1.0)
        return self

    def hidden(
        self,
        tokens: Tensor,
        layers: int | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Return the residual stream after `layers` blocks, normed after the last (None: all).

        Args:
            tokens: batch x length token ids.
            positions: batch x length; by default every sequence counts from 0.
            mask: batch x 1 x length x length, true where a token sees another; by default all before it.
            watch: called with what goes into each of the blocks, from the first on.

        Returns:
            batch x length x d_model: `hidden_states[layers]` of transformers, whose last entry is normed too.
        """
        x = self.wte(tokens) + (
            self.wpe.weight[: tokens.shape[1]] if positions is None else self.wpe(positions)
        )
        again = self.checkpointing and self.training and torch.is_grad_enabled()
        for block in self.blocks[:layers]:
            if watch is not None:
                watch(x)
            x = checkpoint(block, x, mask, use_reentrant=False) if again else block(x, mask)
        return self.ln_f(x) if layers is None or layers == len(self.blocks) else x

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every token, batch x length, in nats."""
        x, weight = self._head(self.hidden(tokens))
        with torch.autocast(x.device.type, enabled=False):
            return token_losses(x, weight, targets.flatten()).view(targets.shape)

    def summed(
        self, tokens: Tensor, targets: Tensor, hidden: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return the sum of the tokens' losses, in nats: what training takes, in less memory and time.

        Args:
            tokens, targets: batch x length.
            hidden: a compiled form of `self.hidden`.
        """
        x, weight = self._head((hidden or self.hidden)(tokens))
        with torch.autocast(x.device.type, enabled=False):
            return summed_loss(x, weight, targets.flatten())

    def logits(self, tokens: Tensor, rows: Tensor, columns: Tensor, **seen: Any) -> Tensor:
        """Return the logits (n x vocabulary, float32) after n of the tokens; `seen` goes to `hidden`."""
        return F.linear(self.hidden(tokens, **seen)[rows, columns], self._matrix).float()

    def save(self, folder: Path, eos_token_id: int) -> None:
        """Write the model so that `transformers.AutoModelForCausalLM.from_pretrained(folder)` loads it."""
        save_pretrained(self, folder, eos_token_id)

    @property
    def _matrix(self) -> Tensor:
        """The head's matrix, vocabulary x d_model."""
        return self.wte.weight

    def _head(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the final hidden states, one row a token, and the head's matrix, in autocast's precision."""
        x, weight = hidden.flatten(0, 1), self._matrix
        device = x.device.type
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            x, weight = x.to(dtype), weight.to(dtype)
        return x, weight


def flops_per_token(
    shape: ModelShape, training: bool = True, layers: int | None = None, length: int | None = None
) -> float:
    """Return floating-point operations per token of sequences of `length` (multiply and add counted as two).

    Forward: 2 per weight of every matrix product (the head included unless `layers` stops before it), and
    4·length·d_model per block for attention, whose masked half is counted as executed. Backward costs
    twice the forward. This is 6ND plus attention plus head; embeddings' look-ups cost nothing.
    `length` is the full context by default.
    """
    blocks = shape.n_layer if layers is None else layers
    head = 2 * shape.vocab_size * shape.d_model if layers is None else 0
    block = 2 * shape.block_weights + 4 * (length or shape.context) * shape.attention_width
    return float((blocks * block + head) * (1 + shape.backward if training else 1))


# transformers keeps GPT-2's matrices as input x output (Conv1D), nn.Linear as output x input.
_NAMES = {
    "ln_1": "ln_1", "qkv": "attn.c_attn", "attn_out": "attn.c_proj",
    "ln_2": "ln_2", "mlp_in": "mlp.c_fc", "mlp_out": "mlp.c_proj",
}  # fmt: skip
_TRANSPOSED = ("qkv.weight", "attn_out.weight", "mlp_in.weight", "mlp_out.weight")


def _renamed(name: str) -> str:
    if not name.startswith("blocks."):
        return f"transformer.{name}"
    _, index, part, kind = name.split(".")
    return f"transformer.h.{index}.{_NAMES[part]}.{kind}"


def save_pretrained(model: Decoder, folder: Path, eos_token_id: int) -> None:
    """Write `model` so that `transformers.AutoModelForCausalLM.from_pretrained(folder)` loads it.

    Written with safetensors alone: importing transformers takes longer than a small job's work.
    """
    s = model.shape
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": s.vocab_size,
        "n_positions": s.context,
        "n_embd": s.d_model,
        "n_layer": s.n_layer,
        "n_head": s.n_head,
        "activation_function": "gelu_pytorch_tanh",
        "layer_norm_epsilon": model.ln_f.eps,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": s.init_std,
        "tie_word_embeddings": True,
        "bos_token_id": eos_token_id,
        "eos_token_id": eos_token_id,
        "dtype": "float32",
    }
    state = {
        _renamed(name): (value.T if name.endswith(_TRANSPOSED) else value).detach().float().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    write_tensors(state, folder / "model.safetensors", {"format": "pt"})


def load_pretrained(folder: Path) -> Decoder:
    """Read a GPT-2 checkpoint in the hub's layout (config.json, model.safetensors) in float32.

    Raises:
        UserError: no such checkpoint, a pickle, another architecture, or a tensor that is missing or of
            another shape.
    """
    from safetensors.torch import load_file

    pickles = sorted(p for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"))
    if pickles and not (folder / "model.safetensors").is_file():
        raise UserError(
            f"{pickles[0]}: a pickle can run code when it is read; save the model as model.safetensors"
        )

    c = read_json(folder / "config.json")
    if c.get("model_type") != "gpt2":
        raise UserError(f"{folder / 'config.json'}: model_type: {choices(c.get('model_type'), ['gpt2'])}")
    sizes = ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size")
    if missing := [key for key in sizes if key not in c]:
        raise UserError(f"{folder / 'config.json'}: {', '.join(missing)}: missing")
    model = Decoder(ModelShape(*(c[key] for key in sizes)))
    try:
        found = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / 'model.safetensors'}: cannot be read: {error}") from error
    # The hub's own GPT-2 leaves the prefix out.
    state = {k if k.startswith("transformer.") else f"transformer.{k}": v.float() for k, v in found.items()}
    try:
        own = {name: state[_renamed(name)] for name in model.state_dict()}
        model.load_state_dict({name: x.T if name.endswith(_TRANSPOSED) else x for name, x in own.items()})
    except (KeyError, RuntimeError) as error:
        # torch lists every tensor on a line of its own.
        reason = " ".join(str(error).split())
        raise UserError(f"{folder / 'model.safetensors'}: does not fit its config: {reason}") from error
    return model
