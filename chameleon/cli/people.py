"""The commands for people, each with an example in its help."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from chameleon.cli.commands import Command

if TYPE_CHECKING:
    from chameleon.mixing.method import Method


def methods() -> None:
    """List the registered mixing methods: kind, what they need, what they see, what they cost."""
    from chameleon.mixing import registry
    from chameleon.mixing.types import KINDS

    found = sorted((registry.get(name) for name in registry.names()), key=lambda m: KINDS.index(m.kind))
    rows = [("method", "kind", "needs", "sees", "cost in FLOPs"), *(_told(method) for method in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[4]]))
    print(
        "\nCost beyond the base run. n, d: parameters and tokens of a proxy; n_s, d_s: of a small run, K of"
        "\nthem or one per domain (k); N: parameters of the base model; v: tokens of a validation pass; w: of"
        "\nall windows."
        "\nNo method sees a test split or a downstream item; what MEDU's ratings are of is for you to say."
    )


def _told(method: "Method") -> tuple[str, str, str, str, str]:
    """Return what a line says of a method; runs are asked for as if there were two domains."""
    params = dict(method.defaults)
    needs = sorted(method.requires)
    needs += [f"runs of {label}" for label in method.reads(params)]
    needs += [f"weights of {label or '(of)'}" for label in method.uses(params)]
    needs += [f"base run of {label or '(of)'}" for label in method.follows(params)]
    needs += ["runs of its own"] if method.extra_runs(("a", "b"), params, 0) else []
    return method.name, method.kind, ", ".join(needs) or "-", ", ".join(method.sees) or "-", method.cost


_COMPLETE = "a complete config, and any that are laid over it"


def check(*, configfile: Annotated[Sequence[Path], _COMPLETE] = (Path("config.yaml"),)) -> None:
    """Check a config, or several laid over each other, and say what it runs."""
    from chameleon.experiment.load import load_files

    cfg = load_files(configfile)
    for scenario in cfg.scenarios:
        print(f"{scenario}: {len(cfg.domains(scenario))} domains, methods {', '.join(cfg.methods(scenario))}")


def plan(
    *,
    configfile: Annotated[Sequence[Path], "configs laid over config.yaml"] = (),
    cores: Annotated[int | None, "cores in all (default: this machine's)"] = None,
    devices: Annotated[int, "accelerators in all, where the config asks for any"] = 1,
    device_flops: Annotated[float | None, "operations per second of one job"] = None,
    measure: Annotated[bool, "try real training steps on this machine first"] = False,
    wait: Annotated[float, "minutes that a cluster's queue keeps a job"] = 0.0,
    preempted: Annotated[float, "how often an hour a running job is ended"] = 0.0,
    start: Annotated[float | None, "seconds on a node before a job's command begins"] = None,
) -> None:
    """Print what an experiment costs before anything runs: jobs, tokens, FLOPs, disk, hours."""
    from chameleon.experiment.load import load_over
    from chameleon.pricing import report
    from chameleon.pricing.schedule import LIMIT, LOOK, START, Queue

    cfg = load_over(configfile)
    cores = cores or os.cpu_count() or 1
    saved = 60 * ((cfg.raw.get("states") or {}).get("minutes") or Queue.saved / 60)
    taken = START if start is None else start
    asked = wait or preempted or start is not None
    queue = Queue(60 * wait, preempted, saved, taken, LOOK, LIMIT) if asked else None
    jobs, durations, speed = report.make(cfg, cores, devices, device_flops, measure, here=queue is None)
    print(report.render(cfg, jobs, durations, speed, cores, devices, queue))


def regress(
    *,
    mixtures: Annotated[Path, "CSV with a row of weights per run"],
    losses: Annotated[Path, "CSV with a row of losses per run"],
    test_mixtures: Annotated[Path | None, "CSV of runs that the fit does not see"] = None,
    test_losses: Annotated[Path | None, "CSV of their losses"] = None,
    target: Annotated[str, "column of the losses, in full or by its domain"],
    model: Annotated[str, "lightgbm (default), linear, log_linear or olmix"] = "lightgbm",
    prior: Annotated[Path | None, "JSON {domain: share} to search around (default: mean)"] = None,
    candidates: Annotated[int, "mixtures to simulate (default 100000)"] = 100_000,
    top: Annotated[int, "candidates to average (default 128)"] = 128,
    seed: Annotated[int, "of the simulation and the folds (default 0)"] = 0,
    keep_diverged: Annotated[bool, "also fit runs whose losses lie far from the others"] = False,
    out: Annotated[Path, "folder to write"],
) -> None:
    """Learn mixture -> loss from a swarm's CSV files and propose a mixture."""
    from chameleon.methods.regression.command import regress as work

    work(mixtures, losses, target, out, model, test_mixtures, test_losses, prior, candidates, top, seed,
         keep_diverged)  # fmt: skip


def score_method(
    method: Annotated[str, "one that foretells losses"],
    *,
    set: Annotated[Sequence[str], "parameters of the method, KEY=VALUE"] = (),
    mixtures: Annotated[
        Path | None, "CSV with a row of weights per run (default: the suite's own swarm)"
    ] = None,
    losses: Annotated[Path | None, "CSV with a row of losses per run"] = None,
    target: Annotated[str | None, "column of the losses, in full or by its domain"] = None,
    folds: Annotated[int, "parts of the mixtures, each left out once (default 8)"] = 8,
    seed: Annotated[int, "of the folds and of the method's draws (default 0)"] = 0,
) -> None:
    """Score how well a method foretells real runs, without training any."""
    import yaml

    from chameleon.core.errors import UserError
    from chameleon.methods import frozen
    from chameleon.methods.frozen.score import render, score

    if mixtures is not None and losses is not None and target is not None:
        swarm = frozen.brought(mixtures, losses, target)
    elif mixtures is losses is target is None:
        swarm = frozen.shipped()
    else:
        raise UserError("--mixtures, --losses and --target belong together: give all or none")
    params = {}
    for pair in set:
        key, found, value = pair.partition("=")
        if not found:
            raise UserError(f"--set: {pair!r} is not KEY=VALUE")
        params[key] = yaml.safe_load(value)
    print(render(swarm, score(swarm, method, params, folds, seed)))


def verify(results: Annotated[Path, "folder (default: results)"] = Path("results")) -> int:
    """Follow every cell of the tables back to the files that it was made from; exit code 1: one is wrong."""
    from chameleon.integrity.verify import verify as work

    report = work(results)
    print("\n".join(report.lines()))
    return 0 if report.clean else 1


COMMANDS = {
    "methods": Command(methods, "chameleon methods"),
    "check": Command(check, "chameleon check --configfile config.yaml"),
    "plan": Command(plan, "chameleon plan --configfile configs/smoke.yaml --cores 4"),
    "regress": Command(
        regress, "chameleon regress --mixtures weights.csv --losses losses.csv --target pile_cc --out out"
    ),
    "score-method": Command(score_method, "chameleon score-method regmix --set regression=linear"),
    "verify": Command(verify, "chameleon verify results/smoke"),
}
