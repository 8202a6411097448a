"""DoGE's proxy objective: weights follow how well each domain's gradient agrees with the target's.

Every step g_i is the gradient of domain i's mean loss over the batch. With W_j = ⟨g_j, Σ_i g_i⟩ (universal)
or ⟨g_j, g_target⟩ (out of domain), α_j ∝ α_j e^{η_t W_j / μ}, and the new α weights the model's gradient Σ_i
α_i g_i. In the universal form Σ_i g_i comes from blocks drawn independently of the batch: from the batch's
own it holds g_j itself, whose square ⟨g_j, g_j⟩ is mostly the variance of a gradient of one or two blocks.
`baselines/doge.py` says what the runs are and which settings are the default; this is what a proxy run does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.reweighting.weights import MovingWeights, by_name
from chameleon.methods.reweighting.with_target import gradients_beside
from chameleon.mixing.kept import Kept
from chameleon.mixing.types import StepInfo

if TYPE_CHECKING:
    from torch import Tensor

    from chameleon.training.model import Decoder

#: Added to norms before dividing, in the published code and in torch's gradient clipping.
_EPSILON = 1e-6


def paper_scores(products: np.ndarray, train: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return W_j = Σ_i ⟨g_j, g_i⟩ over the target's rows i, for the rows j of `train`.

    Args:
        products: m x m inner products of the gradients.
        train, target: rows of `products`.
    """
    return products[np.ix_(train, target)].sum(axis=1)


def clip_factors(products: np.ndarray, max_norm: float) -> np.ndarray:
    """Return what clipping every gradient to `max_norm` multiplies it by."""
    return np.minimum(1.0, max_norm / (np.sqrt(np.diag(products)) + _EPSILON))


def reference_scores(
    products: np.ndarray, train: np.ndarray, target: np.ndarray, low: float = 0.0, high: float = 5.0
) -> np.ndarray:
    """Return the published code's scores over η: clip(W_j / mean norm, low, high).

    The code divides by the mean norm of the training domains' (clipped) gradients and clips η W / norm to
    [η·low, η·high]; neither is in the paper's formula, and with low = 0 a harmful domain looks like a
    useless one. The domain's own part of a target that includes it stays in W, in the paper as in the code
    (whose test that would drop it is never true).
    """
    norm = np.sqrt(np.diag(products)[train]).mean() + _EPSILON
    return np.clip(paper_scores(products, train, target) / norm, low, high)


class DogeObjective(Kept):
    """One proxy run.

    Args:
        domains: names of all domains of the batches.
        target: name of the domain to help, which carries no weight; None: all domains.
        variant: "paper" or "reference".
        target_batch: of the universal form: "independent" (as many blocks as the batch has, drawn anew every
            step, for a second forward and backward pass) or "same" (the batch's own blocks, self terms
            included).
        mu: μ, strength of the Bregman term.
        step_size: η at the peak of the learning-rate schedule; None: the recipe's own rate.
        max_grad_norm, score_min, score_max: of the reference variant.
    """

    kept = ("moving", "scores", "_sums", "extra_flops")

    def __init__(
        self,
        domains: Sequence[str],
        target: str | None = None,
        variant: str = "paper",
        target_batch: str = "independent",
        mu: float = 0.01,
        step_size: float | None = None,
        max_grad_norm: float = 5.0,
        score_min: float = 0.0,
        score_max: float = 5.0,
    ) -> None:
        self.extra_flops = 0.0
        self.target, self.variant, self.mu, self.step_size = target, variant, mu, step_size
        self.independent = target is None and target_batch == "independent"
        self.max_grad_norm, self.score_min, self.score_max = max_grad_norm, score_min, score_max
        self.moving = MovingWeights([d for d in domains if d != target])
        k = len(self.moving.names)
        self.scores = np.full(k, np.nan)
        #: Over the steps: W_j, its square, how often it was measured; ⟨g_j, g_j⟩ and W_j of the batch itself.
        self._sums = {name: np.zeros(k) for name in ("score", "square", "count", "self", "same")}

    def update(self, products: np.ndarray, present: Sequence[str], eta: float) -> np.ndarray:
        """Move the weights; return what each present domain's gradient is multiplied by in the step.

        A domain absent from the batch keeps its last score (before its first one, its share of the weights
        does not move). The published code keeps the absent domain's old gradient instead, for which it holds
        k × P numbers. A batch without the target domain moves no weight. Like DoReMi's here, the step's
        gradient is Σ α_i g_i over the domains present, not divided by their Σα.

        Args:
            products: inner products of the gradients of the domains in the batch; where the target's batch is
                independent, a last row for it: the mean gradient of its blocks.
            present: names of the domains in the batch, in the order of `products`.
            eta: η_t.
        """
        rows = self.moving.rows(present)
        train = np.flatnonzero(rows >= 0)
        target = train if self.target is None else np.flatnonzero(rows < 0)
        if self.independent:
            target = np.array([len(rows)])
        factors = np.ones(len(products))
        if self.variant == "reference":
            factors = clip_factors(products, self.max_grad_norm)
            products = products * np.outer(factors, factors)
        elif self.independent:
            # The formula's target is a sum over k domains; what was drawn is their mean.
            products = products.copy()
            products[:-1, -1] *= len(self.scores)
        exponent = np.zeros(len(self.scores))
        if len(target) and len(train):
            if self.variant == "reference":
                scores = reference_scores(products, train, target, self.score_min, self.score_max)
            else:
                scores = paper_scores(products, train, target)
            self._count(scores, products, rows[train], train)
            exponent = eta * self.scores / self.mu
        alpha = self.moving.move(exponent)
        return np.where(rows >= 0, alpha[rows], 0.0) * factors[: len(rows)]

    def _count(self, scores: np.ndarray, products: np.ndarray, at: np.ndarray, train: np.ndarray) -> None:
        self.scores[at] = scores
        inside = products[np.ix_(train, train)]
        counted = (scores, scores**2, np.ones(len(at)), np.diag(inside), inside.sum(axis=1))
        for sums, values in zip(self._sums.values(), counted, strict=True):
            sums[at] += values

    def step(
        self, model: "Decoder", tokens: "Tensor", targets: "Tensor", domains: Sequence[str], info: StepInfo
    ) -> float:
        """Leave Σ_i α_i g_i in `.grad`; see `chameleon.mixing.Objective`."""
        blocks = len(tokens)
        drawn = info.draw(blocks)[:2] if self.independent else None
        present, gradients, flops = gradients_beside(model, tokens, targets, domains, info, drawn)
        self.extra_flops += flops
        eta = info.learning_rate if self.step_size is None else self.step_size * info.lr_factor
        weights = self.update(gradients.gram(), present, eta)
        gradients.combine(np.append(weights, 0.0) if self.independent else weights)
        self.extra_flops += gradients.extra_flops()
        return float(gradients.block_losses[:blocks].mean())

    def outcome(self) -> dict[str, Any]:
        """Return what MovingWeights returns, and per domain, over the steps that measured it:

        `mean_score` of W_j, `score_error`, the standard error of that mean, and `self_share`: what part
        ⟨g_j, g_j⟩ has in ⟨g_j, Σ_i g_i⟩ of the batch's own blocks.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            n = self._sums["count"]
            mean = self._sums["score"] / n
            error = np.sqrt(np.maximum(self._sums["square"] / n - mean**2, 0) / n)
            share = self._sums["self"] / self._sums["same"]
        named = {"mean_score": mean, "score_error": error, "self_share": share}
        return self.moving.outcome() | {key: by_name(self.moving.names, x) for key, x in named.items()}
