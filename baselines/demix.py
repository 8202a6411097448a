"""DeMix: proxies that are not trained but merged, from one expert per domain.

arXiv 2602.00747 (ICML 2026). The scenario's uniform proxy is branched: expert i goes on from it on a share
β of general text (all domains alike) and 1 − β of domain i. The proxy for a mixture p is θ(p) = Σ_i p_i θ_i,
which costs a validation pass. Mixtures are searched for in rounds, as in CLIMB: a regression learns the loss
from the merged proxies so far, the next ones are drawn from the candidates that it likes best. The answer is
the mean of the candidates of lowest predicted loss.

Its claim is that merged proxies rank mixtures as trained ones do: `foretell` says the loss of any mixture's
merged proxy, to be held against models that were trained on it. Means of parameters are meaningful only
between models that are close: `delta` in the diagnostics says how close (in the paper about 0.1).

`general: 0` leaves the experts nothing but their domain (modular merging, the paper's weaker form).

Costs the uniform proxy, k experts, and as many validation passes as there are merged proxies.

Known differences from the paper:
- The experts' data is drawn β / k from every domain, 1 − β more from its own; the paper's general text is a
  corpus of its own.
- The target is the mean validation loss over domains; the paper's is a mean rank over groups of tasks.
- How long experts train is ours (`steps`): a quarter of the default proxy's 400. They start the scale's
  learning-rate schedule anew.
- The regression is fitted as RegMix's for small swarms. Candidates are drawn as RegMix's, around uniform;
  the paper's redistribute what lies above a cap.
- Only linear merging is here, which the paper finds best; `regmean` merges otherwise.

Known differences from its code:
- The function that searches is called there, but not part of it.
- It averages the best 1,280 candidates, the paper the best 128, as here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.methods.merged import SEARCH, MergedSearch
from chameleon.mixing import REFERENCE, MethodInputs, RunResult, RunSpec, number, register, whole


@register
class DeMix(MergedSearch):
    """The mixture of the best merged proxies."""

    name = "demix"
    parameters = {
        "general": number(0.5, least=0, below=1),  # β
        "steps": whole(100, 1, optional=True),  # of an expert; None: as many as the scenario's proxy
        **SEARCH,
    }

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return one expert per domain; one domain leaves nothing to choose."""
        k, general = len(domains), params["general"]
        if k == 1:
            return []
        return [
            RunSpec(
                run_id=f"expert_{own}",
                weights={d: general / k + (1 - general) * (d == own) for d in domains},
                steps=params["steps"],
                after=(REFERENCE,),
                start=REFERENCE,
            )
            for own in sorted(domains)
        ]

    def expert_runs(self, inputs: MethodInputs) -> list[RunResult]:
        """Return its own runs."""
        return [inputs.runs[f"expert_{name}"] for name in inputs.names]
