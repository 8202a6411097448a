"""`python -m chameleon STAGE ...`: one subcommand per rule of the workflow.

A stage takes its spec as JSON (`chameleon.plan` makes it; Snakemake passes it) and the paths of its files.
A user's mistake ends as one line on stderr and exit code 2; anything else is a bug and shows its traceback.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chameleon.errors import UserError

Handler = Callable[[argparse.Namespace], None]


def _methods(args: argparse.Namespace) -> None:
    from chameleon import registry

    print("\n".join(registry.names()))


def _check(args: argparse.Namespace) -> None:
    from chameleon.config import load_file

    cfg = load_file(args.configfile)
    for scenario in cfg.scenarios:
        print(f"{scenario}: {len(cfg.domains(scenario))} domains, methods {', '.join(cfg.methods(scenario))}")


def _plan(args: argparse.Namespace) -> None:
    import os

    from chameleon.config import load_files
    from chameleon.pricing import report

    base = Path("config.yaml")
    # As Snakemake does: what is given is laid over the Snakefile's own config.
    overlays = [path for path in args.configfile if path.resolve() != base.resolve()]
    cfg = load_files([*([base] if base.exists() else []), *overlays])
    cores = args.cores or os.cpu_count() or 1
    jobs, durations, speed = report.make(cfg, cores, args.devices, args.device_flops, args.measure)
    print(report.render(cfg, jobs, durations, speed, cores, args.devices))


def _fetch(args: argparse.Namespace) -> None:
    from chameleon.corpora.fetch import fetch

    fetch(args.spec, args.out)


def _prepare(args: argparse.Namespace) -> None:
    from chameleon.corpora.prepare import prepare
    from chameleon.provenance import Recorder

    recorder = Recorder("prepare", args.spec, [args.out / "sources.json"], threads=args.threads)
    prepare(args.spec, args.out, args.threads)
    recorder.write(args.out / "run.json")


def _tokenizer(args: argparse.Namespace) -> None:
    from chameleon.provenance import Recorder
    from chameleon.tokenizer import train_tokenizer

    recorder = Recorder("tokenizer", args.spec)
    documents = [
        (corpus, domain, args.corpora / corpus / f"{domain}.parquet")
        for corpus, domains in args.spec["domains"].items()
        for domain in domains
    ]
    recorder.inputs = [path for _, _, path in documents]
    train_tokenizer(args.spec, documents, args.out)
    recorder.write(args.out / "run.json")


def _tokens(args: argparse.Namespace) -> None:
    import os

    # Read once by the tokenizer's library, which takes every core otherwise.
    os.environ["RAYON_NUM_THREADS"] = str(args.threads)
    from chameleon.provenance import Recorder
    from chameleon.tokens import tokenize

    recorder = Recorder("tokens", args.spec, threads=args.threads)
    recorder.inputs = [args.corpus / f"{d}.parquet" for d in args.spec["domains"]]
    recorder.inputs.append(args.tokenizer / "tokenizer.json")
    tokenize(args.spec, args.corpus, args.tokenizer, args.out)
    recorder.write(args.out / "run.json")


def _proxy(args: argparse.Namespace) -> None:
    from chameleon import stages

    stages.proxy(args.spec, args.tokens, args.tokenizer, args.out, args.threads)


def _embed(args: argparse.Namespace) -> None:
    from chameleon import stages

    stages.embed(args.spec, args.tokens[0], args.model, args.out, args.threads)


def _extra(args: argparse.Namespace) -> None:
    from chameleon import stages

    stages.extra_run(
        args.spec, args.tokens, args.tokenizer, args.out, args.threads, args.after, args.reference
    )


def _swarm(args: argparse.Namespace) -> None:
    from chameleon.swarm import swarm

    swarm(args.spec, args.tokens, args.out, args.threads, args.stack)


def _weights(args: argparse.Namespace) -> None:
    from chameleon import weighting

    weighting.weights(args.spec, args.tokens, args.embeddings, args.runs, args.out, args.threads, args.others)


def _train(args: argparse.Namespace) -> None:
    from chameleon import stages

    stages.train(
        args.spec,
        args.tokens,
        args.weights,
        args.tokenizer,
        args.out,
        args.threads,
        args.embeddings,
        args.runs,
        args.others,
        args.start,
    )


def _evaluate(args: argparse.Namespace) -> None:
    from chameleon import stages

    stages.evaluate(args.spec, args.tokens, args.model, args.out, args.threads)


def _items(args: argparse.Namespace) -> None:
    from chameleon.evaluation.task_files import write_tasks
    from chameleon.provenance import Recorder

    recorder = Recorder("items", args.spec)
    recorder.inputs = write_tasks(args.spec, args.out)
    recorder.write(args.out / "run.json")


def _fewshot(args: argparse.Namespace) -> None:
    from chameleon.evaluation.fewshot import fewshot

    fewshot(args.spec, args.results, args.out, args.threads)


def _tidy(results: Path) -> list[Path]:
    from chameleon.catalogue import TIDY

    return [results / f"{name}.csv" for name in TIDY]


def _collect(args: argparse.Namespace) -> None:
    from chameleon.collect import collect
    from chameleon.provenance import Recorder

    recorder = Recorder("collect", args.spec)
    collect(args.spec, args.results)
    recorder.write(args.results / "run.json")


def _tables(args: argparse.Namespace) -> None:
    from chameleon.provenance import Recorder
    from chameleon.tables import make_tables

    recorder = Recorder("tables", args.spec, _tidy(args.results))
    make_tables(args.results, args.out, args.spec["scenarios"])
    recorder.write(args.out / "run.json")


def _summary(args: argparse.Namespace) -> None:
    from chameleon.provenance import Recorder
    from chameleon.summary import make_summary

    recorder = Recorder("summary", args.spec, _tidy(args.results))
    make_summary(args.results, args.spec["scenarios"])
    recorder.write(args.results / "summary.run.json")


def _figures(args: argparse.Namespace) -> None:
    from chameleon.figures import make_figures
    from chameleon.provenance import Recorder

    recorder = Recorder("figures", args.spec, _tidy(args.results))
    make_figures(args.results, args.out, args.spec["scenarios"])
    recorder.write(args.out / "run.json")


def _sensitivity_proxy(args: argparse.Namespace) -> None:
    from chameleon.sensitivity import train

    train.proxy(args.spec, args.tokens, args.tokenizer, args.out, args.threads)


def _sensitivity_embed(args: argparse.Namespace) -> None:
    from chameleon.sensitivity import embed

    embed.embed(args.spec, args.tokens, args.model, args.out, args.threads)


def _sensitivity(args: argparse.Namespace) -> None:
    from chameleon.provenance import Recorder
    from chameleon.sensitivity.measure import measure

    recorder = Recorder("sensitivity", args.spec)
    recorder.inputs = measure(args.spec, args.results)
    recorder.write(args.results / "sensitivity" / "run.json")


def _sensitivity_report(args: argparse.Namespace) -> None:
    from chameleon.provenance import Recorder
    from chameleon.sensitivity.catalogue import TIDY
    from chameleon.sensitivity.figures import make_figures
    from chameleon.sensitivity.tables import make_tables

    recorder = Recorder("sensitivity_report", args.spec, [args.results / f"{name}.csv" for name in TIDY])
    make_tables(args.spec, args.results)
    make_figures(args.spec, args.results)
    recorder.write(args.results / "sensitivity" / "report.run.json")


def _regress(args: argparse.Namespace) -> None:
    from chameleon.regression.command import regress

    regress(
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
    )


OPTIONS: dict[str, dict[str, Any]] = {
    "spec": {"type": json.loads, "required": True, "help": "the job's identity as JSON"},
    "out": {"type": Path, "required": True, "help": "file or folder to write"},
    "threads": {"type": int, "default": 1, "help": "threads to use"},
    "tokens": {"type": Path, "nargs": "+", "required": True, "help": "manifest.json of each corpus"},
    "tokenizer": {"type": Path, "required": True, "help": "folder of the tokenizer"},
    "corpora": {"type": Path, "required": True, "help": "folder with one folder per prepared corpus"},
    "corpus": {"type": Path, "required": True, "help": "folder of a prepared corpus"},
    "model": {"type": Path, "required": True, "help": "checkpoint folder"},
    "embeddings": {"type": Path, "nargs": "*", "default": [], "help": "embedding files"},
    "runs": {"type": Path, "nargs": "*", "default": [], "help": "the method's extra runs and swarm parts"},
    "others": {"type": Path, "nargs": "*", "default": [], "help": "weights files of methods it builds on"},
    "after": {"type": Path, "nargs": "*", "default": [], "help": "folders of the runs that it waited for"},
    "reference": {"type": Path, "default": None, "help": "folder of the scenario's uniform proxy"},
    "stack": {"type": int, "default": 1, "help": "models trained as one batched model (default 1)"},
    "start": {"type": Path, "default": None, "help": "checkpoint to go on from"},
    "weights": {"type": Path, "required": True, "help": "weights file"},
    "results": {"type": Path, "required": True, "help": "results folder"},
    "configfile": {"type": Path, "default": Path("config.yaml"), "help": "config to check"},
    "overlays": {"type": Path, "nargs": "*", "default": [], "help": "configs laid over config.yaml"},
    "cores": {"type": int, "default": None, "help": "cores in all (default: this machine's)"},
    "devices": {"type": int, "default": 1, "help": "accelerators in all, where the config asks for any"},
    "device-flops": {"type": float, "default": None, "help": "operations per second of one job"},
    "measure": {"action": "store_true", "help": "try real training steps on this machine first"},
    "mixtures": {"type": Path, "required": True, "help": "CSV with a row of weights per run"},
    "losses": {"type": Path, "required": True, "help": "CSV with a row of losses per run"},
    "test-mixtures": {"type": Path, "default": None, "help": "CSV of runs that the fit does not see"},
    "test-losses": {"type": Path, "default": None, "help": "CSV of their losses"},
    "target": {"required": True, "help": "column of the losses, in full or by its domain"},
    "regression": {"default": "lightgbm", "help": "lightgbm (default), linear or log_linear"},
    "prior": {"type": Path, "default": None, "help": "JSON {domain: share} to search around (default: mean)"},
    "candidates": {"type": int, "default": 100_000, "help": "mixtures to simulate (default 100000)"},
    "top": {"type": int, "default": 128, "help": "candidates to average (default 128)"},
    "seed": {"type": int, "default": 0, "help": "of the simulation and the folds (default 0)"},
}

#: An option `a=b` is written `--a` and described by OPTIONS["b"].
COMMANDS: dict[str, tuple[Handler, str, tuple[str, ...]]] = {
    "methods": (_methods, "print the registered mixing methods, one a line", ()),
    "check": (_check, "check a config file", ("configfile",)),
    "plan": (
        _plan,
        "print what an experiment costs before anything runs",
        ("configfile=overlays", "cores", "devices", "device-flops", "measure"),
    ),
    "fetch": (_fetch, "download a corpus's packages into the cache", ("spec", "out")),
    "prepare": (_prepare, "clean, split and deduplicate a corpus", ("spec", "out", "threads")),
    "tokenizer": (_tokenizer, "train the experiment's tokenizer", ("spec", "corpora", "out")),
    "tokens": (_tokens, "write a corpus's token shards", ("spec", "corpus", "tokenizer", "out", "threads")),
    "proxy": (_proxy, "train a scenario's proxy", ("spec", "tokens", "tokenizer", "out", "threads")),
    "embed": (_embed, "embed a corpus's domains", ("spec", "tokens", "model", "out", "threads")),
    "extra": (
        _extra,
        "train a run that a method needs",
        ("spec", "tokens", "tokenizer", "after", "reference", "out", "threads"),
    ),
    "swarm": (
        _swarm,
        "train a share of a method's small runs",
        ("spec", "tokens", "stack", "out", "threads"),
    ),
    "weights": (
        _weights,
        "compute a method's weights",
        ("spec", "tokens", "embeddings", "runs", "others", "out", "threads"),
    ),
    "train": (
        _train,
        "train a base model",
        ("spec", "tokens", "weights", "embeddings", "runs", "others", "start", "tokenizer", "out", "threads"),
    ),
    "evaluate": (_evaluate, "test a base model", ("spec", "tokens", "model", "out", "threads")),
    "sensitivity_proxy": (
        _sensitivity_proxy,
        "train a proxy of other length or size",
        ("spec", "tokens", "tokenizer", "out", "threads"),
    ),
    "sensitivity_embed": (
        _sensitivity_embed,
        "embed the domains with one proxy in every way that the study varies",
        ("spec", "tokens", "model", "out", "threads"),
    ),
    "sensitivity": (_sensitivity, "weights at every setting, and their distances", ("spec", "results")),
    "sensitivity_report": (
        _sensitivity_report,
        "make the study's tables and figures",
        ("spec", "results"),
    ),
    "items": (_items, "write the few-shot tasks", ("spec", "out")),
    "fewshot": (_fewshot, "score base models on few-shot tasks", ("spec", "results", "out", "threads")),
    "collect": (_collect, "gather results into tidy files", ("spec", "results")),
    "tables": (_tables, "make tables from the tidy files", ("spec", "results", "out")),
    "summary": (_summary, "write the report's first page from the tidy files", ("spec", "results")),
    "figures": (_figures, "make figures from the tidy files", ("spec", "results", "out")),
    "regress": (
        _regress,
        "learn mixture -> loss from a swarm's CSV files and propose a mixture",
        ("mixtures", "losses", "test-mixtures", "test-losses", "target", "model=regression", "prior",
         "candidates", "top", "seed", "out"),
    ),
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m chameleon", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="STAGE")
    for name, (handler, text, options) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(handler=handler)
        for option in options:
            flag, _, entry = option.partition("=")
            sub.add_argument(f"--{flag}", **OPTIONS[entry or flag])
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one stage; return the exit code."""
    args = parser().parse_args(argv)
    try:
        args.handler(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
