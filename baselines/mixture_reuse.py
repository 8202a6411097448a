"""Mixture reuse (Olmix, arXiv 2602.12237): when domains arrive, the ratios of the others are kept.

The domains in `kept` hold their ratios p̃ of before and become one virtual domain v; the others are those
that were added or changed. Olmix runs on v and the others alone: a swarm of 3 (|others| + 2) small runs, a
log-linear law, its minimum r near the natural mixture and within repetitions. The answer expands it: q_j =
r_v p̃_j for the kept domains, q_j = r_j for the others. v is repeated as often as its most repeated domain:
r_v ≤ min_j r N_j / (R p̃_j). What Chameleon promises in `transfer`, by other means and at the price of a
smaller swarm.

Removing domains needs no run and no method: the rest is renormalised.

Known differences from the paper:
- `ratios` is given in the config: uniform (no mixture beats it in `pretrain` here), or shares by domain, such
  as another run's weights. They cannot be the tokens' shares, which are not known while runs are planned.
- Partial reuse is what `kept` leaves out: which of the unaffected domains share tasks with the affected ones,
  and are weighed anew, is the user's to say.
- Swarm, law, targets and caps are `regmix`'s and `olmix`'s here, with their known differences. The swarm
  scatters around the mixture that is uniform over all domains.

Known differences from its code:
- None beside those of `olmix`: the configs of its case study do the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.laws.solve import PARAMETERS, minimum
from chameleon.methods.regression.mixtures import swarm_mixtures
from chameleon.methods.rows import rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    RunSpec,
    UserError,
    choices,
    is_number,
    named,
    number,
    register,
    whole,
)


@register
class MixtureReuse(Method):
    """Olmix over one virtual domain and those that are not kept."""

    name = "mixture_reuse"
    kind = "swarm"
    sees = ("token counts", "validation losses")
    cost = "6 K n_s d_s, K = 3 (k - kept + 2)"
    parameters = {
        "kept": [],  # domains that keep their ratios; fewer than two: Olmix on a swarm of its own
        "ratios": "uniform",  # or {kept domain: share}
        "num_proxies": whole(None, 3),  # None: 3 (|others| + 2)
        # Optimizer steps of a run; None: as many as its scale says, or the scenario's proxy.
        "steps": whole(None, 1),
        "scale": None,  # its scale; None: the scenario's proxy scale
        **PARAMETERS,
        "divergence": number(0.05, least=0),
        "repetitions": number(4.0, above=0, optional=True),
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse unknown domains too, and shares that are none."""
        super().check(params, domains, facts)
        kept, ratios = params["kept"], params["ratios"]
        if not isinstance(kept, list | tuple):
            raise UserError(f"method mixture_reuse: kept: {kept!r} is not a list of domains")
        for domain in kept:
            if domain not in domains:
                raise UserError(f"method mixture_reuse: kept: {choices(domain, domains)}")
        if len(set(kept)) < len(kept):
            raise UserError(f"method mixture_reuse: kept: {sorted(kept)} names a domain twice")
        if ratios != "uniform" and not (
            isinstance(ratios, Mapping)
            and set(ratios) == set(kept)
            and all(is_number(share, above=0) for share in ratios.values())
        ):
            wanted = f"{{domain: share}} for each of {', '.join(kept) or 'the kept domains'}"
            raise UserError(f"method mixture_reuse: ratios: {ratios!r} is neither 'uniform' nor {wanted}")

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the swarm over the virtual domain and the others; nothing where there is no choice.

        Raises:
            UserError: there are not as many different mixtures.
        """
        names, expansion = _expansion(domains, params)
        if len(expansion) == 1:
            return []
        count = params["num_proxies"] or 3 * (len(expansion) + 1)
        prior = (expansion > 0).sum(axis=1) / len(names)
        drawn = swarm_mixtures(prior, count, generator(seed, "mixture_reuse", "mixtures"))
        if len(drawn) < count:
            raise UserError(f"method mixture_reuse: num_proxies: {count}: only {len(drawn)} mixtures differ")
        steps, scale = params["steps"], params["scale"]
        return [
            RunSpec(f"mix{i:03d}", named(domains, row), steps, scale, swarm=True)
            for i, row in enumerate(drawn @ expansion)
        ]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Fit, find the minimum, expand; diagnostics as Olmix's, and `collapsed`, r_v and the r_j.

        Raises:
            UserError: the caps leave less than a whole mixture.
        """
        names, expansion = _expansion(inputs.domains, inputs.params)
        params = inputs.params
        if len(expansion) == 1:
            found, diagnostics = np.ones(1), dict[str, Any]()
        else:
            x, y = rows(inputs.runs, names, params["target"])
            counts = np.array([float(inputs.token_counts[d]) for d in names])
            caps = None
            if params["repetitions"] is not None:
                # A row may weigh so much that none of its domains passes its own cap.
                each = params["repetitions"] * counts / inputs.token_budget
                with np.errstate(divide="ignore"):
                    caps = np.minimum(1.0, np.where(expansion > 0, each / expansion, np.inf).min(axis=1))
            natural = (expansion > 0) @ (counts / counts.sum())
            shuffle = generator(inputs.seed, self.name, "folds")
            collapsed = x @ (expansion > 0).T
            found, diagnostics = minimum(self.name, "olmix", collapsed, y, natural, caps, params, shuffle)
        labels = [" + ".join(n for n, share in zip(names, row, strict=True) if share) for row in expansion]
        diagnostics["collapsed"] = dict(zip(labels, found.tolist(), strict=True))
        return inputs.answer(found @ expansion, diagnostics)


def _expansion(domains: Sequence[str], params: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    """Return the domains, sorted, and the matrix that expands a collapsed mixture r: q = r E.

    The first row is the virtual domain, p̃ over the kept ones; each other row is a domain of its own.
    """
    names, kept = sorted(domains), sorted(params["kept"])
    rows_of = []
    if kept:
        given = params["ratios"]
        shares = {d: 1.0 if given == "uniform" else float(given[d]) for d in kept}
        total = sum(shares.values())
        rows_of.append([shares.get(d, 0.0) / total for d in names])
    rows_of += [[float(d == own) for d in names] for own in names if own not in kept]
    return names, np.array(rows_of)
