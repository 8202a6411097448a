"""DoReMi's proxy objective: Group DRO over domains on the excess loss against a reference model.

Every step the reference and the proxy read the same batch; domain i's excess is λ_i, the mean over its tokens
of max(ℓ - ℓ_ref, 0), clipped token by token. The weights move by α' = α e^{ηλ}, α = (1 - c) α' / Σα' + c / k,
and the new α weights the batch's loss. `baselines/doremi.py` says what the runs are; this is what a proxy run
does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.reweighting.weights import MovingWeights, by_name
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import StepInfo

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder


def domain_means(sums: np.ndarray, counts: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the mean per token of every domain, NaN for a domain absent from the batch.

    Args:
        sums: sum over the tokens of each block.
        counts: tokens of each block.
        rows: domain of each block, 0 to k - 1.
        k: number of domains.
    """
    total, tokens = np.bincount(rows, sums, k), np.bincount(rows, counts, k)
    return np.divide(total, tokens, out=np.full(k, np.nan), where=tokens > 0)


def token_factors(alpha: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the factor of each block's token losses that makes their sum Σ_i α_i · (mean loss of i).

    The sum is over the domains present and is not divided by their Σα: dividing would favour whatever domains
    a batch happens to hold, while without it the expected gradient over batches keeps the direction of the
    paper's, as all domains are sampled alike.

    Args:
        alpha: k weights.
        counts: tokens of each block.
        rows: domain of each block.
    """
    tokens = np.bincount(rows, counts, len(alpha))
    return alpha[rows] / tokens[rows]


def reference_token_factors(alpha: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same for the published code: Σ ℓ w / Σ w over tokens, w = α / sampling weight, normalised.

    A domain with more tokens in the batch weighs more, and the batch's total is always one. Here the data are
    drawn uniformly.
    """
    ratio = alpha / (1 / len(alpha))
    w = (ratio / ratio.sum())[rows]
    return w / (w * counts).sum()


class DoremiObjective(Kept):
    """One proxy run.

    Args:
        domains: k names.
        reference_dir: checkpoint of the reference model; None if `reference` is set instead.
        eta: step size η.
        smoothing: c.
        reference_behaviour: do as the published code does where it differs from the paper: a domain absent
            from the batch keeps its last λ, which is log V before it was ever seen; the average includes the
            uniform start; the loss is weighted by token (`reference_token_factors`). Otherwise an absent
            domain keeps its last λ too (the paper has every domain in every batch, and the last measurement
            is the nearest to it), but before its first measurement its share of the weights does not move.
        reference: a loaded model.
    """

    kept = ("moving", "excess", "extra_flops")

    def __init__(
        self,
        domains: Sequence[str],
        reference_dir: Path | None,
        eta: float = 1.0,
        smoothing: float = 1e-3,
        reference_behaviour: bool = False,
        reference: "Decoder | None" = None,
    ) -> None:
        self.extra_flops = 0.0
        self.eta, self.smoothing, self.reference_behaviour = eta, smoothing, reference_behaviour
        self.moving = MovingWeights(domains, average_counts_start=reference_behaviour)
        self.excess = np.full(len(domains), np.nan)
        self._reference_dir, self._reference = reference_dir, reference

    def _load(self, like: "Decoder") -> "Decoder":
        """Return the reference model, loaded once, beside the proxy.

        Raises:
            ValueError: it has another context or vocabulary than the proxy.
        """
        if self._reference is None:
            from chameleon.training.hf.checkpoint import load

            assert self._reference_dir is not None
            self._reference = load(self._reference_dir)
        reference = self._reference.to(next(like.parameters()).device).eval().requires_grad_(False)
        if reference.shape.vocab_size != like.shape.vocab_size:
            raise ValueError(
                f"reference has a vocabulary of {reference.shape.vocab_size}, proxy {like.shape.vocab_size}"
            )
        return reference

    def update(self, sums: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Move the weights; return the factor of each block's token losses.

        Args:
            sums: sum over each block's tokens of max(ℓ - ℓ_ref, 0).
            counts: tokens of each block.
            rows: domain of each block.
        """
        measured = domain_means(sums, counts, rows, len(self.excess))
        self.excess = np.where(np.isnan(measured), self.excess, measured)
        alpha = self.moving.move(self.eta * self.excess, self.smoothing)
        factors = reference_token_factors if self.reference_behaviour else token_factors
        return factors(alpha, counts, rows)

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave the gradient of Σ_i α_i ℓ_i in `.grad`; see `chameleon.mixing.Objective`."""
        import torch

        from chameleon.training.distributed.ranks import here
        from chameleon.training.model import flops_per_token

        ranks, blocks = here(), len(tokens)
        reference = self._reference if info.step and self._reference is not None else self._load(model)
        if info.step == 0 and self.reference_behaviour:
            self.excess[:] = np.log(model.shape.vocab_size)
        number = ranks.passes(blocks, info.parts)
        mine = [ranks.share(x) for x in (tokens, targets)]
        parts = list(zip(*(x.chunk(number) for x in mine), strict=True)) if len(mine[0]) else []
        # The weights depend on the whole batch. Where its graph would not fit, its losses come first and then
        # the passes again, part by part.
        none = tokens.new_empty(0, tokens.shape[1], dtype=torch.float32)
        with torch.set_grad_enabled(number == 1):
            losses = torch.cat([model(*part) for part in parts] or [none])
        with torch.no_grad():
            others = torch.cat([reference(*part) for part in parts] or [none])
            excess = ranks.gathered((losses.detach() - others).clamp_(min=0).sum(1), blocks)
        counts = np.full(blocks, float(tokens.shape[1]))
        factors = self.update(excess.double().cpu().numpy(), counts, self.moving.rows(domains))
        weights = ranks.share(torch.from_numpy(factors).to(losses))
        if number > 1:
            for part, factor in zip(parts, weights.chunk(number), strict=False):
                (model(*part).sum(1) * factor).sum().backward()
            self.extra_flops += flops_per_token(model.shape, training=False) * tokens.numel()
        elif parts:
            (losses.sum(1) * weights).sum().backward()
        ranks.sum_gradients(model.parameters())
        self.extra_flops += flops_per_token(reference.shape, training=False) * tokens.numel()
        return float(ranks.gathered(losses.detach(), blocks).mean())

    def outcome(self) -> dict[str, Any]:
        """Return `average`, `final`, `trajectory` (see MovingWeights) and `excess`, the last λ per domain."""
        return {**self.moving.outcome(), "excess": by_name(self.moving.names, self.excess)}
