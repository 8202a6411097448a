"""ADO, Adaptive Data Optimization: draws from domains whose loss, by a law fitted on the way, still falls.

Jiang et al., "Adaptive Data Optimization: Dynamic Sample Selection with Scaling Laws" (2024, arXiv
2410.11820). A law L(n) = e^ε + e^a n^-α is fitted to every domain's training losses again and again; n counts
the blocks of all domains. The preference is ρ ∝ μ √h · (-dL/dn), with the prior μ and the recent shares h;
played are .9 of its mean over time and .1 of ρ. Training computes the losses anyway: no extra run, no pass.

`variant`: the authors' code ("authors", the default; since the commit that made √(h (1 - h)) into √h) or
Mixtera's ("mixtera"), which differs from it: the least share is a floor under what is played, not under ρ; h
follows what was played, not what was drawn; residuals are averaged, and penalties of parameters out of range
count a thousandfold; no exponent is raised to .05.

Short runs. The authors smooth over 101 steps, leave the first 1,000 out, refit every 1,000 and keep every
10th loss, in runs of 60,000. Null stands for those numbers, or for a tenth of the run where that is less; for
the losses kept, every fiftieth of the run where that is less. So all are the published ones from 10,000 steps
on. The diagnostics say what was used (`settings`) and what is not the published number (`not_as_published`).

Known differences from its code:
- The authors' runs start where the ignored steps end or before, so that the first laws are fitted to a single
  loss. Here the prior is played until a refit interval's losses are there (`start_steps`), as in Mixtera's.
- Shares are renewed every `update_steps` steps, in its code every step: whole blocks are drawn, and at 8 a
  step rounding would say more than the shares. What rounding leaves is owed to the next segment. History and
  mean move by as many steps at once.
- Of 512 searches for a law the 8 that start best are followed, and closer (slopes of 1e-9 for 1e-5).
- A domain that no batch has held yet has the batch's mean loss; so in the authors' code, in Mixtera's none.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chameleon.methods.reweighting.ado import VARIANTS, AdoController, Settings
from chameleon.methods.reweighting.scaling_law import FEWEST, ORDER, Fit
from chameleon.mixing import (
    Controller,
    Method,
    MethodInputs,
    MethodResult,
    UserError,
    check_number,
    number,
    one_of,
    register,
    weights_of,
    whole,
)

#: What the authors' code has; in runs of at least 10,000 steps also what null stands for.
PUBLISHED = {
    "window": 101,
    "ignore_steps": 1000,
    "start_steps": 1000,
    "refit_steps": 1000,
    "sample_steps": 10,
}


@register
class Ado(Method):
    """Online; sees no validation loss, only those of the batches it trains on."""

    name = "ado"
    kind = "online"
    sees = ("token counts", "training losses")
    online = True
    where = "method_params.ado."
    parameters = {
        "variant": one_of("authors", VARIANTS),
        # Label of the method whose weights are μ and the start; None: the tokens at hand.
        "prior": weights_of(optional=True),
        "update_steps": whole(5, 1),  # steps between two updates of the shares
        "least_share": 0.01,
        "policy_rate": number(0.1, above=0, most=1),  # part of ρ in what is played
        "history_rate": number(0.1, above=0, most=1),  # part of a step in h
        "window": whole(None, ORDER + 2),  # steps of the smoothing filter, odd
        "ignore_steps": whole(None, 0),  # first steps that no law is fitted to
        "start_steps": whole(None, 1),  # steps on the prior
        "refit_steps": whole(None, 1),
        "sample_steps": whole(None, 1),  # every how many steps a loss is kept for a fit
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse an even window too, and a least share that the domains cannot all have."""
        super().check(params, domains, facts)
        check_number("method_params.ado.least_share", params["least_share"], least=0, most=1 / len(domains))
        if params["window"] is not None and params["window"] % 2 == 0:
            raise UserError(f"method_params.ado.window: {params['window']} is not an odd number")

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return the prior, where the run starts; what laws will be fitted to, as diagnostics."""
        used = lengths(inputs.total_steps, inputs.params)
        others = {key: [PUBLISHED[key], used[key]] for key in PUBLISHED if used[key] != PUBLISHED[key]}
        diagnostics = {"settings": asdict(settings(inputs)), "not_as_published": others}
        return inputs.answer(_prior(inputs), diagnostics)

    def controller(self, inputs: MethodInputs) -> Controller:
        return AdoController(inputs.start or _prior(inputs), settings(inputs))


def lengths(total: int, params: Mapping[str, Any]) -> dict[str, int]:
    """Return the parameters that are numbers of steps, for a run of `total` steps."""
    tenth = max(1, total // 10)
    # A filter's window is odd.
    shares = {"window": max(ORDER + 2, tenth - 1 + tenth % 2), "ignore_steps": tenth, "refit_steps": tenth,
              "sample_steps": max(1, total // 50)}  # fmt: skip
    own = {key: min(PUBLISHED[key], share) for key, share in shares.items()}
    found = {key: own[key] if params[key] is None else int(params[key]) for key in own}
    after = max(found["refit_steps"], FEWEST * found["sample_steps"])
    start = params["start_steps"]
    return found | {"start_steps": found["ignore_steps"] + after if start is None else int(start)}


def settings(inputs: MethodInputs) -> Settings:
    """Return what a run is played with."""
    params, steps = inputs.params, lengths(inputs.total_steps, inputs.params)
    authors = params["variant"] == "authors"
    fit = Fit(
        steps["window"], steps["ignore_steps"], steps["sample_steps"], not authors, 1.0 if authors else 1e3
    )
    return Settings(
        params["variant"], fit, steps["start_steps"], steps["refit_steps"], params["update_steps"],
        params["least_share"], params["policy_rate"], params["history_rate"],
    )  # fmt: skip


def _prior(inputs: MethodInputs) -> dict[str, float]:
    prior = inputs.params["prior"]
    given = inputs.token_counts if prior is None else inputs.others[prior]
    total = sum(given[d] for d in sorted(inputs.domains))
    return {d: float(given[d] / total) for d in inputs.domains}
