"""`python -m chameleon regress`: from a swarm's CSV files to a proposed mixture.

For people who have a swarm already. Reads two CSV files (see `chameleon.methods.regression.tables`) and, if
there are any, two more with runs that the regression must not see. Prints the held-out rank correlation and
squared error; writes into the output folder proposed_mixture.json   {domain: weight}, which the method
`fixed` takes as its `file` proposed_mixture.csv    the same beside the mean and the maximum of the swarm
regression.json         what was fitted, on what, how well it predicts fit.png, importance.png
"""

import csv
import io
from pathlib import Path

import numpy as np

from chameleon.core.artifacts import read_json, write_json, write_text
from chameleon.core.errors import UserError, choices
from chameleon.core.seeds import generator
from chameleon.methods.regression import mixtures, models
from chameleon.methods.regression.held_out import HeldOut
from chameleon.methods.regression.propose import Proposal, propose
from chameleon.methods.regression.tables import Swarm, read_swarm
from chameleon.mixing.parameters import is_number

#: Parts of the cross-validation where there is no test set.
FOLDS = 10


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
) -> HeldOut:
    """Fit, judge, propose, print, write; return the predictions for what was held out.

    Args:
        mixtures_file, losses_file: CSV files of the swarm to fit.
        target: column of the losses, in full or by its domain. Lower is taken to be better.
        out: folder to write into.
        model: regression, one of `models.MODELS`.
        test_mixtures, test_losses: a test set; without it the swarm is cross-validated.
        prior_file: JSON {domain: share}. Candidates are Dirichlet draws around it, bounded by 15 times it as
            in RegMix. Without it they are drawn around the mean of the swarm and no domain gets more than in
            the run that had most of it: the regression is not asked about what no run has seen.
        candidates, top: mixtures simulated, and how many of the best are averaged.
        seed: of the simulation and of the folds.

    Raises:
        UserError: anything wrong with a file, the target, the model or the numbers.
    """
    if model not in models.MODELS:
        raise UserError(f"--model: {choices(model, models.MODELS)}")
    if (test_mixtures is None) != (test_losses is None):
        raise UserError("--test-mixtures and --test-losses belong together: give both or none")
    if candidates < 1 or top < 1:
        raise UserError(f"--candidates {candidates} and --top {top}: both must be at least 1")
    swarm = read_swarm(mixtures_file, losses_file, target)
    if len(swarm.losses) < 3:
        raise UserError(
            f"{mixtures_file}: {len(swarm.losses)} usable runs; a regression needs at least three"
        )
    fitted = models.fit(model, swarm.mixtures, swarm.losses)
    if test_mixtures is not None and test_losses is not None:
        test = read_swarm(test_mixtures, test_losses, swarm.target, swarm.domains)
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
    prior, bounds = _space(swarm, prior_file)
    drawn = mixtures.candidate_mixtures(prior, bounds, candidates, generator(seed, "regress", "candidates"))
    found = propose(fitted, drawn, top)
    _say(swarm, model, held_out, found)
    _write(Path(out), swarm, fitted, held_out, found, len(drawn), top)
    return held_out


def _space(swarm: Swarm, prior_file: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the prior of the candidates and their upper bounds, in the swarm's order."""
    if prior_file is None:
        mean, most = swarm.mixtures.mean(axis=0), swarm.mixtures.max(axis=0)
        return mean / mean.sum(), most
    given = read_json(prior_file)
    if not isinstance(given, dict) or set(given) != set(swarm.domains):
        raise UserError(
            f"{prior_file}: expected a JSON object with a share for each of {', '.join(swarm.domains)}"
        )
    for domain, share in given.items():
        if not is_number(share, above=0):
            raise UserError(f"{prior_file}: {domain}: {share!r} is not a positive share")
    prior = np.array([float(given[d]) for d in swarm.domains])
    return prior / prior.sum(), mixtures.upper_bounds(prior)


def _say(swarm: Swarm, model: str, held_out: HeldOut, found: Proposal) -> None:
    rho = held_out.spearman
    print(f"target: {swarm.target}")
    print(f"fitted: {model} on {len(swarm.losses)} runs, {len(swarm.domains)} domains")
    if swarm.left_out:
        print(f"left out: {swarm.left_out} runs that are not in both files or have no number for the target")
    print(f"held out: {held_out.what}")
    print("spearman: undefined, one side is constant" if rho is None else f"spearman: {rho:.4f}")
    print(f"mse: {held_out.mse:.6g}")
    order = np.argsort(-found.mixture, kind="stable")[:5]
    print("proposed: " + ", ".join(f"{swarm.domains[i]} {found.mixture[i]:.3f}" for i in order)
          + (", ..." if len(swarm.domains) > len(order) else ""))  # fmt: skip
    print(f"predicted loss: {found.predicted:.4f} (the swarm's runs: {swarm.losses.min():.4f} at best)")


def _write(
    out: Path,
    swarm: Swarm,
    fitted: models.Regression,
    held_out: HeldOut,
    found: Proposal,
    candidates: int,
    top: int,
) -> None:
    from chameleon.methods.regression import plots

    weights = dict(zip(swarm.domains, found.mixture.tolist(), strict=True))
    write_json(out / "proposed_mixture.json", weights)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["domain", "weight", "swarm_mean", "swarm_max"])
    for i, domain in enumerate(swarm.domains):
        column = swarm.mixtures[:, i]
        writer.writerow([domain, weights[domain], float(column.mean()), float(column.max())])
    write_text(out / "proposed_mixture.csv", text.getvalue())
    importance = fitted.importance()
    write_json(
        out / "regression.json",
        {
            "target": swarm.target,
            "model": fitted.name,
            "parameters": fitted.parameters,
            "runs": len(swarm.losses),
            "left_out": swarm.left_out,
            "held_out": held_out.what,
            "spearman": held_out.spearman,
            "mse": held_out.mse,
            "candidates": candidates,
            "top": min(top, candidates),
            "predicted_loss": found.predicted,
            "importance": dict(zip(swarm.domains, importance.tolist(), strict=True)),
        },
    )
    plots.draw_fit(out / "fit.png", swarm.target, fitted.name, held_out)
    effects = models.effects(fitted, swarm.mixtures)
    plots.draw_importance(out / "importance.png", swarm, fitted.name, importance, effects)
