"""Olmix (arXiv 2602.12237): the minimum of a law, near the natural mixture and within repetitions.

L_i(p) = exp(c_i) + exp(t_i · p) for every domain's validation loss; the answer minimises their mean plus
λ KL(p ‖ q), q being the domains' shares of the tokens at hand, with no domain read more than `repetitions`
times in the base run (p_j ≤ r N_j / R). The swarm is another method's (`swarm`), read and charged for in
full, and not trained again.

Known differences from the paper:
- The swarm's mixtures are RegMix's draws, not the paper's two-level Dirichlet. It advises 3 (k + 1) runs; the
  diagnostics say how many were read.
- The targets are the domains' validation losses in nats/token, weighted alike; the paper's are tasks' bits
  per byte.
- Small runs are not shown the repetitions of the base run; the cap is the proposer's alone, as in the paper.
- Mixture reuse, for domains that change, is a method of its own (`mixture_reuse`).

Known differences from its code:
- λ is 0.05, as in the paper and most of its configs; its class has no default, its example .1.
- The fit has the code's starts for c and its Huber loss (turning at 0.02), with t from least squares for
  each; the code runs L-BFGS from 300 starts with random t.
- Solved by SLSQP with a proven duality gap, not by a cone solver. Its other proposers (simulation, best row)
  are `regmix`'s search and `swarm_best`.
"""

from chameleon.methods.laws.method import LawMethod
from chameleon.mixing import number, register


@register
class Olmix(LawMethod):
    """The minimum of the mean law and the divergence, below the caps."""

    name = "olmix"
    kind = "swarm"
    sees = ("token counts", "validation losses")
    cost = "6 K n_s d_s"
    law = "olmix"
    parameters = {
        **LawMethod.parameters,
        "divergence": number(0.05, least=0),
        "repetitions": number(4.0, above=0, optional=True),
    }
