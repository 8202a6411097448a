"""The commands `export` and `audit`: a mixture into a trainer's files, and what would be drawn from them."""

from pathlib import Path
from typing import Annotated

from chameleon.cli.commands import Command


def tokens(text: str) -> float:
    """Return a number of tokens: 20000000000, 20e9 or 20B (k, M, B, T).

    Raises:
        ValueError: none of them; argparse names the option.
    """
    factor = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1:])
    return float(text) if factor is None else float(text[:-1]) * factor


TRAINERS = (
    "megatron, automodel, olmo-core, levanter, nanotron, streaming, llm-foundry, litgpt, torchtitan, "
    "datasets, trl, llama-factory, csv, json or yaml"
)
_FACTS = "YAML or JSON {domain: {paths, tokens, documents, tokens_per_document}}: what MIX lacks"
_BUDGET = "tokens of the run, as 20e9 or 20B: prints epochs"


def export(
    mix: Annotated[Path, "mix.json, a weights file, or JSON {domain: weight}"],
    *,
    to: Annotated[str, TRAINERS, {"metavar": "TRAINER"}],
    out: Annotated[Path | None, "folder to write (default: export-TRAINER)"] = None,
    data: Annotated[Path | None, _FACTS] = None,
    budget: Annotated[float | None, _BUDGET, {"type": tokens}] = None,
    max_epochs: Annotated[float | None, "over a domain; what is above goes to the others"] = None,
    steps: Annotated[int | None, "of the run: averages a mixture that moves"] = None,
    decimals: Annotated[int | None, "of the weights (default: 6, more if the least needs it)"] = None,
) -> None:
    """Write a mixture as the files of a trainer: units, epochs and caps settled and printed."""
    from chameleon.exports import export as work

    done = work(
        mix, to, out, data=data, budget=budget, max_epochs=max_epochs, steps=steps, decimals=decimals
    )  # fmt: skip
    print("\n".join(done.lines))


def audit(
    path: Annotated[Path, "folder of an export, or a mixture's file"],
    *,
    draws: Annotated[int, "samples or documents (default 100000)"] = 100_000,
    seed: Annotated[int, "of the draws (default 0)"] = 0,
) -> None:
    """Draw from an exported mixture as its trainer would: realised against requested token shares."""
    from chameleon.exports import audit as work

    print("\n".join(work(path, draws=draws, seed=seed).lines))


COMMANDS = {
    "export": Command(export, "chameleon export mix.json --to megatron --budget 20B --max-epochs 4"),
    "audit": Command(audit, "chameleon audit export-megatron"),
}
