"""What UtiliMax and Skill-It make of one run per domain ("experts"), and UtiliMax's and MEDU's problem.

`baselines/utilimax.py`, `medu.py` and `skill_it.py` say what is looked at. Pure functions of arrays whose
rows and columns are the domains in one order, the callers' sorted names; import no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon.core.errors import UserError
from chameleon.methods import capped
from chameleon.mixing import MethodInputs, MethodResult, RunResult, number

#: Rounds the tip of the norm's cone off, where it has no gradient; moves the objective by no more than this.
SMOOTHING = 1e-7
#: A start whose answer may be above the minimum by more than this is followed by another; the most that the
#: best may be above it. Both in multiples of the risk's factor where that is above one.
ENOUGH, MOST = 1e-6, 1e-4
#: What a portfolio is asked for with.
PARAMETERS: dict[str, Any] = {
    "risk": number(1.0, least=0, most=1000),  # factor of k · ‖w‖₂² (unverified); 0: no such term
    # Passes over a domain's train split (the paper's value is unknown).
    "max_epochs": number(4.0, above=0),
}
#: A weight this close to its cap counts as capped; caps that miss a sum of one by less miss it by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Portfolio:
    """A mixture of least objective.

    Attributes:
        weights: k, on the simplex, none above its cap.
        distance: ‖wᵀU − 1‖₂.
        objective: the distance plus the risk.
        gap: proven bound on how far `objective` lies above its minimum.
    """

    weights: np.ndarray
    distance: float
    objective: float
    gap: float


def expert_losses(runs: Mapping[str, RunResult], names: list[str], where: str) -> np.ndarray:
    """Return L (k x k, nats/token): row i the losses, on every domain, of the run trained on domain i alone.

    Several runs on the same domain alone are averaged; runs on mixtures are left out.

    Args:
        runs: results by run id.
        names: k domains, which give the order of rows and columns.
        where: the parameter that chose the runs, as the user would write it, and its value.

    Raises:
        UserError: a domain without a run of its own.
    """
    rows = []
    for name in names:
        alone = [runs[key] for key in sorted(runs) if runs[key].weights.get(name) == 1]
        if not alone:
            raise UserError(f"{where} has no run on {name} alone; name a method such as single_domain")
        rows.append([math.fsum(run.losses[d] for run in alone) / len(alone) for d in names])
    return np.array(rows, dtype=np.float64)


def utilities(losses: np.ndarray) -> np.ndarray:
    """Return U (k x tasks, in [0, 1]): (worst_j − L_ij) / (worst_j − best_j), by columns.

    The best expert of a task has 1, the worst 0. A task on which all are alike has 1 throughout: it is served
    whatever the mixture, and plays no part.
    """
    best, worst = losses.min(axis=0), losses.max(axis=0)
    differ = worst > best
    return np.where(differ, (worst - losses) / np.where(differ, worst - best, 1.0), 1.0)


def invest(utility: np.ndarray, caps: np.ndarray, risk: float) -> Portfolio:
    """Minimise ‖wᵀU − 1‖₂ + risk · ‖w‖₂² over the simplex with 0 ≤ w ≤ caps.

    The problem is convex, so that SLSQP's answer is held against a lower bound of the minimum: the
    objective's tangent at w is nowhere above the objective, and its minimum over the mixtures is found by
    filling up the domains in the order of their gradients. Without risk several mixtures may be best; the one
    found from the mixture nearest to uniform is taken, where domains that are alike weigh alike.

    Args:
        utility: U, k x tasks.
        caps: k numbers of at most one that sum to at least one.
        risk: factor of the squared norm, at least 0.

    Raises:
        ArithmeticError: no start came within MOST of the bound.
    """
    k, best, scale = len(caps), None, max(1.0, risk)
    even = capped.project(np.full(k, 1 / k), caps)
    starts = [even, *(capped.project(0.5 * even + 0.5 * corner, caps) for corner in np.eye(k))]
    for start in starts:
        found = _descend(utility, caps, risk, start)
        if best is None or found.gap < best.gap:
            best = found
        if best.gap <= ENOUGH * scale:
            break
    assert best is not None
    if best.gap > MOST * scale:
        raise ArithmeticError(f"the mixture found may lie {best.gap:.2g} above the least objective")
    return best


def _descend(utility: np.ndarray, caps: np.ndarray, risk: float, start: np.ndarray) -> Portfolio:
    scale = max(1.0, risk)

    def value_and_slope(w: np.ndarray) -> tuple[float, np.ndarray]:
        short = w @ utility - 1
        if not risk:  # half the squared distance has the same minimiser and a gradient everywhere
            return 0.5 * float(short @ short), utility @ short
        norm = math.sqrt(float(short @ short) + SMOOTHING**2)
        value, slope = norm + risk * float(w @ w), utility @ short / norm + 2 * risk * w
        return value / scale, slope / scale

    weights = capped.descend(value_and_slope, start, caps, 1e-16)
    slope = scale * value_and_slope(weights)[1]
    gap = capped.gap(weights, slope, caps)
    distance = float(np.linalg.norm(weights @ utility - 1))
    if risk:
        gap += SMOOTHING
    else:
        gap = distance - math.sqrt(max(0.0, distance**2 - 2 * gap))
    return Portfolio(weights, distance, distance + risk * float(weights @ weights), gap)


def portfolio(inputs: MethodInputs, utility: np.ndarray, tasks: Sequence[str], method: str) -> MethodResult:
    """Return the mixture of least distance from full utility; MEDU's too.

    Diagnostics: `utility` (domain -> task -> U_ij), `distance` ‖wᵀU − 1‖₂, `objective`, `gap` (how far the
    objective may lie above its minimum) and `capped`, the domains at their cap.

    Args:
        inputs: the method's, whose parameters have `risk` and `max_epochs`.
        utility: U, k x tasks, rows in the order of `inputs.names`.
        tasks: their names.
        method: whose parameters they are, for complaints.
    """
    names, caps = inputs.names, _caps(inputs, method)
    found = invest(utility, caps, inputs.params["risk"] * len(names))
    at_cap = (caps < 1) & (found.weights >= caps * (1 - ROUNDING))
    diagnostics = {
        "utility": {
            d: dict(zip(tasks, row, strict=True)) for d, row in zip(names, utility.tolist(), strict=True)
        },
        "distance": found.distance,
        "objective": found.objective,
        "gap": found.gap,
        "capped": [name for name, full in zip(names, at_cap, strict=True) if full],
    }
    return inputs.answer(found.weights, diagnostics)


def _caps(inputs: MethodInputs, method: str) -> np.ndarray:
    """Return the domains' largest weights (k); they leave at least one mixture."""
    budget, epochs = inputs.token_budget, inputs.params["max_epochs"]
    if budget <= 0:
        raise ValueError(f"{method} needs the base run's token budget, got {budget!r}")
    tokens = inputs.counted(method)
    counts = np.array([tokens[d] for d in inputs.names], dtype=np.float64)
    caps = capped.epoch_caps(counts, budget, epochs)
    if caps.sum() < 1 - ROUNDING:
        held, least = int(counts.sum()), math.ceil(1e3 * budget / counts.sum()) / 1e3
        raise UserError(
            f"method {method}: max_epochs: {epochs:g} passes over {held} train tokens are less than the base "
            f"run's {budget} tokens; valid: at least {least:g}"
        )
    return caps if caps.sum() >= 1 else caps / caps.sum()
