"""PiKE: moved during base training towards domains of large gradients that agree within the domain.

Li et al., "PiKE: Adaptive Data Mixing for Large-Scale Multi-Task Learning Under Low Gradient Conflicts"
(NeurIPS 2025, arXiv 2502.06244). Where the domains' gradients do not conflict, a step's fall of the mean loss
grows with ‖∇L_k‖² of what it draws and shrinks with σ_k²/b, the gradient's variance in a batch of b. Every T0
steps both are estimated for every domain, and

    w_k ← w_k exp(ζ1 ‖∇L_k‖² - ζ2/(2b) σ_k²), normalised;   b_k = round(b w_k)

from uniform weights on, or with `prior` from another method's. Products between domains play no part.

ζ1, ζ2 and T0 of the paper's runs are unknown to us, and ζ1 and ζ2 have units: they stand for the learning
rate and the loss's curvature, and would have to be found for every model. Here both terms are divided by s,
the mean over domains of |‖∇L_k‖²| + |σ_k²|/(2b), so that ζ has no unit. With `zeta1` = `zeta2` = 0.1 thirty
updates move two domains apart by e^3 if their terms differ by s all the time. T0 (`update_steps`) is a
thirtieth of the run: 17 steps at the default scale, about 9 estimates for each of 7 domains.

Estimates. A domain's n blocks make halves a and b with mean gradients g_a, g_b, and g over all n. Without
bias, ‖∇L‖² ≈ ⟨g_a, g_b⟩ and σ² ≈ n (‖g‖² - ⟨g_a, g_b⟩), averaged over the T0 steps. ‖g‖² alone would hold
σ²/n, and reward what the rule is to punish.

Cost: no extra run and no extra pass. One matrix's gradient is formed once more, by half of a domain (2 % of
a step's operations at the default scale, counted), and 2k times that matrix is held.

Known differences from the paper:
- ζ1, ζ2 and T0 are ours, and the exponent is divided by s. With the paper's ζ it shrinks as gradients do;
  here it does not, so weights keep moving to the end of the run.
- Gradients are those of the last block's second MLP matrix (`chameleon/methods/gradients/last_layer.py`),
  not of the model.
- How the paper estimates both numbers is unknown to us; the halves are ours. A domain with one block in a
  step waits for the next step's, and its halves are of different steps. Of 8 blocks most domains have one:
  if two of one step were asked for, a domain with less than an eighth of the blocks, which are spread evenly,
  would hardly ever be measured.
- A domain without an estimate in T0 steps keeps its last one; before the first its weight stays.
- b w_k is rounded once a segment of T0 steps, not once a step, and what that leaves is owed to the next.
- Balanced-PiKE, which multiplies losses by y_k = τ e^{τ L_k} / Σ_j e^{τ L_j}, is not here.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.methods.reweighting.segments import lengths, start
from chameleon.methods.reweighting.with_target import bytes_of_groups
from chameleon.mixing import (
    Controller,
    Method,
    MethodInputs,
    MethodResult,
    StepSize,
    number,
    register,
    weights_of,
    whole,
)


@register
class Pike(Method):
    """Online; sees no validation loss, only gradients of the batches it trains on."""

    name = "pike"
    kind = "online"
    sees = ("train text",)
    cost = "0, but for one layer's gradients"
    online = True
    where = "method_params.pike."
    parameters = {
        "zeta1": number(0.1, least=0, most=100),  # of the squared gradient; the paper's is unknown
        "zeta2": number(0.1, least=0, most=100),  # of the variance; the paper's is unknown
        # T0, steps between two updates; None: a thirtieth (the paper's is unknown).
        "update_steps": whole(None, 1),
        "prior": weights_of(optional=True),  # the run starts on that method's weights; None: on uniform ones
    }

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of the gradients' sums and of what goes into a step's."""
        return bytes_of_groups(step, 2 * step.domains)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return where the run starts; how often it moves, as diagnostics."""
        return inputs.answer(start(inputs), lengths(inputs))

    def controller(self, inputs: MethodInputs) -> Controller:
        from chameleon.methods.gradients.pike import PikeController

        params = inputs.params
        every, zetas = lengths(inputs)["update_steps"], (params["zeta1"], params["zeta2"])
        return PikeController(inputs.start or start(inputs), every, zetas)
