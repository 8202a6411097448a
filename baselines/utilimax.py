"""UtiliMax: as useful as possible for every task, spread against risk, no domain repeated too often.

Held et al., "Optimizing pretraining data mixtures with LLM-estimated utility" (2025, arXiv 2501.11747). Small
runs, each on one domain alone, say how useful domain i is for task j: U_ij in [0, 1]. The weights minimise
‖wᵀU − 1‖₂ + risk(w) over the simplex with C w_i / n_i ≤ max_epochs (C: tokens of the base run, n_i: tokens of
the domain's train split). Tasks are the domains' own validation losses. The problem is convex; its numerics
are in `chameleon.methods.utilities`, and the diagnostics hold a bound on what the answer misses.

Reads the runs of another method of the scenario (`experts`) and adds none; costs them and a second.

Known differences from the paper:
- The risk is k · ‖w‖₂², times `risk`. That term is unverified: it is that of a third party's code, and the
  paper's own is not known to us. It is least at uniform and large beside the distance, so that weights stay
  near uniform; without it (`risk: 0`) the distance decides alone, and a domain that is best at everything
  takes all that its cap allows.
- The normalisation of utilities is ours, as the paper's is not known to us: per task, from 0 for the expert
  of the highest loss to 1 for that of the lowest. A task on which the experts hardly differ so counts as much
  as one on which they differ a lot, their noise included.
- The tasks are the domains' validation losses. Utilities from ratings, for tasks of any kind, are `medu`'s.
- `max_epochs: 4` is ours: about where repeated text begins to be worth less than fresh text (Muennighoff et
  al., arXiv 2305.16264). The paper's value is not known to us.
- Experts read the whole train splits: those of small domains repeat less text than the base run would.
- Caps that leave no mixture are refused, as the problem then has no answer; with one domain there is nothing
  to choose, and its cap is not looked at.
"""

from chameleon.methods import utilities
from chameleon.mixing import Method, MethodInputs, MethodResult, register, runs_of


@register
class UtiliMax(Method):
    """The portfolio of domains of least distance from full utility, with risk and caps on epochs."""

    name = "utilimax"
    kind = "experts"
    sees = ("token counts", "validation losses")
    cost = "6 k n_s d_s"
    where = "method_params.utilimax."
    parameters = {
        "experts": runs_of("single_domain"),  # the method with one run per domain
        **utilities.PARAMETERS,
    }

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the portfolio; see `utilities.portfolio` for the diagnostics.

        Raises:
            UserError: the caps leave no mixture, a domain has no tokens, or one has no expert.
            ValueError: no token budget was given.
        """
        names, label = inputs.names, inputs.params["experts"]
        if len(names) == 1:
            return inputs.answer([1.0])
        losses = utilities.expert_losses(inputs.read[label], names, f"method utilimax: experts: {label!r}")
        return utilities.portfolio(inputs, utilities.utilities(losses), names, "utilimax")
