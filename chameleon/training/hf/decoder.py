"""A causal language model of `transformers`, from a checkpoint or from scratch, as a decoder of ours."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chameleon.core.errors import UserError
from chameleon.training.hf import blocks, kernels
from chameleon.training.hf.building import drawn
from chameleon.training.losses import token_losses
from chameleon.training.model import Decoder, ModelShape

#: Key of a saved model's config.json: tokens of a block that it is trained and tested on.
CONTEXT = "chameleon_context"
#: Tokens whose logits are there at a time where no gradient is asked for.
ROWS = 1024
#: One file, whatever the size: jobs know a model by the digest of its model.safetensors.
ONE_FILE = "1000GB"
#: Keys of configs whose models change logits after the head; small logits would not show it.
BENT = ("final_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass(frozen=True)
class HfShape(ModelShape):
    """Sizes of a model of transformers: `context` is the length of our blocks, `vocab_size` its head's rows.

    Heads may have a width of their own: they need not divide the model's.
    `block_weights`, `attention_width` and `parameters` are counted, not computed; of a mixture of experts all
    experts count.
    """

    block_weights: int = 0
    attention_width: int = 0
    parameters: int = 0
    #: LoRA needs no gradients of the weights.
    backward: int = 2
    #: The config, by the names of transformers: what a model of this shape is built from.
    architecture: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def initial(self, seed: int) -> "HfDecoder":
        """Return a model with the initial weights of its class, drawn from `seed` alone."""
        return HfDecoder(drawn(self.architecture, seed), self.context)


def shape_of(lm: Any, context: int) -> HfShape:
    """Return the sizes of a model, which may be on the meta device.

    Raises:
        UserError: it cannot be told which its blocks are.
    """
    config = lm.config
    heads, layers = config.num_attention_heads, blocks.of(lm)[1]
    return HfShape(
        n_layer=len(layers),
        n_head=heads,
        d_model=config.hidden_size,
        context=context,
        vocab_size=lm.get_output_embeddings().weight.shape[0],
        block_weights=sum(p.numel() for p in layers.parameters() if p.ndim > 1) // len(layers),
        attention_width=heads * (getattr(config, "head_dim", None) or config.hidden_size // heads),
        parameters=sum(p.numel() for p in lm.parameters()),
        architecture=config.to_dict(),
    )


class HfDecoder(Decoder):
    """A decoder whose blocks are those of a `transformers` causal language model.

    Losses, hidden states and parameters are asked for as of any decoder. Parameters of the blocks begin with
    `blocks.`, as the optimizers want, and only those that are trained are listed. There is no `wte` or `wpe`.

    Args:
        lm: the model, in float32; its dropout must be off.
        context: tokens of a block.

    Raises:
        UserError: it cannot be told which its blocks are.
    """

    #: Answers to one prompt do not share a pass: not every architecture takes masks and positions of ours.
    packs = False
    shape: HfShape

    def __init__(self, lm: Any, context: int) -> None:
        nn.Module.__init__(self)
        self.lm = lm
        self.shape = shape_of(lm, context)
        self._at, layers = blocks.of(lm)
        self.form = {"kernels": list(kernels.put_into(lm))}
        self._checkpointing = False
        # Not modules of this one: their parameters are the model's.
        self._layers: tuple[nn.Module, ...] = tuple(layers)
        self._adapted: tuple[Any, ...] = ()
        self._plain = self._has_plain_head()

    @property
    def blocks(self) -> tuple[nn.Module, ...]:  # type: ignore[override]
        """The model's blocks, whatever their class."""
        return self._layers

    @property
    def checkpointing(self) -> bool:  # type: ignore[override]
        """While training, keep only the blocks' inputs and compute the rest again in the backward pass."""
        return self._checkpointing

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        self._checkpointing = on
        if on:
            # Not re-entrant: under LoRA the blocks' inputs ask for no gradient.
            self.lm.activation_checkpointing_enable({"use_reentrant": False})
        elif self.lm.is_activation_checkpointing:
            self.lm.activation_checkpointing_disable()

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield what is trained, the blocks' parameters under `blocks.`."""
        for name, parameter in self.lm.named_parameters("", recurse, remove_duplicate):
            if parameter.requires_grad:
                inside = name.startswith(self._at + ".")
                yield prefix + (f"blocks{name[len(self._at) :]}" if inside else f"other.{name}"), parameter

    def hidden(
        self,
        tokens: Tensor,
        layers: int | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Return `hidden_states[layers]` of the model, the last one normed: batch x length x d_model.

        Blocks after `layers` are not computed.

        Args:
            tokens: batch x length token ids.
            layers: None: all.
            positions, mask: for our own blocks only.
            watch: called with what goes into each of the blocks, from the first on.

        Raises:
            ValueError: positions or a mask were given.
        """
        if positions is not None or mask is not None:
            raise ValueError("a model of transformers takes no positions or masks of ours")

        def run() -> Tensor:
            last: Tensor = self.lm.base_model(input_ids=tokens, use_cache=False).last_hidden_state
            return last

        most = self.shape.n_layer
        depth = most if layers is None else layers
        if depth == most and watch is None:  # with nothing around it that a compiler would have to see
            return run()
        with blocks.watched(self._layers[:depth], watch):
            return run() if depth == most else blocks.state_before(self._layers, depth, run)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every token, batch x length, in nats."""
        if not self._plain:
            logits = self.lm(input_ids=tokens, use_cache=False).logits.flatten(0, 1).float()
            return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape)
        x, weight = self._head(self.hidden(tokens))
        size = len(x) if torch.is_grad_enabled() else ROWS
        with torch.autocast(x.device.type, enabled=False):
            parts = zip(x.split(size), targets.flatten().split(size), strict=True)
            return torch.cat([token_losses(rows, weight, goals) for rows, goals in parts]).view(targets.shape)

    def summed(
        self, tokens: Tensor, targets: Tensor, hidden: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return the sum of the tokens' losses, in nats; see `Decoder.summed`."""
        return super().summed(tokens, targets, hidden) if self._plain else self(tokens, targets).sum()

    def logits(self, tokens: Tensor, rows: Tensor, columns: Tensor, **seen: Tensor) -> Tensor:
        """Return the logits (n x vocabulary, float32) after the chosen tokens; see `Decoder.logits`."""
        if self._plain:
            return super().logits(tokens, rows, columns)
        logits: Tensor = self.lm(input_ids=tokens, use_cache=False).logits[rows, columns].float()
        return logits

    @property
    def _matrix(self) -> Tensor:
        weight: Tensor = self.lm.get_output_embeddings().weight
        return weight

    @torch.no_grad()
    def _has_plain_head(self) -> bool:
        """Return whether logits are the last hidden state times a matrix: no bias, scale or cap on top."""
        head = self.lm.get_output_embeddings()
        bent = any(getattr(self.lm.config, key, None) for key in BENT)
        if type(head) is not nn.Linear or head.bias is not None or bent:
            return False
        self.lm.eval()
        device = head.weight.device
        ids = torch.arange(min(8, self.shape.context), device=device)[None] % self.shape.vocab_size
        ours = F.linear(self.hidden(ids), head.weight)
        return torch.allclose(ours, self.lm(input_ids=ids, use_cache=False).logits, rtol=1e-4, atol=1e-4)

    def adapt(self, rank: int, alpha: int, seed: int, targets: list[str] | None = None) -> "HfDecoder":
        """Train low-rank additions to the linear layers instead of the model; `save` merges them.

        Args:
            rank, alpha: the addition is alpha / rank · B A, with A (rank rows) drawn from `seed` and B zero.
            seed: of A.
            targets: ends of the names of layers; None: all linear layers but the head.

        Raises:
            UserError: no layer has such a name.
        """
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=rank, lora_alpha=alpha, target_modules=targets or "all-linear", task_type="CAUSAL_LM"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                self._adapted = (get_peft_model(self.lm, config),)
            except ValueError as error:
                named = (name for name, module in self.lm.named_modules() if hasattr(module, "weight"))
                known = ", ".join(sorted({name.rpartition(".")[2] for name in named}))
                said = f"{targets}: no layer's name ends so; there are {known}"
                raise UserError(f"base.lora.targets: {said}") from error
        self.shape = replace(self.shape, backward=1)
        return self

    def save(self, folder: Path, eos_token_id: int | None = None) -> None:
        """Write what `AutoModelForCausalLM.from_pretrained(folder)` loads, LoRA merged into the model.

        Its own config stays, its end-of-text token too where it has one. After LoRA it cannot be trained on.
        """
        from transformers import GenerationConfig
        from transformers.utils import logging

        logging.disable_progress_bar()
        for adapted in self._adapted:
            adapted.merge_and_unload()
        self._adapted = ()
        setattr(self.lm.config, CONTEXT, self.shape.context)
        if self.lm.config.eos_token_id is None:
            self.lm.config.bos_token_id = self.lm.config.eos_token_id = eos_token_id
        # Sampling settings that came along may be refused when they are written; nothing here samples.
        self.lm.generation_config = GenerationConfig.from_model_config(self.lm.config)
        self.lm.save_pretrained(folder, max_shard_size=ONE_FILE)
