"""The commands for people, each with an example in its help."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chameleon.cli.commands import add, dashed

if TYPE_CHECKING:
    from chameleon.mixing.method import Method


def methods(args: argparse.Namespace) -> None:
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


def check(args: argparse.Namespace) -> None:
    """Check a config, or several laid over each other, and say what it runs."""
    from chameleon.experiment.load import load_files

    cfg = load_files(args.configfile)
    for scenario in cfg.scenarios:
        print(f"{scenario}: {len(cfg.domains(scenario))} domains, methods {', '.join(cfg.methods(scenario))}")


def plan(args: argparse.Namespace) -> None:
    """Print what an experiment costs before anything runs: jobs, tokens, FLOPs, disk, hours."""
    from chameleon.experiment.load import load_over
    from chameleon.pricing import report
    from chameleon.pricing.queue import Queue

    cfg = load_over(args.configfile)
    cores = args.cores or os.cpu_count() or 1
    jobs, durations, speed = report.make(cfg, cores, args.devices, args.device_flops, args.measure)
    saved = 60 * ((cfg.raw.get("states") or {}).get("minutes") or Queue.saved / 60)
    queue = Queue(60 * args.wait, args.preempted, saved) if args.wait or args.preempted else None
    print(report.render(cfg, jobs, durations, speed, cores, args.devices, queue))


def regress(args: argparse.Namespace) -> None:
    """Learn mixture -> loss from a swarm's CSV files and propose a mixture."""
    from chameleon.methods.regression.command import regress as work

    work(
        args.mixtures,
        args.losses,
        args.target,
        args.out,
        args.model,
        args.test_mixtures,
        args.test_losses,
        args.prior,
        args.candidates,
        args.top,
        args.seed,
        args.keep_diverged,
    )


def score_method(args: argparse.Namespace) -> None:
    """Score how well a method foretells real runs, without training any."""
    import yaml

    from chameleon.core.errors import UserError
    from chameleon.methods import frozen
    from chameleon.methods.frozen.score import render, score

    given = (args.mixtures, args.losses, args.target)
    if len({value is None for value in given}) > 1:
        raise UserError("--mixtures, --losses and --target belong together: give all or none")
    swarm = frozen.shipped() if args.mixtures is None else frozen.brought(*given)
    params = {}
    for pair in args.set:
        key, found, value = pair.partition("=")
        if not found:
            raise UserError(f"--set: {pair!r} is not KEY=VALUE")
        params[key] = yaml.safe_load(value)
    print(render(swarm, score(swarm, args.method, params, args.folds, args.seed)))


def verify(args: argparse.Namespace) -> int:
    """Follow every cell of the tables back to the files that it was made from; exit code 1: one is wrong."""
    from chameleon.integrity.verify import verify as work

    report = work(args.results)
    print("\n".join(report.lines()))
    return 0 if report.clean else 1


COMMANDS = {
    "methods": methods,
    "check": check,
    "plan": plan,
    "regress": regress,
    "score-method": score_method,
    "verify": verify,
}

EXAMPLES = {
    "methods": "chameleon methods",
    "check": "chameleon check --configfile config.yaml",
    "plan": "chameleon plan --configfile configs/smoke.yaml --cores 4",
    "verify": "chameleon verify results/smoke",
    "score-method": "chameleon score-method regmix --set regression=linear",
    "regress": "chameleon regress --mixtures weights.csv --losses losses.csv --target pile_cc --out out",
}

_FILE: dict[str, Any] = {"type": Path, "default": None}
_GIVEN: dict[str, Any] = {"type": Path, "required": True}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "methods": {},
    "check": {
        "configfile": {
            "type": Path,
            "nargs": "+",
            "default": [Path("config.yaml")],
            "help": "a complete config, and any that are laid over it",
        },
    },
    "plan": {
        "configfile": {"type": Path, "nargs": "*", "default": [], "help": "configs laid over config.yaml"},
        "cores": {"type": int, "default": None, "help": "cores in all (default: this machine's)"},
        "devices": {"type": int, "default": 1, "help": "accelerators in all, where the config asks for any"},
        "device-flops": {"type": float, "default": None, "help": "operations per second of one job"},
        "measure": {"action": "store_true", "help": "try real training steps on this machine first"},
        "wait": {"type": float, "default": 0.0, "help": "minutes that a cluster's queue keeps a job"},
        "preempted": {"type": float, "default": 0.0, "help": "how often an hour a running job is ended"},
    },
    "regress": {
        "mixtures": {**_GIVEN, "help": "CSV with a row of weights per run"},
        "losses": {**_GIVEN, "help": "CSV with a row of losses per run"},
        "test-mixtures": {**_FILE, "help": "CSV of runs that the fit does not see"},
        "test-losses": {**_FILE, "help": "CSV of their losses"},
        "target": {"required": True, "help": "column of the losses, in full or by its domain"},
        "model": {"default": "lightgbm", "help": "lightgbm (default), linear, log_linear or olmix"},
        "prior": {**_FILE, "help": "JSON {domain: share} to search around (default: mean)"},
        "candidates": {"type": int, "default": 100_000, "help": "mixtures to simulate (default 100000)"},
        "top": {"type": int, "default": 128, "help": "candidates to average (default 128)"},
        "seed": {"type": int, "default": 0, "help": "of the simulation and the folds (default 0)"},
        "keep-diverged": {
            "action": "store_true",
            "help": "also fit runs whose losses lie far from the others",
        },
        "out": {**_GIVEN, "help": "folder to write"},
    },
    "score-method": {
        "method": {"help": "one that foretells losses"},
        "set": {"nargs": "*", "default": [], "help": "parameters of the method, KEY=VALUE"},
        "mixtures": {**_FILE, "help": "CSV with a row of weights per run (default: the suite's own swarm)"},
        "losses": {**_FILE, "help": "CSV with a row of losses per run"},
        "target": {"default": None, "help": "column of the losses, in full or by its domain"},
        "folds": {"type": int, "default": 8, "help": "parts of the mixtures, each left out once (default 8)"},
        "seed": {"type": int, "default": 0, "help": "of the folds and of the method's draws (default 0)"},
    },
    "verify": {
        "results": {**_FILE, "nargs": "?", "default": Path("results"), "help": "folder (default: results)"},
    },
}


#: What is given without the name of an option.
NAMED = ("results", "method")


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    arguments = {name: dashed(options, NAMED) for name, options in OPTIONS.items()}
    add(commands, COMMANDS, arguments, EXAMPLES)
