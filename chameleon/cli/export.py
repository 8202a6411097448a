"""The commands `export` and `audit`: a mixture into a trainer's files, and what would be drawn from them."""

import argparse
from pathlib import Path
from typing import Any

from chameleon.cli.commands import add, dashed


def export(args: argparse.Namespace) -> None:
    """Write a mixture as the files of a trainer: units, epochs and caps settled and printed."""
    from chameleon.exports import export as work

    done = work(
        args.mix,
        args.to,
        args.out,
        data=args.data,
        budget=args.budget,
        max_epochs=args.max_epochs,
        steps=args.steps,
        decimals=args.decimals,
    )
    print("\n".join(done.lines))


def audit(args: argparse.Namespace) -> None:
    """Draw from an exported mixture as its trainer would: realised against requested token shares."""
    from chameleon.exports import audit as work

    print("\n".join(work(args.path, draws=args.draws, seed=args.seed).lines))


def tokens(text: str) -> float:
    """Return a number of tokens: 20000000000, 20e9 or 20B (k, M, B, T).

    Raises:
        ValueError: none of them; argparse names the option.
    """
    factor = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1:])
    return float(text) if factor is None else float(text[:-1]) * factor


COMMANDS = {"export": export, "audit": audit}

EXAMPLES = {
    "export": "chameleon export mix.json --to megatron --budget 20B --max-epochs 4",
    "audit": "chameleon audit export-megatron",
}

OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "export": {
        "mix": {"type": Path, "help": "mix.json, a weights file, or JSON {domain: weight}"},
        "to": {
            "required": True,
            "metavar": "TRAINER",
            "help": "megatron, automodel, olmo-core, levanter, nanotron, streaming, llm-foundry, litgpt, "
            "torchtitan, datasets, trl, llama-factory, csv, json or yaml",
        },
        "out": {"type": Path, "default": None, "help": "folder to write (default: export-TRAINER)"},
        "data": {
            "type": Path,
            "default": None,
            "help": "YAML or JSON {domain: {paths, tokens, documents, tokens_per_document}}: what MIX lacks",
        },
        "budget": {
            "type": tokens,
            "default": None,
            "help": "tokens of the run, as 20e9 or 20B: prints epochs",
        },
        "max-epochs": {
            "type": float,
            "default": None,
            "help": "over a domain; what is above goes to the others",
        },
        "steps": {"type": int, "default": None, "help": "of the run: averages a mixture that moves"},
        "decimals": {
            "type": int,
            "default": None,
            "help": "of the weights (default: 6, more if the least needs it)",
        },
    },
    "audit": {
        "path": {"type": Path, "help": "folder of an export, or a mixture's file"},
        "draws": {"type": int, "default": 100_000, "help": "samples or documents (default 100000)"},
        "seed": {"type": int, "default": 0, "help": "of the draws (default 0)"},
    },
}

#: What is given without the name of an option.
NAMED = ("mix", "path")


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    arguments = {name: dashed(options, NAMED) for name, options in OPTIONS.items()}
    add(commands, COMMANDS, arguments, EXAMPLES)
