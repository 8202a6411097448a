"""Data Mixing Laws, nested: a law of training steps under the law of the mixture.

Ye et al., ICLR 2025 (arXiv 2403.16952). Each of some mixtures is trained for several lengths. A power law of
the steps (`chameleon.methods.laws.steps`) foretells every domain's loss at the length of the base run; the
law of the mixture is fitted to what was foretold, and the mixture where it is lowest is the answer, as in
`baselines/data_mixing_law.py`. The point: a mixture that is best after few steps need not be so later.

Known differences from the paper:
- It nests a third law, of the model's size, between these two; here all runs are of one size, and what is
  foretold is a longer run of that size.
- Its step law is read off the losses along one run; here runs of several lengths are trained, each with a
  whole learning-rate schedule, so that none is judged in the middle of one.
- Its exponent of the steps is one for all validation sets of a mixture; here it is one for all mixtures too.
- Mixtures, target, and what else `data_mixing_law` says of the law of the mixture.

Known differences from its code:
- Plain least squares with all but the exponent solved for; its code takes a Huber loss and L-BFGS.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.laws.method import LawMethod
from chameleon.methods.laws.solve import PARAMETERS
from chameleon.methods.laws.steps import extrapolate
from chameleon.methods.regression.mixtures import swarm_mixtures
from chameleon.methods.rows import rows
from chameleon.mixing import MethodInputs, RunSpec, UserError, named, register, whole


@register
class NestedMixingLaw(LawMethod):
    """The minimum of the mean law at the length of the base run."""

    name = "nested_mixing_law"
    kind = "swarm"
    sees = ("validation losses",)
    cost = "6 K n_s d_s, summed over the lengths"
    law = "log_linear"
    parameters = {
        **PARAMETERS,
        "mixtures": whole(24, 3, most=10_000),  # 3 (k + 1) of seven domains, as Olmix advises
        "steps": [50, 100, 200],  # lengths that each is trained for
        "scale": None,  # of the runs; None: the scenario's proxy scale
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse fewer than three lengths too."""
        super().check(params, domains, facts)
        steps = params["steps"]
        whole = isinstance(steps, list | tuple) and all(type(n) is int and n >= 1 for n in steps)
        if not whole or len(set(steps)) < 3 or len(set(steps)) < len(steps):
            raise UserError(
                f"method nested_mixing_law: steps: {steps!r} is not at least three different lengths"
            )

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the runs, the same mixtures at every length; one domain leaves nothing to choose.

        Raises:
            UserError: there are not as many different mixtures.
        """
        names, number = sorted(domains), params["mixtures"]
        if len(names) == 1:
            return []
        prior = np.full(len(names), 1 / len(names))
        drawn = swarm_mixtures(prior, number, generator(seed, self.name, "mixtures"))
        if len(drawn) < number:
            raise UserError(f"method {self.name}: mixtures: {number}: only {len(drawn)} differ")
        return [
            RunSpec(_id(steps, i), named(domains, mixture), steps, params["scale"], swarm=True)
            for steps in params["steps"]
            for i, mixture in enumerate(drawn)
        ]

    def rows(self, inputs: MethodInputs, names: list[str]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Return mixtures and the losses foretold at the base run's length; `exponent` and `step_error`.

        Raises:
            UserError: runs that were not made for this method, as those of `score-method`: all of one length.
        """
        params, lengths = inputs.params, np.array(inputs.params["steps"], dtype=np.float64)
        if _id(params["steps"][0], 0) not in inputs.runs:
            raise UserError(f"method {self.name}: needs runs of several lengths; these are all of one")
        found = []
        for steps in params["steps"]:
            runs = {_id(steps, i): inputs.runs[_id(steps, i)] for i in range(params["mixtures"])}
            found.append(rows(runs, names, params["target"]))
        losses = np.stack([y for _, y in found])
        foretold, alpha, error = extrapolate(lengths, losses, float(inputs.total_steps))
        return found[0][0], foretold, {"exponent": alpha, "step_error": error}


def _id(steps: int, number: int) -> str:
    return f"steps{steps}_mix{number:03d}"
