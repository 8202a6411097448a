"""`python -m chameleon regress`: from a swarm's CSV files to a proposed mixture.

For people who have a swarm already. Reads two CSV files (see `chameleon.methods.regression.tables`) and, if
there are any, two more with runs that the regression must not see. Prints what was left out, the held-out
rank correlation and squared error, and a warning where they are no better than chance; writes into the output
folder `fit.png`, `importance.png`, `regression.json` (what was fitted, on what, how well it predicts),
`proposed_mixture.csv` (weights beside the mean and the maximum of the swarm) and, last,
`proposed_mixture.json` ({domain: weight}, which the method `fixed` takes as its `file`).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import read_json, write_csv, write_json
from chameleon.core.errors import UserError, choices
from chameleon.core.seeds import generator
from chameleon.methods.regression import diverged, mixtures, models
from chameleon.methods.regression.models import HeldOut
from chameleon.methods.regression.propose import propose
from chameleon.methods.regression.tables import Swarm, listed, read_swarm
from chameleon.mixing.parameters import is_number

#: Parts of the cross-validation where there is no test set.
FOLDS = 10
#: Share of the runs beyond which those that seem to have diverged are not left out but refused.
MOST_DIVERGED = 0.25
#: Mixtures whose weights all differ by no more than this are one.
SAME = 1e-6


def regress(
    mixtures_file: Path,
    losses_file: Path,
    target: str,
    out: Path,
    model: str = "lightgbm",
    test_mixtures: Path | None = None,
    test_losses: Path | None = None,
    prior_file: Path | None = None,
    candidates: int = 100_000,
    top: int = 128,
    seed: int = 0,
    keep_diverged: bool = False,
) -> HeldOut:
    """Fit, judge, propose, write, print; return the predictions for what was held out.

    Args:
        mixtures_file, losses_file: CSV files of the swarm to fit.
        target: column of the losses, in full or by its domain. Lower is taken to be better.
        out: folder to write into.
        model: regression, one of `models.MODELS`.
        test_mixtures, test_losses: a test set; without it the swarm is cross-validated.
        prior_file: JSON {domain: share}. Candidates are Dirichlet draws around it, bounded by 15 times it as
            in RegMix. Without it they are drawn around the mean of the swarm and no domain gets more than in
            the run that had most of it (nor, in a narrow swarm, less than in that which had least): the
            regression is not asked about what no run has seen.
        candidates, top: mixtures simulated, and how many of the best are averaged.
        seed: of the simulation and of the folds.
        keep_diverged: fit runs too whose losses look diverged (`chameleon.methods.regression.diverged`).

    Raises:
        UserError: anything wrong with a file, the target, the model or the numbers. Nothing is written then.
    """
    if model not in models.MODELS:
        raise UserError(f"--model: {choices(model, models.MODELS)}")
    if (test_mixtures is None) != (test_losses is None):
        raise UserError("--test-mixtures and --test-losses belong together: give both or none")
    if candidates < 1 or top < 1:
        raise UserError(f"--candidates {candidates} and --top {top}: both must be at least 1")
    if top >= candidates > 1:
        raise UserError(f"--top {top}: the mean of all {candidates} candidates is no search; give fewer")
    swarm = _usable(read_swarm(mixtures_file, losses_file, target), mixtures_file, losses_file, keep_diverged)
    if float(np.ptp(swarm.mixtures, axis=0).max()) <= SAME:
        raise UserError(f"{mixtures_file}: all runs have one mixture: there is nothing to learn from")
    fitted = models.fit(model, swarm.mixtures, swarm.losses)
    if test_mixtures is not None and test_losses is not None:
        test = read_swarm(test_mixtures, test_losses, swarm.target, swarm.domains)
        test = _usable(test, test_mixtures, test_losses, keep_diverged, least=1)
        swarm = replace(swarm, notes=(*swarm.notes, *(f"test set: {note}" for note in test.notes)))
        what = f"{len(test.losses)} runs of {test_mixtures.name}"
        held_out = HeldOut(what, fitted.predict(test.mixtures), test.losses)
    else:
        folds = min(FOLDS, len(swarm.losses))
        predicted = models.cross_validate(
            model, swarm.mixtures, swarm.losses, folds, generator(seed, "regress", "folds")
        )
        held_out = HeldOut(
            f"{folds}-fold cross-validation on the {len(predicted)} runs", predicted, swarm.losses
        )
    prior, least, most = _space(swarm, prior_file)
    draws = generator(seed, "regress", "candidates")
    drawn = mixtures.candidate_mixtures(prior, most, candidates, draws, least=least)
    mixture, expected = propose(fitted, drawn, top)
    _write(Path(out), swarm, fitted, held_out, mixture, expected, len(drawn), top)
    _say(swarm, model, held_out, mixture, expected)
    return held_out


def _usable(swarm: Swarm, mixtures_file: Path, losses_file: Path, keep: bool, least: int = 3) -> Swarm:
    """Return the swarm without the runs that diverged, and with a note on each that did or may have.

    Raises:
        UserError: so many diverged that the others cannot be told from them, or too few runs are left.
    """
    found = diverged.find(swarm.mixtures, swarm.losses)
    far = f"far from the median of {found.median:.4g}"
    if found.rows and not keep:
        which = f"{_losses(swarm, found.rows)}: {far}"
        if len(found.rows) > MOST_DIVERGED * len(swarm.losses):
            raise UserError(
                f"{losses_file}: {which}: {len(found.rows)} of {len(swarm.losses)} runs seem to have diverged"
                f" in {swarm.target!r}; take them out of the file, or give --keep-diverged"
            )
        what = "which the mixture does not explain: it seems to have diverged (--keep-diverged fits it)"
        swarm = swarm.without(found.rows, f"left out: {which}, {what}")
    elif found.doubtful:
        kept = f"kept: {_losses(swarm, found.doubtful)}: {far}, but no other run has a like mixture"
        swarm = replace(swarm, notes=(*swarm.notes, f"{kept}; take it out if it diverged"))
    if len(swarm.losses) < least:
        needs = "a regression needs at least three" if least == 3 else "none is left to predict"
        raise UserError(f"{mixtures_file}: {len(swarm.losses)} usable runs; {needs}")
    return swarm


def _losses(swarm: Swarm, rows: Sequence[int]) -> str:
    return listed([f"{swarm.runs[i]} (loss {swarm.losses[i]:.6g})" for i in rows])


def _space(swarm: Swarm, prior_file: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the prior of the candidates and their lower and upper bounds, in the swarm's order."""
    if prior_file is None:
        mean, most = swarm.mixtures.mean(axis=0), swarm.mixtures.max(axis=0)
        # Rounded rows may miss the sum of one a little; the bounds must let it through.
        least = swarm.mixtures.min(axis=0) / max(1.0, swarm.mixtures.sum(axis=1).max())
        return mean / mean.sum(), least, most / min(1.0, most.sum())
    given = read_json(prior_file)
    if not isinstance(given, dict) or set(given) != set(swarm.domains):
        raise UserError(
            f"{prior_file}: expected a JSON object with a share for each of {', '.join(swarm.domains)}"
        )
    for domain, share in given.items():
        if not is_number(share, above=0):
            raise UserError(f"{prior_file}: {domain}: {share!r} is not a positive share")
    prior = np.array([float(given[d]) for d in swarm.domains])
    return prior / prior.sum(), np.zeros(len(prior)), mixtures.upper_bounds(prior)


def _say(swarm: Swarm, model: str, held_out: HeldOut, mixture: np.ndarray, expected: float) -> None:
    rho, doubt = held_out.spearman, held_out.doubt
    print(f"target: {swarm.target}")
    for note in swarm.notes:
        print(note)
    print(f"fitted: {model} on {len(swarm.losses)} runs, {len(swarm.domains)} domains")
    print(f"held out: {held_out.what}")
    print("spearman: undefined, one side is constant" if rho is None else f"spearman: {rho:.4f}")
    print(f"mse: {held_out.mse:.6g}")
    order = np.argsort(-mixture, kind="stable")[:5]
    print("proposed: " + ", ".join(f"{swarm.domains[i]} {mixture[i]:.3f}" for i in order)
          + (", ..." if len(swarm.domains) > len(order) else ""))  # fmt: skip
    print(f"predicted loss: {expected:.4f} (the swarm's runs: {swarm.losses.min():.4f} at best)")
    if doubt:
        print(f"warning: the regression does not predict: {doubt}; the proposal is a guess")
        print(f"warning: {swarm.hint or 'are mixtures and losses of the same run joined?'}")


def _write(
    out: Path,
    swarm: Swarm,
    fitted: models.Regression,
    held_out: HeldOut,
    mixture: np.ndarray,
    expected: float,
    candidates: int,
    top: int,
) -> None:
    import pandas as pd

    from chameleon.methods.regression import plots

    weights = dict(zip(swarm.domains, mixture.tolist(), strict=True))
    importance = fitted.importance()
    record: dict[str, Any] = {
        "target": swarm.target,
        "model": fitted.name,
        "parameters": fitted.parameters,
        "runs": len(swarm.losses),
        "left_out": swarm.left_out,
        "notes": list(swarm.notes),
        "held_out": held_out.what,
        "spearman": held_out.spearman,
        "mse": held_out.mse,
        "doubt": held_out.doubt,
        "candidates": candidates,
        "top": min(top, candidates),
        "predicted_loss": expected,
        "importance": dict(zip(swarm.domains, importance.tolist(), strict=True)),
    }
    for name in ("mse", "predicted_loss"):
        if not math.isfinite(record[name]):
            raise UserError(f"{swarm.target}: {name} is {record[name]}: the losses are too large to fit")
    effects = models.effects(fitted, swarm.mixtures)
    plots.draw_fit(out / "fit.png", swarm.target, fitted.name, held_out)
    plots.draw_importance(out / "importance.png", swarm, fitted.name, importance, effects)
    write_json(out / "regression.json", record)
    means, most = [column.mean() for column in swarm.mixtures.T], swarm.mixtures.max(axis=0)
    beside = {"domain": swarm.domains, "weight": mixture, "swarm_mean": means, "swarm_max": most}
    write_csv(out / "proposed_mixture.csv", pd.DataFrame(beside))
    write_json(out / "proposed_mixture.json", weights)
