"""Many small runs of one shape trained as one batched model: the same numbers, fewer and larger operations.

Every parameter gets a leading dimension of runs and every matrix product becomes a batched one, so a step of
m runs starts as many kernels as a step of one. Nothing is shared between the runs but the recipe: each has
its own blocks, gradient norm and optimizer state, and equals `chameleon.training.loop.Training` of the same
mixture (the tests compare them in float64). For swarms; knows static mixtures only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chameleon.core.errors import Interrupted
from chameleon.core.provenance import Cost
from chameleon.data.sampler import MixtureSampler, batches
from chameleon.data.tokens import TokenStream
from chameleon.training import divergence, engine
from chameleon.training.device import pick_device
from chameleon.training.losses import token_losses
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.recipe import Rates, Recipe, optimizers
from chameleon.training.resume.interruption import watching
from chameleon.training.resume.states import Carried, States
from chameleon.training.steps.feed import Block, on_host
from chameleon.training.steps.journal import EVERY


class Stack:
    """m runs that start from the same weights and differ in their mixtures. `play` trains them all.

    Args:
        shape, recipe, streams, init_seed, data_seed, max_epochs: as of `chameleon.training.loop.Training`.
        mixtures: domain weights of every run.
        start: the model that all runs start from; None: drawn from `init_seed`.
    """

    def __init__(
        self,
        shape: ModelShape,
        recipe: Recipe,
        streams: Mapping[str, TokenStream],
        init_seed: int,
        data_seed: int,
        mixtures: Sequence[Mapping[str, float]],
        max_epochs: float | None = None,
        start: Decoder | None = None,
    ) -> None:
        self.shape, self.recipe, self.streams = shape, recipe, streams
        self.device = pick_device()
        first = (start or Decoder(shape).initialise(init_seed)).to(self.device)
        self.count = len(mixtures)
        self.parameters: dict[str, Tensor] = {
            name: p.detach().expand(self.count, *p.shape).clone().requires_grad_()
            for name, p in first.named_parameters()
        }
        precision = engine.precision(recipe.precision, self.device, shape.d_model)
        self.engine = engine.Engine(precision, False, "a stack of runs")
        blocks = {d: max(0, (len(s) - 1) // shape.context) for d, s in streams.items()}
        total = recipe.steps * recipe.batch_size
        self._plans = [
            batches(
                MixtureSampler(blocks, data_seed, max_epochs).segment(dict(mixture), total), recipe.batch_size
            )
            for mixture in mixtures
        ]
        self.costs = [Cost() for _ in mixtures]
        self.rows: list[list[float]] = []
        #: Steps whose losses were not read yet: step, losses, gradients' norms, batches.
        self._noted: list[tuple[int, Tensor, Tensor, Sequence[Sequence[Block]]]] = []
        self._every = 1 if self.device.type == "cpu" else EVERY

    def play(self, states: States | None = None, carried: Mapping[str, Carried] | None = None) -> None:
        """Train every run for `recipe.steps` steps; as of `chameleon.training.loop.Training.play`.

        Raises:
            Diverged: a run's loss is not finite or has exploded; names the step and the run's number.
            Interrupted: a signal came; the state is saved.
        """
        self._optimizers = optimizers(self.parameters, self.recipe, self.engine.precision, stacked=True)
        rates, carried = Rates(self._optimizers), carried or {}
        first = 0
        if states is not None and (found := states.newest()) is not None:
            first = found[0]
            self._restore(found[1], carried)
        drawn = list(zip(*self._plans, strict=True))
        with watching() as signals:
            for step in range(first, self.recipe.steps):
                rates.set(self.recipe.learning_rate(step))
                self._step(step, drawn[step])
                received = signals.received
                if states is not None and (received or states.due(step + 1)):
                    self._read()
                    states.save(step + 1, self._state(carried))
                if received:
                    raise Interrupted(f"a stack of runs: {received} after step {step + 1}")
        self._read()
        tokens_read = self.recipe.steps * self.recipe.batch_size * self.shape.context
        for cost in self.costs:
            cost.add(tokens_read, flops_per_token(self.shape) * tokens_read)

    def _state(self, carried: Mapping[str, Carried]) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "optimizers": [optimizer.saved() for optimizer in self._optimizers],
            "rows": self.rows,
            "carried": {name: part.state() for name, part in carried.items()},
        }

    def _restore(self, state: Mapping[str, Any], carried: Mapping[str, Carried]) -> None:
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(state["parameters"][name])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.restore(saved)
        self.rows = state["rows"]
        for name, part in carried.items():
            part.restore(state["carried"][name])

    def _step(self, step: int, drawn: Sequence[Sequence[Block]]) -> None:
        context = self.shape.context
        data = np.stack(
            [[self.streams[d].read(b * context, (b + 1) * context + 1) for d, b in batch] for batch in drawn]
        )
        tokens = on_host(data, self.device).to(self.device, non_blocking=True)
        with self.engine.autocast(self.device):
            losses = self.losses(tokens[..., :-1], tokens[..., 1:]).mean((1, 2))
        losses.sum().backward()
        self._noted.append((step, losses.detach(), self._clip(), drawn))
        if len(self._noted) >= self._every:
            self._read()
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()

    def _read(self) -> None:
        """Read the noted steps' losses, and check them; as `chameleon.training.steps.journal`."""
        for step, losses, norms, drawn in self._noted:
            rate, found = self.recipe.lr * self.recipe.learning_rate(step), losses.tolist()
            for run, (loss, norm) in enumerate(zip(found, norms.tolist(), strict=True)):
                domains = {d for d, _ in drawn[run]}
                label = f"run {run} of a stack"
                divergence.check(label, loss, norm, self.shape.vocab_size, step, rate, domains)
            self.rows.append(found)
        self._noted.clear()

    def model(self, run: int) -> Decoder:
        """Return one run's model."""
        decoder = Decoder(self.shape).to(self.device)
        state = {name: p.detach()[run].clone() for name, p in self.parameters.items()}
        decoder.load_state_dict(state, assign=True)
        return decoder

    def losses(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every token: runs x batch x length, in nats."""
        p, shape = self.parameters, self.shape
        runs, b, t = tokens.shape
        offset = torch.arange(runs, device=tokens.device)[:, None, None] * shape.vocab_size
        x = F.embedding(tokens + offset, p["wte.weight"].flatten(0, 1)) + p["wpe.weight"][:, None, :t]
        x = x.flatten(1, 2)
        for i in range(shape.n_layer):
            at = f"blocks.{i}."
            qkv = self._linear(self._norm(x, at + "ln_1"), at + "qkv")
            q, k, v = qkv.view(runs * b, t, 3, shape.n_head, -1).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self._linear(attended.transpose(1, 2).reshape(x.shape), at + "attn_out")
            inner = F.gelu(self._linear(self._norm(x, at + "ln_2"), at + "mlp_in"), approximate="tanh")
            x = x + self._linear(inner, at + "mlp_out")
        x, weight = self._norm(x, "ln_f"), p["wte.weight"]
        if self.engine.precision == "bf16":
            x, weight = x.bfloat16(), weight.bfloat16()
        with torch.autocast(x.device.type, enabled=False):
            parts = zip(x.unbind(), weight.unbind(), targets.flatten(1).unbind(), strict=True)
            return torch.stack([token_losses(*of) for of in parts]).view(runs, b, t)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.parameters[name + ".weight"], self.parameters[name + ".bias"]
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        normed = F.layer_norm(x, x.shape[-1:])
        return torch.addcmul(
            self.parameters[name + ".bias"][:, None], normed, self.parameters[name + ".weight"][:, None]
        )

    @torch.no_grad()
    def _clip(self) -> Tensor:
        """Clip every run's gradient by its own norm, as `clip_grad_norm_`; return the norms before."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        squares = [g.flatten(1).square().sum(1) for g in gradients]
        norms = torch.stack(squares).sum(0).sqrt()
        factors = (self.recipe.grad_clip / (norms + 1e-6)).clamp(max=1.0)
        for g in gradients:
            g.mul_(factors.view(-1, *[1] * (g.ndim - 1)))
        return norms
