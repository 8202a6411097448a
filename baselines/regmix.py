"""RegMix (Liu et al., ICLR 2025, arXiv 2407.01492): learn mixture -> loss from a swarm of small runs.

`num_proxies` small models are trained on random mixtures; a regression learns the validation loss from the
mixture; many candidates are simulated, and the mean of those of lowest predicted loss is the answer. Looks at
validation losses and at no text. Costs the swarm (stage `swarm`) and a fit of some seconds. The steps live in
`chameleon.methods.regression`, which `python -m chameleon regress` offers for swarms trained elsewhere.

Known differences from the paper:
- The prior that the mixtures scatter around is uniform, or the `prior` given in the config, not the shares
  of tokens: those are not known while the workflow plans its jobs, and the swarm's mixtures are part of the
  plan. Bounds are multiples of that prior; under the uniform one they only bind beyond 15 domains, and
  `temperature` changes nothing.
- The default target is the mean validation loss over all domains; the paper's is one (Pile-CC). For the mean,
  each domain's loss has a regression of its own and the predictions are averaged. One regression of the mean
  finds worse mixtures: on 64 noisy runs of known laws (exponential and power, four seeds each) its answer lay
  0.50 and 1.62 of uniform's distance in loss above the optimum for k = 7, 0.32 and 0.46 for k = 15; that of
  the averaged ones 0.19 and 0.33, 0.20 and 0.30.
- The swarm is 64 runs by default, not 512. At the CPU scale it is 32 of 2 blocks of width 32, which take 200
  steps; the paper's 1M model has 2 blocks of width 256 and takes 1,000 steps, 1B tokens, at a constant rate.
- 100,000 candidates are simulated and the best 128 averaged, as in its notebook; the paper says 1,000,000
  and 100.
- `regression: log_linear` is an addition: the law of Data Mixing Laws (arXiv 2403.16952).

Known differences from its code:
- No early stopping: its LightGBM stops on the test set, which leaks. All rounds are trained here.
- Swarms of fewer than 256 runs are fitted with parameters for small swarms: 200 rounds at 0.05, 4 leaves of
  at least 3 runs, half of the features a tree (`chameleon.methods.regression.models`).
- Candidates keep the bounds of the swarm; the reference's do not.
- A rounded mixture of the swarm is rescaled to sum to one and held against the bounds again; the reference's
  sum to 0.999 to 1.001.
- `foretell` is an addition: what the regression expects of other methods' mixtures, for a table that holds it
  against base models on them. The weights do not depend on it.
- Where the bounds leave too few mixtures (from about a hundred domains on) its code fails. Here up to 2,000
  draws are made per mixture asked for; if that is not enough, the mixtures are made within the bounds
  (`chameleon.methods.regression.within`). If even so there are not as many different ones as `num_proxies`
  asks for, the config is refused.
- A mixture is one draw under a strength picked at random; its code draws under all 15 strengths and picks one
  of the draws. The distribution is the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.regression import mixtures, models
from chameleon.methods.regression.propose import CANDIDATES, TOP, propose
from chameleon.methods.rows import rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    RunSpec,
    UserError,
    is_number,
    named,
    number,
    one_of,
    register,
    target,
    whole,
)

#: Fewer runs than this cannot be fitted and checked.
MINIMUM_RUNS = 3


@register
class RegMix(Method):
    """The mean of the mixtures of lowest predicted loss."""

    name = "regmix"
    kind = "swarm"
    sees = ("validation losses",)
    cost = "6 K n_s d_s"
    foretells = True
    parameters = {
        "num_proxies": whole(64, MINIMUM_RUNS, most=100_000),  # the paper: 512
        # Optimizer steps of a proxy; None: as many as its scale says, or the scenario's proxy.
        "steps": whole(None, 1),
        "scale": None,  # its scale; None: the scenario's proxy scale
        "target": target(),
        "regression": one_of("lightgbm", models.MODELS),
        "prior": "uniform",  # or {domain: share}
        "temperature": number(mixtures.TEMPERATURE, least=0, most=20),  # exponent on the prior
        "strength": list(mixtures.STRENGTHS),  # lowest and highest concentration of the Dirichlet
        # Bound on a weight, in multiples of the prior.
        "maximum_usage": number(mixtures.MAXIMUM_USAGE, least=1),
        "candidates": whole(CANDIDATES, 1, most=10_000_000),  # simulated mixtures
        "top": whole(TOP, 1, most=10_000_000),  # of which so many are averaged
        "folds": whole(8, 2, most=10_000_000),  # of the cross-validation
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse strengths too that are no range, and priors that do not cover the domains."""
        super().check(params, domains, facts)
        strength = params["strength"]
        if not (isinstance(strength, Sequence) and len(strength) == 2 and all(map(is_number, strength))
                and 0 < strength[0] <= strength[1]):  # fmt: skip
            raise UserError(
                f"method regmix: strength: {strength!r} is not a pair of positive numbers, low first"
            )
        _prior(params["prior"], sorted(domains))

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the swarm: `num_proxies` runs.

        The draw is made for the domains sorted by name, so that their order in the config plays no part. One
        domain leaves nothing to choose and needs no run.

        Raises:
            UserError: there are not as many different mixtures within the bounds.
        """
        names = sorted(domains)
        if len(names) == 1:
            return []
        prior, (low, high) = _prior(params["prior"], names), params["strength"]
        asked, usage = params["num_proxies"], params["maximum_usage"]
        draw = generator(seed, "regmix", "mixtures")
        drawn = mixtures.swarm_mixtures(prior, asked, draw, params["temperature"], (low, high), usage)
        if (found := len(drawn)) < asked:
            raise UserError(
                f"method regmix: num_proxies: {asked} runs are asked for, but only {found} different "
                f"mixtures keep every weight below maximum_usage ({usage:g}) times its prior; raise "
                "maximum_usage, or ask for fewer runs"
            )
        digits = max(3, len(str(len(drawn) - 1)))
        return [
            RunSpec(
                run_id=f"mix{i:0{digits}d}",
                weights=named(domains, row),
                steps=params["steps"],
                scale=params["scale"],
                swarm=True,
            )
            for i, row in enumerate(drawn)
        ]

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Fit, simulate, average.

        `diagnostics` say how well the regression predicts runs that it did not see (cross-validation over the
        swarm): `heldout_spearman` (absent if either side is constant) and `heldout_mse` (squared nats).
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        x, y = rows(inputs.runs, names, params["target"])
        if len(x) < MINIMUM_RUNS:  # bounds so tight that there were no more mixtures
            best = x[y.mean(axis=1).argmin()]
            return inputs.answer(best, {"regression": "none: too few runs", "runs": len(x)})
        model = models.fit(params["regression"], x, y)
        shuffle = generator(inputs.seed, "regmix", "folds")
        prior = _prior(params["prior"], names)
        bounds = mixtures.upper_bounds(prior, params["maximum_usage"])
        draw = generator(inputs.seed, "regmix", "candidates")
        candidates = mixtures.candidate_mixtures(prior, bounds, params["candidates"], draw)
        found, predicted = propose(model, candidates, params["top"])
        diagnostics = {
            "regression": model.name,
            "target": params["target"],
            "runs": len(x),
            "runs_asked": params["num_proxies"],
            "folds": min(params["folds"], len(x)),
            "predicted_loss": predicted,
            "best_swarm_loss": float(y.mean(axis=1).min()),
            "importance": named(names, model.importance()),
            **models.held_out(params["regression"], x, y, params["folds"], shuffle),
        }
        return inputs.answer(found, diagnostics)

    def expected(self, inputs: MethodInputs, mixtures: np.ndarray) -> np.ndarray | None:
        """Return what the regression expects; None where the swarm is too small to fit."""
        x, y = rows(inputs.runs, inputs.names, inputs.params["target"])
        if len(x) < MINIMUM_RUNS:
            return None
        return models.fit(inputs.params["regression"], x, y).predict(mixtures)


def _prior(given: Any, names: list[str]) -> np.ndarray:
    """Return the prior's shares in the order of `names`."""
    if given == "uniform":
        return np.full(len(names), 1 / len(names))
    if not isinstance(given, Mapping):
        raise UserError(
            f"method regmix: prior: {given!r} is neither 'uniform' nor a mapping of domains to shares"
        )
    for domain in names:
        if not is_number(given.get(domain), above=0):
            raise UserError(
                f"method regmix: prior: {domain}: {given.get(domain)!r} is not a positive share; "
                f"every one of {', '.join(names)} needs one"
            )
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise UserError(f"method regmix: prior: unknown domain {unknown[0]!r}; valid: {', '.join(names)}")
    shares = np.array([float(given[d]) for d in names])
    if sum(shares.tolist()) == float("inf"):
        raise UserError(
            f"method regmix: prior: shares of up to {shares.max():g} are too large to be added up"
        )
    return shares / shares.sum()
