"""MixMin: the mixture of the domains' experts that gives the validation text the highest likelihood.

Thudi et al., "MixMin: Finding data mixtures via convex minimization" (ICML 2025, arXiv 2502.10510). One small
run per domain ("expert") gives P_i, the probability of a document. If a model trained on the mixture p were
the mixture Σ_i p_i P_i of the experts, the best p would solve a convex problem:

    min_p F(p) = −mean_n (1/L) log Σ_i p_i P_i(x_n)

over documents x_n of L tokens of the target text. Numerics: `chameleon.methods.likelihood`.

Reads the runs of another method of the scenario (`experts`) and adds none; costs them.

Known differences from the paper:
- The target is the validation text of the domains, each with the same number of documents (or that of one
  domain); the paper has text of the task at hand.
- A document is a block of the experts' context, so all are equally long. The longer the documents, the more
  the answer tends to counting on how many each expert is best; `longer` in the diagnostics says how far the
  weights move with documents two and four times as long.

Known differences from its code:
- Its code takes 100 steps of mirror descent, and stops early by the size of the gradient, which says nothing
  on the simplex. Here the answer is exact: it leaves at most 1e-8 nats/token, proven by a gap.
- Its code sets a fifth of the documents aside to report on; here all are used, none is reported.
"""

import numpy as np

from chameleon.methods import likelihood
from chameleon.mixing import MEAN, Method, MethodInputs, MethodResult, register, runs_of, target


@register
class MixMin(Method):
    """The shares of the experts in the likeliest mixture of them."""

    name = "mixmin"
    kind = "experts"
    sees = ("validation losses",)
    cost = "6 k n_s d_s"
    foretells = True
    parameters = {
        "experts": runs_of("single_domain"),  # the method with one run per domain
        "target": target(),  # text of all domains in equal parts, or of one
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the likeliest mixture.

        Diagnostics: its `loss` (nats/token) and that of uniform, the `gap` to the least one, the number of
        `documents`, and `longer`: for documents two and four times as long, the total variation to the
        answer.

        Raises:
            UserError: a domain without an expert, or experts whose losses by block were not kept.
        """
        names = inputs.names
        if len(names) == 1:
            return inputs.answer([1.0])
        losses, length = _losses(inputs, names)
        flat = losses.reshape(-1, len(names))
        found, gap = likelihood.best(flat, length)
        longer = {}
        for times in (2, 4):
            if losses.shape[1] >= times:
                rows = likelihood.merged(losses, times).reshape(-1, len(names))
                other, _ = likelihood.best(rows, times * length)
                longer[str(times * length)] = float(np.abs(other - found).sum() / 2)
        diagnostics = {
            "loss": likelihood.loss(flat, length, found),
            "loss_uniform": likelihood.loss(flat, length, np.full(len(names), 1 / len(names))),
            "gap": gap,
            "documents": len(flat),
            "longer": longer,
        }
        return inputs.answer(found, diagnostics)

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray:
        """Return F."""
        losses, length = _losses(inputs, inputs.names)
        flat = losses.reshape(-1, len(inputs.domains))
        return np.array([likelihood.loss(flat, length, p) for p in mixtures])


def _losses(inputs: MethodInputs, names: list[str]) -> tuple[np.ndarray, int]:
    label, target = inputs.params["experts"], inputs.params["target"]
    targets = names if target == MEAN else [target]
    return likelihood.expert_blocks(inputs.read[label], names, targets, f"method mixmin: experts: {label!r}")
