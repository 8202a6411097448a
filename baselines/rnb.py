"""R&B's Balance: moved during base training towards domains whose gradients agree with all domains' mean.

Ge et al., "R&B: Domain Regrouping and Data Mixture Balancing for Efficient Foundation Model Training" (2025,
arXiv 2505.00358), Algorithm 1. Training goes in T rounds of K steps, the first on p_0, uniform. A round adds
up g_i, the final layer's gradient over the |S_i| samples of domain i, out of the ordinary backward pass. With
G_ij = ⟨g_i, g_j⟩ / (|S_i| |S_j|), the next round is drawn from

    p_{t+1} = softmax(λ G p_eval / ‖G p_eval‖₂)

where p_eval is the share of each domain in the evaluation. It is uniform here: the suite's evaluation weighs
domains equally. Nothing is carried from round to round, neither sums nor weights. λ is 3 in the one setting
that the paper prints; other λ, and T, are unknown to us. The weights of k domains of equal scores are
uniform; no two differ by more than the factor e^{√2 λ}, nor by more than e^λ where no score is negative.

The diagonal. The square of a mean over n blocks holds the blocks' variance over n, products of two domains do
not: with a few blocks a round G_ii is mostly noise, and domains of noisy gradients gain. That is the paper's
form and kept; the controller's history has `self_share`, what part of p_evalᵀ G p_eval the diagonal is. In a
run at the default scale it was about 1, so products between domains cancelled, and weights swung from round
to round, those of books between .03 and .5: what is drawn little has the larger square and is drawn much
next. Rounds three times as long swung alike. What the run played in all was between .11 and .22 a domain.

Cost: no extra run and no extra pass. The layer's gradient is formed once more, by domain (2 % of a step's
operations at the default scale, counted), and k times the layer is held.

Known differences from the paper:
- Regroup, its clustering of the samples into domains, is not here: the domains are the scenario's.
- The appendix writes softmax(η λ G p') without the norm; the two disagree. This is the main text's form.
- The final layer is the last block's second MLP matrix; `chameleon/methods/gradients/last_layer.py` says why.
- The number of rounds is ours: `update_steps` is a thirtieth of the run by default, 17 steps at the default
  scale, in which each of 7 domains has about 19 blocks. More rounds would have noisier gradients.
- A domain without a block in a round, whose row of G would be 0/0, keeps its last row and column; before the
  first it counts as much as the others on the mean.
- Samples are blocks of the context's length; a round's draws are whole blocks in the asked shares, and what
  rounding leaves is owed to the next round, where the paper's draw at random.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.methods.reweighting.segments import lengths, start
from chameleon.methods.reweighting.with_target import bytes_of_groups
from chameleon.mixing import Controller, Method, MethodInputs, MethodResult, StepSize, number, register, whole


@register
class Rnb(Method):
    """Online; sees no validation loss, only gradients of the batches it trains on."""

    name = "rnb"
    kind = "online"
    sees = ("train text",)
    cost = "0, but for one layer's gradients"
    online = True
    where = "method_params.rnb."
    parameters = {
        "lambda": number(3.0, least=0, most=100),  # how far the weights follow the scores
        "update_steps": whole(None, 1),  # K, steps of a round; None: a thirtieth of the run
    }

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of the gradients' sums and of what goes into a step's."""
        return bytes_of_groups(step, step.domains)

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return p_0; how long rounds are and how many follow, as diagnostics."""
        return inputs.answer(start(inputs), lengths(inputs))

    def controller(self, inputs: MethodInputs) -> Controller:
        from chameleon.methods.gradients.rnb import RnbController

        begin = inputs.start or start(inputs)
        return RnbController(begin, lengths(inputs)["update_steps"], inputs.params["lambda"])
