"""CLIMB (Diao et al., NeurIPS 2025, arXiv 2504.13161): a mixture is searched for in rounds.

Round 1 trains proxies on n_1 mixtures S_1 from a Dirichlet around the prior and fits a predictor f_1 of the
loss. Round t ranks the candidates by f_{t-1}, draws n_t of those not trained yet at random from the best N,
trains on them, and fits f_t to the runs of all rounds. The answer is the candidate that the last predictor
likes best. Looks at validation losses and at no text. Costs Σ n_t proxies; each run after round 1 fits
f_{t-1} and draws its round's mixtures for itself, in some seconds (`chameleon.methods.rounds`).

Known differences from the paper:
- Its first half, clusters made from embeddings and pruned by classifiers, is not here: domains are given.
- The prior is uniform, not the clusters' shares of tokens: those are not known while the workflow plans its
  jobs, and the mixtures of round 1 are part of the plan. All mixtures keep below 15 times the prior.
- The target is the mean validation loss, or one domain's; the paper's is a proxy's mean accuracy on a few
  benchmarks.
- There are 16, 8 and 4 runs by default, the paper's ratio of 64, 32 and 16. The predictor is RegMix's, with
  its settings for small swarms, not the paper's (LightGBM of depth 4 with L1 and L2 penalties, 5 runs a leaf,
  stopped early on runs held out): that one has too few runs here to grow on.
- A predictor that grew no tree tells no mixtures apart: the next round is then a draw from all candidates,
  and the last answer the best mixture measured (ours).

Known differences from its code:
- The code is a tutorial of NeMo Curator. Its candidates are 100,000 draws around the prior, the same in every
  round, as here; but it may draw a mixture again that was trained, and bounds those of round 1 alone.
- A mixture is not rounded to four digits.
- `top` above 1, one domain as `target` and the other values of `regression` are additions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.regression import models
from chameleon.methods.regression.mixtures import swarm_mixtures
from chameleon.methods.regression.propose import CANDIDATES, propose
from chameleon.methods.rounds import around, check_rounds, next_round
from chameleon.methods.rows import rows
from chameleon.mixing import (
    Method,
    MethodInputs,
    MethodResult,
    RunInputs,
    RunSpec,
    check_whole,
    named,
    one_of,
    register,
    target,
    whole,
)


@register
class Climb(Method):
    """The mixture of lowest predicted loss after the last round."""

    name = "climb"
    kind = "swarm"
    sees = ("validation losses",)
    cost = "6 K n_s d_s"
    parameters = {
        "rounds": [16, 8, 4],  # runs of each; the paper: 64, 32, 16
        # Optimizer steps of a proxy; None: as many as its scale says, or the scenario's proxy.
        "steps": whole(None, 1),
        "scale": None,  # its scale; None: the scenario's proxy scale
        "target": target(),
        "regression": one_of("lightgbm", models.MODELS),
        "candidates": CANDIDATES,  # simulated mixtures
        "pool": None,  # candidates that a round is drawn from; None: the square of its runs, at least 128
        "top": whole(1, 1),  # mixtures of lowest predicted loss that are averaged
        "folds": whole(8, 2),  # of the cross-validation
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse rounds too that are none, and fewer candidates than are drawn from them."""
        super().check(params, domains, facts)
        rounds = params["rounds"]
        check_rounds("method climb: rounds", rounds)
        check_whole("method climb: candidates", params["candidates"], sum(rounds), most=10_000_000)
        check_whole("method climb: pool", params["pool"], max(rounds[1:], default=1), optional=True)

    def extra_runs(self, domains: Sequence[str], params: Mapping[str, Any], seed: int) -> list[RunSpec]:
        """Return the runs of all rounds; the mixtures of those after the first are open.

        Mixtures are drawn for the domains sorted by name. One domain leaves nothing to choose.
        """
        names, (first, *later) = sorted(domains), params["rounds"]
        if len(names) == 1:
            return []
        drawn = swarm_mixtures(np.ones(len(names)), first, generator(seed, "climb", "mixtures"))
        steps, scale = params["steps"], params["scale"]
        runs = [RunSpec(_run(1, i), named(domains, row), steps, scale) for i, row in enumerate(drawn)]
        for number, count in enumerate(later, 2):
            before = tuple(run.run_id for run in runs)
            runs += [RunSpec(_run(number, i), None, steps, scale, after=before) for i in range(count)]
        return runs

    def run_weights(self, inputs: RunInputs) -> dict[str, float]:
        """Return this run's mixture: every run of a round makes the same draw and takes its own."""
        names, params = sorted(inputs.domains), inputs.params
        number, place = _place(inputs.run.run_id)
        x, y = rows(inputs.earlier, names, params["target"])
        drawn = next_round(
            models.fit(params["regression"], x, y),
            around(len(names), params["candidates"], generator(inputs.seed, "climb", "candidates")),
            x,
            params["rounds"][number - 1],
            params["pool"],
            generator(inputs.seed, "climb", "round", number),
        )
        return named(inputs.domains, drawn[place])

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Fit the last predictor and search.

        `diagnostics` hold `round` and `loss` (nats/token) of every run, and how well the predictor does on
        runs that it was not fitted to: `heldout_spearman` (absent if either side is constant), `heldout_mse`.
        """
        names, params = inputs.names, inputs.params
        if len(names) == 1:
            return inputs.answer([1.0])
        x, y = rows(inputs.runs, names, params["target"])
        losses = y.mean(axis=1)
        model = models.fit(params["regression"], x, y)
        candidates = around(len(names), params["candidates"], generator(inputs.seed, "climb", "candidates"))
        found, predicted = propose(model, candidates, params["top"])
        apart = np.ptp(model.predict(x)) > 0
        chosen = found if apart else x[losses.argmin()] / x[losses.argmin()].sum()
        folds = generator(inputs.seed, "climb", "folds")
        ids = sorted(inputs.runs)
        diagnostics = {
            "regression": model.name if apart else "none: it tells no mixtures apart",
            "target": params["target"],
            "runs": len(x),
            "round": {run: _place(run)[0] for run in ids},
            "loss": dict(zip(ids, losses.tolist(), strict=True)),
            "predicted_loss": predicted,
            "best_measured_loss": float(losses.min()),
            "importance": named(names, model.importance()),
            **models.held_out(params["regression"], x, y, params["folds"], folds),
        }
        return inputs.answer(chosen, diagnostics)


def _run(number: int, place: int) -> str:
    return f"round{number}_{place:03d}"


def _place(run: str) -> tuple[int, int]:
    """Return a run's round, from 1, and its place in it, from 0."""
    number, place = run.removeprefix("round").split("_")
    return int(number), int(place)
