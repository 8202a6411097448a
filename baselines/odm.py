"""ODM, Online Data Mixing: a bandit that draws, as the run goes on, from the domains of high training loss.

Albalak et al., "Efficient Online Data Mixing For Language Model Pre-Training" (2023, arXiv 2312.02406). Every
domain is an arm; its reward is the loss of the blocks drawn from it, which training computes anyway: no extra
run, no extra pass. Domains of high entropy have high losses however much they are trained on, and are drawn
for it: that is the method. ε_t = min{1/k, √(ln k / (k t))} of a batch goes to every domain, so weights stay
uniform for the first k ln k steps (14 for 7 domains).

`rule`, the two that the published code has (`chameleon/methods/reweighting/odm.py`):
- "smoothed_mean" (the default): R ← s R + (1 - s) e^ℓ, shares in proportion to R. The code's README names
  this class as the paper's method. It is no Exp3: no importance weights, no exponential of rewards.
- "exp3": R ← R + (ℓ / 10) / π, shares in proportion to e^{ε R}; Exp3 with batches in place of draws.

Known differences from its code:
- Shares are renewed every `update_steps` steps, in its scripts every step. Rewards are taken in every step.
  Weights are rounded to whole blocks once a segment, and at 8 blocks a step the rounding of a single step
  would be larger than what the bandit says; 5 steps are 40 blocks. What rounding leaves is owed to the next
  segment, so that a domain with a small share is drawn now and then; its code draws at random.
- Rewards count from the first step on; in its code from the end of the warm-up, unless told otherwise. With
  8 blocks a step some domains would be taken for worthless at the first update, as none was drawn yet.
- The warm-up is a fiftieth of the run: its scripts have 2,000 of 100,000 steps.
- The run starts on uniform weights, or with `prior` on another method's; its scripts start on the Pile's own.
- Which smoothing the paper's tables were made with is unknown: the class has .9, scripts for 1B and 3B .5.
"""

import math

from chameleon.methods.reweighting.odm import RULES, Bandit, OdmController
from chameleon.methods.reweighting.segments import start
from chameleon.mixing import (
    Controller,
    Method,
    MethodInputs,
    MethodResult,
    number,
    one_of,
    register,
    weights_of,
    whole,
)


@register
class Odm(Method):
    """Online; sees no validation loss, only those of the batches it trains on."""

    name = "odm"
    kind = "online"
    sees = ("training losses",)
    online = True
    where = "method_params.odm."
    parameters = {
        "rule": one_of("smoothed_mean", RULES),
        # s of smoothed_mean: part of the old estimate in a new one.
        "smoothing": number(0.9, least=0, below=1),
        "reward_scale": number(10.0, above=0),  # what losses are divided by in exp3
        "update_steps": whole(5, 1),  # steps between two updates of the shares
        "warmup_steps": whole(None, 0),  # steps on the start; None: a fiftieth of the run
        "prior": weights_of(optional=True),  # the run starts on that method's weights; None: on uniform ones
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return where the run starts; when it moves, as diagnostics."""
        k, warmup = len(inputs.domains), _warmup(inputs)
        every = inputs.params["update_steps"]
        diagnostics = {
            "warmup_steps": warmup,
            "updates": max(0, math.ceil((inputs.total_steps - warmup) / every) - 1),
            "uniform_until_step": math.ceil(k * math.log(k)),
        }
        return inputs.answer(start(inputs), diagnostics)

    def controller(self, inputs: MethodInputs) -> Controller:
        params = inputs.params
        begin = inputs.start or start(inputs)
        bandit = Bandit(begin, params["rule"], params["smoothing"], params["reward_scale"])
        return OdmController(bandit, _warmup(inputs), params["update_steps"])


def _warmup(inputs: MethodInputs) -> int:
    given = inputs.params["warmup_steps"]
    return inputs.total_steps // 50 if given is None else int(given)
