"""DUET: Bayesian optimisation of the mixture, with nothing to go by but what a task says of each proxy.

Chen et al. (ICLR 2026, arXiv 2502.00270). A Gaussian process on the losses of the mixtures so far foretells
those of others, with how unsure it is; the next one is that of the lowest bound μ − √β σ. The answer is the
best mixture that was measured. Numerics: `chameleon.methods.feedback`.

Proxies are merged as DeMix's: means of the experts of another method of the scenario (`experts`), so that an
observation costs a validation pass. Costs the experts, and 1 + `initial` + `iterations` passes.

Known differences from the paper:
- Its other half, which data of a domain are taken (by influence, or others), is not here: they are drawn at
  random, which is what its code does by default.
- A proxy is merged; the paper finetunes one (LoRA) on the data of every mixture.
- The task is the validation text of all domains or of one (`target`); the paper's is another task, seen
  through noisy scores. Losses of merged models have no noise, so the process has none.
- Before the 10 proposals (the paper's number), `initial` mixtures are drawn from the whole simplex: one
  observation at uniform alone says nothing about lengths. Eight are ours.

Known differences from its code:
- It sets weights below 0.05 to zero and leaves the rest as it is; here the rest is scaled to sum to one
  before it is looked at, and where there are more than twenty domains, weights of 1/k stay.
- The process is scikit-learn's, with one length for all domains; its code has BoTorch's, a length for each
  with priors. The next mixture is the best of `candidates` draws, half of them near the best so far; its
  code climbs from 20 starts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods import feedback
from chameleon.methods.merged import far, folders, measured, read_experts
from chameleon.mixing import (
    MEAN,
    Method,
    MethodInputs,
    MethodResult,
    number,
    register,
    runs_of,
    target,
    whole,
)


@register
class Duet(Method):
    """The best merged proxy of a Gaussian process' proposals."""

    name = "duet"
    kind = "experts"
    sees = ("validation losses",)
    cost = "6 n d + 6 k n d_s + 2 K n v"
    requires = frozenset({"validation"})
    parameters = {
        "experts": runs_of("demix"),  # the method whose models are merged
        "target": target(),  # validation text of all domains, or of one
        "initial": whole(8, 1, most=500),  # random mixtures after uniform
        "iterations": whole(10, 1, most=500),  # proposals
        "beta": number(1.0, least=0),  # of the bound
        "least": number(0.05, least=0, below=1),  # smaller weights become zero
        "candidates": whole(10_000, 100, most=100_000),  # of a proposal
    }

    def validation_passes(self, params: Mapping[str, Any], domains: Sequence[str]) -> int:
        """Return how many proxies are measured, on one domain's text only where that is the target."""
        return int(1 + params["initial"] + params["iterations"])

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the best mixture that was measured.

        Diagnostics: `delta` (domain -> δ of its expert), `proxies` merged, `loss` of each in their order
        (nats/token, of the target; uniform's first), the `best_merged_loss`, and its place `found_at`.

        Raises:
            UserError: runs that are no experts.
        """
        from chameleon.methods.merging import Experts

        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        runs = read_experts(inputs, params["experts"], "method duet: experts")
        experts = Experts(folders(runs))
        targets = None if params["target"] == MEAN else [params["target"]]

        def measure(p: np.ndarray) -> float:
            return float(measured(inputs, experts, p[None], targets).mean())

        given = {key: params[key] for key in ("initial", "iterations", "beta", "least", "candidates")}
        x, y = feedback.search(measure, len(names), draw=generator(inputs.seed, "duet"), **given)
        best = int(y.argmin())
        diagnostics = {
            "delta": far(names, runs),
            "proxies": len(x),
            "loss": y.tolist(),
            "best_merged_loss": float(y[best]),
            "found_at": best,
        }
        return inputs.answer(x[best], diagnostics)
