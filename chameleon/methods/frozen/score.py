"""`chameleon score-method NAME`: how well a method foretells real runs, in seconds and without training any.

The mixtures are cut into folds. The method gets the other folds' runs, of one seed, and foretells the loss of
those left out; what it says is held against their loss under the other seeds. So a prediction is never held
against runs that it was fitted to, nor against runs with the same noise. A method that guesses by a single
run of the mixture itself is the noise floor: no law learnt from such runs can be asked to do much better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon.core.errors import UserError, choices
from chameleon.core.seeds import derive, generator
from chameleon.methods.frozen import FrozenSwarm
from chameleon.methods.regression.models import spearman
from chameleon.mixing import registry
from chameleon.mixing.method import Method
from chameleon.mixing.types import MethodInputs, RunResult

#: Draws of the mixtures for an interval, and the share of the mixtures that are called the best.
DRAWS, BEST = 2000, 0.25


@dataclass(frozen=True)
class Measure:
    """What predictions of n mixtures are worth, against their measured losses.

    Attributes:
        spearman: over all; None where one side is constant.
        interval: of it, 95 %, by drawing mixtures with replacement.
        spearman_best: over the best quarter as measured.
        regret: measured loss of the mixture predicted to be best, less the lowest (nats/token).
    """

    spearman: float | None
    interval: tuple[float, float] | None
    spearman_best: float | None
    regret: float


@dataclass(frozen=True)
class Score:
    """A method's measure, averaged over the seeds that it was fitted to, beside the noise floor's.

    Attributes:
        method: its name.
        runs: that it was fitted to at a time.
        measure: of its predictions.
        floor: of a single run of the very mixture; None where every mixture was trained once.
        proposed: the mixture that it proposes, fitted to all runs of the first seed; None where it needs to
            know more than the swarm says.
        nearest: of the measured mixtures, distance (total variation) of that nearest to the proposal, and its
            regret.
    """

    method: str
    runs: int
    measure: Measure
    floor: Measure | None
    proposed: Mapping[str, float] | None
    nearest: tuple[float, float] | None


def foretellers() -> list[str]:
    """Return the names of the methods that can be scored: they foretell losses, from runs alone."""
    found = (registry.get(name) for name in registry.names())
    return [method.name for method in found if method.foretells and not method.requires]


def score(
    swarm: FrozenSwarm, name: str, overrides: Mapping[str, Any], folds: int = 8, seed: int = 0
) -> Score:
    """Score a method.

    Args:
        swarm: real runs.
        name: of a method that foretells.
        overrides: parameters other than its defaults.
        folds: parts of the mixtures, each left out once.
        seed: of the folds, of the method's own draws and of the intervals.

    Raises:
        UserError: a method that foretells nothing, bad parameters, experts that the swarm does not have.
    """
    if folds < 2:
        raise UserError(f"--folds: {folds} is less than 2")
    if name not in foretellers():
        told = choices(name, foretellers())
        raise UserError(f"score-method: methods that foretell losses from runs: {told}")
    method, params = registry.get(name), registry.parameters(name, overrides, f"score-method {name}")
    method.check(params, swarm.domains, {})
    seeds, n = len(swarm.losses), len(swarm.mixtures)
    means = swarm.losses.mean(axis=2)
    parts = np.array_split(generator(seed, "score", "folds").permutation(n), min(folds, n))
    measures, floors = [], []
    for fitted in range(seeds):
        predicted = np.empty(n)
        for part in parts:
            rest = np.setdiff1d(np.arange(n), part)
            asked = {key: run.weights for key, run in swarm.runs(fitted, part).items()}
            inputs = _inputs(swarm, method, params, fitted, rest, seed)
            found = method.foretell(inputs, asked)
            if set(found) != set(asked):
                raise UserError(f"score-method {name}: it foretells nothing with these parameters")
            predicted[part] = [found[key] for key in asked]
        others = [s for s in range(seeds) if s != fitted] or [fitted]
        truth = means[others].mean(axis=0)
        measures.append(measure(predicted, truth, seed))
        if seeds > 1:
            floors.append(measure(means[fitted], truth, seed))
    proposed, nearest = _proposal(swarm, method, params, means.mean(axis=0), seed)
    floor = _mean(floors) if floors else None
    return Score(name, n - len(parts[0]), _mean(measures), floor, proposed, nearest)


def measure(predicted: np.ndarray, truth: np.ndarray, seed: int) -> Measure:
    """Return what predictions (n) are worth against measured losses (n)."""
    best = np.argsort(truth, kind="stable")[: max(3, round(BEST * len(truth)))]
    draws = generator(seed, "score", "bootstrap").integers(len(truth), size=(DRAWS, len(truth)))
    whole, interval = spearman(predicted, truth), None
    if whole is not None:
        low, high = np.nanquantile(_spearmans(predicted[draws], truth[draws]), [0.025, 0.975]).tolist()
        interval = (low, high)
    return Measure(
        whole,
        interval,
        spearman(predicted[best], truth[best]),
        float(truth[predicted.argmin()] - truth.min()),
    )


def _spearmans(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the rank correlation of every row; nan where one side is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (predicted, truth))
    with np.errstate(invalid="ignore"):
        found: np.ndarray = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return found


def _mean(measures: list[Measure]) -> Measure:
    """Return the mean over seeds; bounds are averaged too, as the seeds share their mixtures."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    bounds = [m.interval for m in measures if m.interval is not None]
    low, high = (mean([bound[i] for bound in bounds]) for i in (0, 1))
    return Measure(
        mean([m.spearman for m in measures]),
        None if low is None or high is None else (low, high),
        mean([m.spearman_best for m in measures]),
        sum(m.regret for m in measures) / len(measures),
    )


def _inputs(
    swarm: FrozenSwarm, method: Method, params: Mapping[str, Any], fitted: int, rows: np.ndarray, seed: int
) -> MethodInputs:
    """Return what a method may look at: some runs of one seed, and the experts where it reads such."""
    runs = swarm.runs(fitted, rows)
    read: dict[str, Mapping[str, RunResult]] = {}
    for label in method.reads(params):
        # A method of the swarm's kind stands for whatever has runs on mixtures.
        alone = label in registry.names() and _alone(registry.get(label), swarm.domains)
        if alone and not swarm.experts:
            raise UserError(f"score-method {method.name}: {swarm.name} has no run on a single domain")
        read[label] = swarm.experts if alone else runs
    return MethodInputs(
        swarm.domains, swarm.tokens, params, derive(seed, "score", method.name), swarm.steps,
        runs=runs, read=read, token_budget=swarm.token_budget,
    )  # fmt: skip


def _alone(method: Method, domains: tuple[str, ...]) -> bool:
    """Whether a method's extra runs are one per domain."""
    runs = method.extra_runs(domains, dict(method.defaults), 0)
    return bool(runs) and all(run.weights and max(run.weights.values()) == 1 for run in runs)


def _proposal(
    swarm: FrozenSwarm, method: Method, params: Mapping[str, Any], truth: np.ndarray, seed: int
) -> tuple[dict[str, float] | None, tuple[float, float] | None]:
    if not swarm.token_budget:
        return None, None
    inputs = _inputs(swarm, method, params, 0, np.arange(len(swarm.mixtures)), seed)
    weights = method.weights(inputs).schedule.stages[0].weights
    distances = np.abs(swarm.mixtures - [weights[d] for d in swarm.domains]).sum(axis=1) / 2
    near = int(distances.argmin())
    return dict(weights), (float(distances[near]), float(truth[near] - truth.min()))


def render(swarm: FrozenSwarm, found: Score) -> str:
    """Return the score as lines for a reader."""
    seeds, n = len(swarm.losses), len(swarm.mixtures)
    target = f"loss {swarm.target!r}" if swarm.target else "mean validation loss"
    times = f"each under {seeds} seeds" if seeds > 1 else "each trained once"
    lines = [
        f"{found.method} on {swarm.name}: {n} mixtures of {len(swarm.domains)} domains, {times}; {target}",
        f"fitted to {found.runs} runs of one seed, held against the "
        f"{'other seeds' if seeds > 1 else 'loss'} of mixtures it did not see",
        f"{'':26} {'spearman':>9} {'95 %':>15} {'best quarter':>13} {'regret':>8}",
        _line(found.method, found.measure),
    ]
    if found.floor is not None:
        lines.append(_line("one run of the mixture", found.floor))
    if found.proposed is not None and found.nearest is not None:
        largest = sorted(found.proposed, key=lambda d: -found.proposed[d] if found.proposed else 0.0)
        said = ", ".join(f"{d} {found.proposed[d]:.3f}" for d in largest)
        lines += [
            f"proposed: {said}",
            f"nearest measured: {found.nearest[0]:.3f} away (total variation), regret {found.nearest[1]:.4f}",
        ]
    lines.append("regret: nats/token above the lowest measured loss; best quarter: spearman within it")
    return "\n".join(lines)


def _line(what: str, found: Measure) -> str:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    bounds = "-" if found.interval is None else f"{found.interval[0]:.3f} to {found.interval[1]:.3f}"
    return (
        f"{what:26} {shown(found.spearman):>9} {bounds:>15} {shown(found.spearman_best):>13} "
        f"{found.regret:>8.4f}"
    )
