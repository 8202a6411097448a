"""The commands for people, each with an example in its help."""

import argparse
import os
from pathlib import Path
from typing import Any


def methods(args: argparse.Namespace) -> None:
    """Print the registered mixing methods, one a line."""
    from chameleon.mixing import registry

    print("\n".join(registry.names()))


def check(args: argparse.Namespace) -> None:
    """Check a config, or several laid over each other, and say what it runs."""
    from chameleon.experiment.load import load_files

    cfg = load_files(args.configfile)
    for scenario in cfg.scenarios:
        print(f"{scenario}: {len(cfg.domains(scenario))} domains, methods {', '.join(cfg.methods(scenario))}")


def plan(args: argparse.Namespace) -> None:
    """Print what an experiment costs before anything runs: jobs, tokens, FLOPs, disk, hours."""
    from chameleon.experiment.load import load_files
    from chameleon.pricing import report

    base = Path("config.yaml")
    # As Snakemake does: what is given is laid over the Snakefile's own config.
    overlays = [path for path in args.configfile if path.resolve() != base.resolve()]
    cfg = load_files([*([base] if base.exists() else []), *overlays])
    cores = args.cores or os.cpu_count() or 1
    jobs, durations, speed = report.make(cfg, cores, args.devices, args.device_flops, args.measure)
    print(report.render(cfg, jobs, durations, speed, cores, args.devices))


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


def verify(args: argparse.Namespace) -> int:
    """Follow every cell of the tables back to the files that it was made from; exit code 1: one is wrong."""
    from chameleon.integrity.verify import verify as work

    report = work(args.results)
    print("\n".join(report.lines()))
    return 0 if report.clean else 1


COMMANDS = {"methods": methods, "check": check, "plan": plan, "regress": regress, "verify": verify}

EXAMPLES = {
    "methods": "chameleon methods",
    "check": "chameleon check --configfile config.yaml",
    "plan": "chameleon plan --configfile configs/smoke.yaml --cores 4",
    "verify": "chameleon verify results/smoke",
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
    "verify": {
        "results": {**_FILE, "nargs": "?", "default": Path("results"), "help": "folder (default: results)"},
    },
}


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    for name, handler in COMMANDS.items():
        text = (handler.__doc__ or "").strip().splitlines()[0]
        said, example = text[0].lower() + text[1:].rstrip("."), f"example: {EXAMPLES[name]}"
        sub = commands.add_parser(name, help=said, description=text, epilog=example)
        sub.set_defaults(handler=handler)
        for option, settings in OPTIONS[name].items():
            sub.add_argument(option if settings.get("nargs") == "?" else f"--{option}", **settings)
