"""In-Run Data Shapley (Wang et al., ICLR 2025, arXiv 2406.11011): weights by what each domain did in one run.

One run of the proxy's size on uniformly drawn data, trained on the mean loss of its batches B_t. Of a step's
change in the loss on a validation point, the paper's first-order Shapley value of z ∈ B_t is -η_t ⟨∇ℓ_z,
∇ℓ_val⟩; over all steps and the blocks of a domain D,

    φ_D = -Σ_t η_t ⟨Σ_{z ∈ D ∩ B_t} ∇ℓ_z / |B_t|, ∇ℓ_val⟩,

negative where D lowered the target's loss. Here a value is -φ: positive helps. ∇ℓ_val is the gradient on
blocks drawn anew every step: of all domains in equal parts, or of one (`target`). `per: token` (the default)
judges a domain by the mean value of its blocks, `per: total` by their sum; on uniform data both are nearly
the same.

From values to weights. The paper has no such step; these are ours, and both free of scale. `rule: positive`
(the default) takes each domain's share of what helped, max(v, 0) / Σ max(v, 0): weights differ by as much as
values do. `rule: softmax` takes v over their standard deviation and `temperature`: it spreads the weights
alike whether values differ or not, noise included.

Cost: 6ND, as much again for the target's blocks, and the inner products
(`chameleon.methods.reweighting.domain_gradients`), which the objective counts: what DoGE's proxy costs.

Known differences from the paper:
- The weights are ours: the paper values data, and says nothing of mixtures.
- The value is the change of the loss under a step of SGD, to first order. The CPU scales train with Muon, the
  others with AdamW, whose step is not linear in the batch's gradient: the values then add up to no change
  that happened. Nor are they scaled where the loop clips the step's gradient.
- The second-order term, the interaction of a step's points through the Hessian, is not here.
- Players are domains. The first-order value is linear, so a domain's is the sum of its blocks'.
- The target's blocks are drawn from the train splits, another batch every step, not from validation text. A
  block that is drawn for both counts its own square, which is rare.
- φ counts a step's gradients as they enter the mean over B_t; the paper's step is a sum over its points.

Known differences from its code:
- GhostSuite logs inner products alone, per sequence: no η_t, no sum over steps, no domains. Its validation
  batch is one fixed sequence by default.
- Its training loop clips gradients after the products are taken, or does not (commented out), by version.
- The products come from one backward pass with hooks, as there, but gradients of domains are formed and kept;
  its engine multiplies without them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.methods.gradients.in_run import PER, RULES, RUN, InRunShapley, watched
from chameleon.methods.reweighting.with_target import bytes_beside
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    Objective,
    RunInputs,
    RunSpec,
    StepSize,
    number,
    one_of,
    register,
    target,
    whole,
)


@register
class InRunDataShapley(Method):
    """Weights from the values of the domains in one proxy run."""

    name = "in_run_shapley"
    kind = "proxy"
    sees = ("train text",)
    cost = "12 n d, and the inner products"
    parameters = {
        "target": target(None),  # None: all domains; a domain: the one whose loss is to fall
        "steps": whole(None, 1),  # optimizer steps of the proxy run; None: as many as the scenario's proxy
        "per": one_of("token", PER),
        "rule": one_of("positive", RULES),
        "temperature": number(1.0, above=0),  # of the softmax, in standard deviations of the values
    }

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the run that is watched."""
        return watched(domains, params["steps"])

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the objective that trains on the mean loss and credits the domains."""
        p = inputs.params
        return InRunShapley(inputs.domains, p["target"], p["per"], p["rule"], p["temperature"])

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of the gradients, of the logits and of the target's blocks."""
        return bytes_beside(step, True)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the weights that the run's values make."""
        if len(inputs.domains) == 1:
            return inputs.answer([1.0])
        outcome = inputs.runs[RUN].outcome
        weights = {d: outcome["weights"][d] for d in inputs.domains}
        kept = ("trajectory", "value", "value_error", "total", "blocks")
        return inputs.answer(weights, {key: outcome[key] for key in kept})
