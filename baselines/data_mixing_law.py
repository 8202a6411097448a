"""Data Mixing Laws (Ye et al., ICLR 2025, arXiv 2403.16952): fit a law of the mixture, take its minimum.

L_i(p) = c_i + exp(Σ_j t_ij p_j) for every domain's validation loss is fitted to a swarm of small runs on
other mixtures, and the mixture where the laws' mean is lowest is the answer: a convex problem, solved
exactly. The swarm is another method's (`swarm`), read and charged for in full, and not trained again.

Known differences from the paper:
- One swarm of one size and length. The paper nests three laws (steps, size, mixture) to foretell the losses
  of a large model; at one scale there is nothing to nest.
- The swarm's mixtures are RegMix's draws; the paper takes 20 of 40 candidates on a grid, by fit error.
- The factor in front of the exponential is left out: weights sum to one, so it only shifts every t_ij.
- The target is the mean over domains (or one domain); the paper can learn the domains' shares of an unknown
  target.
- `repetitions` (a cap on passes over a domain) and `divergence` are additions, off by default.

Known differences from its code:
- Fitted with a robust loss from several starts (`chameleon.methods.regression.laws`); the port in
  Aioli's code runs scipy's `curve_fit` from one, the original an ensemble of exponential networks.
- The minimum is proven by a duality gap; the port searches by Nelder-Mead over a softmax.
"""

from chameleon.methods.laws.method import LawMethod
from chameleon.mixing import register


@register
class DataMixingLaw(LawMethod):
    """The minimum of the mean law."""

    name = "data_mixing_law"
    kind = "swarm"
    sees = ("validation losses",)
    cost = "6 K n_s d_s"
    law = "log_linear"
