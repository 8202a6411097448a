"""Datamodel: what a model loses without each domain, from one run whose steps are taken back.

After "Distilled datamodel with reverse gradient matching" (arXiv 2404.14006), which says what parts of the
data are worth by taking their training steps back instead of training anew without them. One run of the
proxy's size on uniformly drawn data keeps, by domain, the sum of its steps u_D
(`chameleon.methods.gradients.reversal`). The effect of domain D on the loss of domain j is

    e_Dj = L_j(θ_T + u_D) − L_j(θ_T),

positive where D helped, measured on validation text: k + 1 passes over it, and no second training run. The
weights are In-Run Data Shapley's share of what helped, max(e, 0) / Σ max(e, 0), with e_D the mean over j.

The truth that this stands for is to train k models, each without one domain; `benchmarks/leave_one_out.py`
does so and prints what the reversal has to do with it.

Known differences from the paper:
- This is an analogue, and ours: the paper's parts are clusters of images, its steps are matched by synthetic
  images, and its equations were not at hand.
- The paper attributes and does not weigh; the weights are ours.
- What is taken back are steps of plain SGD under the run's learning rates. The CPU scales train with Muon,
  the others with AdamW, whose steps are larger and no sums over domains, so e is an effect in small.
- A model without D also would have trained on more of everything else; taking steps back does not show that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chameleon.methods.gradients.in_run import RULES, RUN, watched, weights_of
from chameleon.methods.gradients.reversal import Movements, key
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    Objective,
    RunInputs,
    RunSpec,
    StepSize,
    named,
    number,
    one_of,
    register,
    whole,
)
from chameleon.mixing.types import OBJECTIVE_TENSORS

if TYPE_CHECKING:
    from chameleon.training.model import Decoder


@register
class Datamodel(Method):
    """Weights from what is lost when a domain's steps are taken back."""

    name = "datamodel"
    kind = "proxy"
    sees = ("train text", "validation losses")
    cost = "6 n d + 2 (k + 1) n v"
    requires = frozenset({"validation"})
    parameters = {
        "steps": whole(None, 1),  # optimizer steps of the proxy run; None: as many as the scenario's proxy
        "rule": one_of("positive", RULES),
        "temperature": number(1.0, above=0),  # of the softmax, in standard deviations of the effects
    }

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the run that is watched."""
        return watched(domains, params["steps"])

    def objective(self, inputs: RunInputs) -> Objective:
        """Return the objective that trains on the mean loss and keeps what each domain did."""
        return Movements(inputs.domains)

    def objective_bytes(self, params: Mapping[str, Any], step: StepSize) -> float:
        """Return the bytes of every domain's sum and of the step's gradient."""
        return 4.0 * (step.domains + 1) * step.parameters

    def validation_passes(self, params: Mapping[str, Any], domains: Sequence[str]) -> int:
        """Return one for the model as it is, and one for every domain that it is rid of."""
        return 1 + len(domains) if len(domains) > 1 else 0

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Take every domain's steps back and measure.

        Diagnostics: `effect` (domain -> e_D, nats/token) and `effects` (domain -> domain -> e_Dj).
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        folder = inputs.runs[RUN].model_dir
        assert folder is not None and inputs.validation_losses is not None
        effects = reversed_effects(folder, names, inputs.validation_losses)
        mean = effects.mean(axis=1)
        diagnostics = {
            "effect": named(names, mean),
            "effects": {d: named(names, row) for d, row in zip(names, effects, strict=True)},
        }
        return inputs.answer(weights_of(mean, params["rule"], params["temperature"]), diagnostics)


def reversed_effects(folder: Path, names: Sequence[str], measure: Any) -> np.ndarray:
    """Return e (k x k, nats/token): row D the losses with D's steps taken back, less those without.

    Args:
        folder: checkpoint of the run, with what its objective left.
        names: k domains.
        measure: returns the losses by domain of a model.
    """
    import torch
    from safetensors.torch import load_file

    from chameleon.training.hf.checkpoint import load

    model: Decoder = load(folder).eval()
    moved = load_file(folder / OBJECTIVE_TENSORS)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    least = measure(model)
    rows = []
    for domain in names:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name] + moved[key(domain, name)])
        losses = measure(model)
        rows.append([losses[d] - least[d] for d in names])
    return np.array(rows, dtype=np.float64)
