"""Mean hidden states by bfloat16 products that keep the weights' digits.

Rounding an activation to bfloat16 is an accident that averages out over the positions of a window; rounding a
weight is the same error at every position and does not: it moves a domain's embedding by 0.25 %
(benchmarks/embedding.py). So a weight is kept as W = H + L, both bfloat16 (16 bits of mantissa together), and
a layer is two products. The residual stream and the last product, of which only the mean is needed, stay
float32.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chameleon.training.model import Block, Decoder


class MeanStates:
    """The mean over positions of `Decoder.hidden(tokens, layers)`, for inference.

    Args:
        model: in float32.
        layers: from 1 to one less than the model has (its last state is normed: use the model itself).
    """

    def __init__(self, model: Decoder, layers: int) -> None:
        self.model = model
        self.blocks = [block for block in model.blocks[:layers] if isinstance(block, Block)]
        self._parts: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for layer in (m for block in self.blocks for m in block.modules() if isinstance(m, nn.Linear)):
            weight = layer.weight.detach()
            high = weight.bfloat16()
            low = (weight - high.float()).bfloat16()
            self._parts[id(layer)] = (high, low.T, layer.bias.detach().bfloat16())

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Return the means, batch x d_model, float32.

        Args:
            tokens: batch x length token ids.
        """
        model, last = self.model, self.blocks[-1]
        x = model.wte(tokens) + model.wpe.weight[: tokens.shape[1]]
        b, t, d = x.shape
        for block in self.blocks:
            qkv = self._linear(block.qkv, block.ln_1(x).bfloat16())
            q, k, v = qkv.view(b, t, 3, block.n_head, d // block.n_head).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x.add_(self._linear(block.attn_out, attended.transpose(1, 2).reshape(b, t, d)))
            inner = F.gelu(self._linear(block.mlp_in, block.ln_2(x).bfloat16()), approximate="tanh")
            if block is not last:
                x.add_(self._linear(block.mlp_out, inner))
        means: Tensor = x.mean(1) + last.mlp_out(inner.mean(1, dtype=torch.float32))
        return means

    def _linear(self, layer: nn.Linear, x: Tensor) -> Tensor:
        high, low, bias = self._parts[id(layer)]
        out = F.linear(x, high, bias)
        out.flatten(0, 1).addmm_(x.flatten(0, 1), low)
        return out
