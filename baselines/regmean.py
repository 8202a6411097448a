"""RegMean as a mixture's proxy: DeMix's search, its experts merged layer by layer instead of averaged.

The rule is that of Jin et al. (ICLR 2023, arXiv 2212.09849), the search DeMix's (arXiv 2602.00747; see
`baselines/demix.py`). The mean of two linear layers' matrices does on neither model's text what either did.
RegMean takes the matrix that comes nearest to both, in least squares over the rows X_i that the layer takes
in while expert i reads domain i's validation text:

    W(p) = (Σ_i p_i G_i)^-1 Σ_i p_i G_i W_i,   G_i = X_iᵀX_i / n_i

What is no matrix of a linear layer (embeddings, the head tied to them, norms, biases) is averaged with p.
Where all G_i are alike, this is DeMix's mean. Numerics: `chameleon.methods.gram`.

Reads the experts of another method of the scenario (`experts`) and trains none; costs them, and beside the
passes of the search one of each expert over its own domain.

Known differences from the paper:
- It merges models of different tasks in equal parts; weighting them by a mixture, as a proxy for a model
  that was trained on it, is ours. DeMix's paper does not try this rule.
- G_i come from the validation text, the paper's from training text. The experts of DeMix have seen general
  text too; G_i are of their own domain alone.
- A `ridge` stands on the diagonal of every G_i: a layer may have fewer rows than inputs, or dead inputs.
- The target, the candidates and the regression are DeMix's as it is here.

Known differences from its code:
- What is beside the diagonals is multiplied by `off_diagonal`, 0.1 as in its configs; where they do not say,
  its code leaves it (1).
- It adds no ridge. It keeps a running mean over some thousand batches, here all tokens count alike.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chameleon.methods.merged import SEARCH, MergedSearch, folders, read_experts
from chameleon.mixing import MethodInputs, RunResult, number, register, runs_of

if TYPE_CHECKING:
    from chameleon.methods.merging import Experts


@register
class RegMean(MergedSearch):
    """The mixture of the best proxies merged by RegMean."""

    name = "regmean"
    parameters = {
        "experts": runs_of("demix"),  # the method whose models are merged
        "off_diagonal": number(0.1, least=0, most=1),  # factor on what is beside the diagonal of G_i
        "ridge": number(1e-4, least=1e-9, most=1),  # on the diagonal of G_i, in parts of the diagonals' mean
        **SEARCH,
    }

    def validation_passes(self, params: Mapping[str, Any], domains: Sequence[str]) -> int:
        """Return the search's, and one: every expert reads its own part of the text."""
        return super().validation_passes(params, domains) + 1

    def expert_runs(self, inputs: MethodInputs) -> list[RunResult]:
        """Return the other method's runs.

        Raises:
            UserError: they are no experts.
        """
        return read_experts(inputs, inputs.params["experts"], "method regmean: experts")

    def experts(self, inputs: MethodInputs) -> "Experts":
        """Return the experts, to be merged by RegMean: each reads its own domain's validation text."""
        from chameleon.methods import gram
        from chameleon.methods.merging import Experts
        from chameleon.training.hf.checkpoint import load

        measure, params = inputs.validation_losses, inputs.params
        assert measure is not None
        where = folders(self.expert_runs(inputs))
        grams = []
        for folder, own in zip(where, inputs.names, strict=True):
            model = load(folder)
            grams.append(gram.products(model, partial(measure, domains=[own])))
        how = {"off_diagonal": params["off_diagonal"], "ridge": params["ridge"], "turned": gram.turned(model)}
        return Experts(where, partial(gram.RegMean, grams=grams, **how))
