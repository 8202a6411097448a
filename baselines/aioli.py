"""Aioli: measures during base training which domain lowers which validation loss, and mixes accordingly.

Chen et al., "Aioli: a unified optimization framework for language model data mixing" (2025, arXiv
2411.05735). The run is cut into rounds. Each begins with LearnParams: short probes on mixtures that lean on
one domain each, with the validation losses measured between them; the drops β of domain i's loss on probe j
give A from β_i = P A_i (P: the probes' mixtures), the matrix of the linear law L_i ← L_i − Σ_j A_ij p_j. Then
p ∝ exp(η Σ_i A_ij) until the next round. Probes are real training steps, so no extra run is needed; the price
is validation passes, in (1 + k · lp_rounds) per round, counted with the base run.

Needs nothing before base training, unless `prior` names a method on whose weights the run starts (the paper's
restricted setting).

Known differences from the paper:
- The settings of short runs are ours; the paper's stand at the class. A run of 5,000 steps and more, the
  paper's shortest, updates every 250 steps as the paper does, and probes take at most .29 of a round, the
  largest δ it states (its seven-domain script has .70). A shorter run probes for at most .15 of its steps, as
  it does not win back what steps on one domain lose. Probes get shorter where they would take more, and
  rounds fewer where probes would get shorter than `lp_steps`. A run too short to probe keeps its start.
- With `ema`, the default, every round starts again from uniform, as in its code. The paper's exponentiated
  gradient p_j ∝ p_j exp(η Σ_i A_ij) goes on from the last mixture, which is what `ema: null` does.
- `prior_in_update: true` is an addition: updates start from the prior. By default the prior plays no part in
  them, as in its code.

Known differences from its code:
- The run plays a tenth of its steps on the start before the first round (`prior_steps`), in its code only
  with a prior: the first steps lower every loss so steeply that the first probe of a sweep would look best.
- A is solved with the mixtures really drawn (`played`), its code's with those asked for. Its batches hold at
  least one block of every domain, so that with 7 domains they are not what the solve takes them for; here the
  sampler's blocks are those that the weights say. `played: false` solves as its code does.
- The solve is by least squares: the same where P has full rank, the smallest where a cap made probes alike.
- A validation pass reads the first `controller_tokens` tokens of a domain's split, its code's the whole one.
- A round of `update_steps` that is too short to probe is lengthened; a rest goes to the last round.
"""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon.core.seeds import generator
from chameleon.methods.reweighting.segments import start
from chameleon.mixing import (
    Controller,
    Method,
    MethodInputs,
    MethodResult,
    ScriptedController,
    Segment,
    TrainingState,
    UserError,
    flag,
    is_number,
    number,
    register,
    weights_of,
    whole,
)

#: Steps of the paper's shortest run (from here on a run is long), and its `update_steps` there.
PAPER_STEPS, PAPER_UPDATE = 5000, 250
#: Most that probes take of a round (δ in the paper, .13 to .29 there), and of a run shorter than the paper's.
PAPER_PROBING, SHORT_PROBING = 0.29, 0.15


def probe_mixtures(k: int, one_hot_factor: float) -> np.ndarray:
    """Return P (k x k, rows on the simplex): row j has the factor on domain j, equal parts elsewhere.

    The paper's ε is (1 − f)·k/(k − 1). One domain has no probes.
    """
    off = (1 - one_hot_factor) / (k - 1)
    return np.full((k, k), off) + (one_hot_factor - off) * np.eye(k)


def solve_law(drops: np.ndarray, mixtures: np.ndarray, diagonal: bool = False) -> np.ndarray:
    """Return A (k x k) of the linear law: drops[i, j] = Σ_l A[i, l] · mixtures[j, l].

    Args:
        drops: β; drop of domain i's validation loss (nats/token) while training on probe j.
        mixtures: P; row j is the mixture of probe j.
        diagonal: keep only A_ii = β_ii / P_ii.
    """
    if diagonal:
        return np.diag(np.diag(drops) / np.diag(mixtures))
    return np.linalg.lstsq(mixtures, drops.T, rcond=None)[0].T


def normalised(law: np.ndarray) -> np.ndarray:
    """Return A shifted to be non-negative, then divided by its sum; equal entries if nothing is left."""
    shifted = law - min(float(law.min()), 0.0)
    total = float(shifted.sum())
    return shifted / total if total > 0 else np.full_like(law, 1 / law.size)


def moving_average(old: np.ndarray | None, new: np.ndarray, ema: float | None) -> np.ndarray:
    """Return (1 − ema)·new + ema·old; `new` itself in the first round or without averaging."""
    return new if old is None or ema is None else (1 - ema) * new + ema * old


def exponentiated(base: np.ndarray, law: np.ndarray, eta: float) -> np.ndarray:
    """Return p_j ∝ base_j · exp(η Σ_i A_ij)."""
    logits = eta * law.sum(axis=0)
    weights = base * np.exp(logits - logits.max())
    return weights / weights.sum()


@dataclass(frozen=True)
class Plan:
    """How a run is cut: `start` steps on the starting mixture, then one round per entry of `rounds` (steps).

    `lp_steps` is the length of a probe; 0: the run is too short to probe at all.
    """

    start: int
    rounds: tuple[int, ...]
    lp_steps: int


def plan(total_steps: int, k: int, params: Mapping[str, Any]) -> Plan:
    """Return the rounds of a run of `total_steps` steps over k domains; their steps sum to `total_steps`."""
    first = total_steps // 10 if params["prior_steps"] is None else int(params["prior_steps"])
    first = min(first, total_steps)
    left, probes = total_steps - first, k * params["lp_rounds"]
    long = total_steps >= PAPER_STEPS
    share = params["most_probing"] or (PAPER_PROBING if long else SHORT_PROBING)
    shortest = math.ceil(probes / share)
    if k == 1 or left < shortest:
        return Plan(first, (left,) if left else (), 0)
    update = params["update_steps"] or (PAPER_UPDATE if long else None)
    if update is None:
        # Rather few rounds with whole probes than many with probes of a step or two.
        whole = int(left * share) // (probes * params["lp_steps"])
        count = max(1, min(params["validation_passes"] // (1 + probes), whole))
        ends = [first + left * (i + 1) // count for i in range(count)]
    else:
        # A round shorter than it takes to probe would be all measurement; a rest goes to the last round.
        length = max(update, shortest)
        count = max(1, left // length)
        ends = [first + length * (i + 1) for i in range(count - 1)] + [total_steps]
    rounds = tuple(int(b - a) for a, b in zip([first, *ends], ends, strict=False))
    most = int(min(rounds) * share) // probes
    return Plan(first, rounds, min(int(params["lp_steps"]), most))


@register
class Aioli(Method):
    """Online; with `prior` on top of another method's weights, else from uniform ones.

    The paper's settings (160M parameters; 5,000 steps for 2 and 3 domains, 40,000 for 7) for A/SE, A/B/SE
    and all of SlimPajama: eta 0.2, 0.1, 1; ema 0.1, 0.5, 0.1; update_steps 250, 250, 200; lp_rounds 4, 4, 2;
    lp_steps 4, 6, 10; one_hot_factor 0.625, 0.5, 0.75. The defaults keep eta, ema and factor of its seven
    domains; 8 steps a probe are 64 blocks at the default batch, the smallest share of 7 domains 2 or 3.

    With `ema` every round restarts from uniform and A sums to one: no two weights differ by more than the
    factor e^eta, and with many domains the mixture stays near uniform. That is the reference's behaviour.
    """

    name = "aioli"
    version = 2
    kind = "online"
    sees = ("validation losses",)
    cost = "2 N v a pass, k + 1 passes a round"
    online = True
    where = "method_params.aioli."
    parameters = {
        "eta": number(1.0, above=0, most=700),
        # Part of the old A in the average; None: none, and weights accumulate over rounds.
        "ema": number(0.1, least=0, below=1, optional=True),
        # Steps of a round; None: 250 in a long run, else as `validation_passes` and `most_probing` allow.
        "update_steps": whole(None, 1),
        "validation_passes": whole(32, 1),
        # Part of a round; None: .29 in a long run (5,000 steps), else .15.
        "most_probing": number(None, above=0, most=1),
        "lp_rounds": whole(1, 1),  # sweeps over the probes per round
        "lp_steps": whole(8, 1),  # training steps per probe
        "one_hot_factor": 0.75,  # share of the favoured domain in its probe, above 1/k
        "normalise": flag(True),
        "diagonal": flag(False),  # only what a domain does to its own loss
        # Solve with the counts really drawn; False: the asked mixtures, as in the reference.
        "played": flag(True),
        "prior": weights_of(optional=True),  # the run starts on that method's weights; None: on uniform ones
        "prior_steps": whole(None, 0),  # static steps first; None: a tenth of the run
        "prior_in_update": flag(False),  # True: updates start from the prior
    }

    def check(self, params: Mapping[str, Any], domains: tuple[str, ...], facts: Mapping[str, Any]) -> None:
        """Refuse a factor too by which the probes would not differ."""
        super().check(params, domains, facts)
        k, factor = len(domains), params["one_hot_factor"]
        if k > 1 and not is_number(factor, above=1 / k, most=1):
            wanted = f"a number above 1/{k} and at most 1: the probes of {k} domains must differ"
            raise UserError(f"method_params.aioli.one_hot_factor: {factor!r} is not {wanted}")

    def weights(self, inputs: MethodInputs) -> MethodResult:
        """Return where the run starts; how it will be cut and what it will measure as diagnostics."""
        params = {**self.defaults, **inputs.params}
        k = len(inputs.domains)
        cut = plan(inputs.total_steps, k, params)
        probes = k * params["lp_rounds"] if cut.lp_steps else 0
        diagnostics = {
            "prior_steps": cut.start,
            "rounds": list(cut.rounds),
            "lp_steps": cut.lp_steps,
            "probe_share_of_rounds": probes * cut.lp_steps * len(cut.rounds) / max(1, sum(cut.rounds)),
            "validation_passes": len(cut.rounds) * (1 + probes) if probes else 0,
        }
        return inputs.answer(start(inputs), diagnostics)

    def controller(self, inputs: MethodInputs) -> Controller:
        return AioliController(inputs, {**self.defaults, **inputs.params})


class AioliController(ScriptedController):
    """Plays one run. `history` holds, per round, what was measured (arrays in the order of the domains)."""

    def __init__(self, inputs: MethodInputs, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.inputs, self.params = inputs, params
        self.history: list[dict[str, np.ndarray]] = []

    def script(self, state: TrainingState) -> Generator[Segment, TrainingState, None]:
        """Yield the probes of a round, then the steps until the next."""
        params, domains = self.params, state.domains
        cut = plan(state.total_steps, len(domains), params)
        given = dict(self.inputs.start or start(self.inputs))
        begin = np.array([given[d] for d in domains])
        uniform = np.full(len(domains), 1 / len(domains))
        base = begin if params["prior_in_update"] else uniform
        weights, average = begin, None
        if cut.start:
            state = yield cut.start, given
        for at, length in enumerate(cut.rounds):
            if not cut.lp_steps:
                state = yield length, given
                continue
            drops, mixtures, state = yield from self._learn_params(state, at, cut.lp_steps)
            law = solve_law(drops, mixtures, params["diagonal"])
            if params["normalise"]:
                law = normalised(law)
            average = moving_average(average, law, params["ema"])
            # With an average every round starts afresh; without one, the weights accumulate.
            weights = exponentiated(base, average, params["eta"])
            if params["ema"] is None:
                base = weights
            self.history.append(
                {"drops": drops, "mixtures": mixtures, "law": law, "average": average, "weights": weights}
            )
            rest = length - cut.lp_steps * params["lp_rounds"] * len(domains)
            state = yield rest, _named(domains, weights)

    def _learn_params(
        self, state: TrainingState, at: int, steps: int
    ) -> Generator[Segment, TrainingState, tuple[np.ndarray, np.ndarray, TrainingState]]:
        """Play the sweeps of one round; return drops (β), the probes' mixtures, and the state after them."""
        params, domains = self.params, state.domains
        asked = probe_mixtures(len(domains), params["one_hot_factor"])
        mixtures, drops = np.zeros_like(asked), np.zeros_like(asked)
        # By name, so that the order in which the domains are listed does not matter.
        names = sorted(domains)
        before = _values(domains, state.validation_losses())
        for sweep in range(params["lp_rounds"]):
            order = generator(self.inputs.seed, "sweep", at, sweep).permutation(len(names))
            for j in (domains.index(names[i]) for i in order):
                state = yield steps, _named(domains, asked[j])
                after = _values(domains, state.validation_losses())
                drops[:, j] += (before - after) / params["lp_rounds"]
                drawn = _values(domains, state.realised)
                played = drawn / drawn.sum() if params["played"] else asked[j]
                # The law is linear in p, so drops averaged over sweeps belong to averaged mixtures.
                mixtures[j] += played / params["lp_rounds"]
                before = after
        return drops, mixtures, state


def _values(domains: tuple[str, ...], by_name: Mapping[str, float]) -> np.ndarray:
    return np.array([by_name[d] for d in domains], dtype=np.float64)


def _named(domains: tuple[str, ...], weights: np.ndarray) -> dict[str, float]:
    return {d: float(w) for d, w in zip(domains, weights / weights.sum(), strict=True)}
