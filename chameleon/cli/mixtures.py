"""`weigh`, `add`, `remove`, `compare`, `bench`: the commands for a user's own text."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chameleon.cli import commands as commands_

if TYPE_CHECKING:
    from chameleon.mixture import Mixture

_RIDGE = "λ: a number, or of_trace=0.2 (kλ as that share of the affinity's trace; whatever a model's scale)"
_TEMPERATURE = "T: a number, or at=5,of=7 (in proportion to the number of domains); default: the mode's own"


def setting(text: str) -> float | dict[str, float]:
    """Return a number, or the mapping of `key=number,...`."""
    if "=" not in text:
        return float(text)
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key.strip(): int(v) if v.strip().isdigit() else float(v) for key, _, v in pairs}


def weigh(args: argparse.Namespace) -> None:
    """Weigh domains of your own text: how much of each to train on, and how sure that is."""
    from chameleon.core.errors import UserError
    from chameleon.weighing import api

    dataset = None
    if args.dataset is not None:
        if args.domain_field is None:
            raise UserError("--dataset needs --domain-field: where a row says its domain")
        more = {"name": args.name, "revision": args.revision}
        dataset = {"path": args.dataset, "domain_field": args.domain_field, "split": args.split}
        dataset |= {key: value for key, value in more.items() if value is not None}
    asked = {
        key: getattr(args, key)
        for key in (
            "model", "layer", "windows", "window_length", "until", "confidence", "seed", "precision",
            "text_field", "tokenizer", "budget",
        )
    }  # fmt: skip
    mixture = api.weigh(
        args.data or None,
        out=args.out,
        dataset=dataset,
        mode=args.mode,
        ridge=args.ridge,
        temperature=args.temperature,
        **asked,
    )
    _say(mixture, args.out, args.budget)


def add(args: argparse.Namespace) -> None:
    """Add domains to a mixture: only they are embedded."""
    from chameleon.weighing import api

    out = args.out or args.mix
    _say(api.add(args.mix, args.data, out=out, text_field=args.text_field), out, None)


def remove(args: argparse.Namespace) -> None:
    """Leave domains out of a mixture: nothing is embedded."""
    from chameleon.weighing import api

    out = args.out or args.mix
    _say(api.remove(args.mix, args.domains, out=out), out, None)


def compare(args: argparse.Namespace) -> None:
    """Show two mixtures side by side."""
    from chameleon.mixture import Mixture
    from chameleon.mixture.compare import compare as work

    found = work(Mixture.load(args.first), Mixture.load(args.second))
    names = [path.parent.name if path.name == "mix.json" else path.stem for path in (args.first, args.second)]
    print("\n".join(found.lines(*names)))


def bench(args: argparse.Namespace) -> None:
    """Write a config that tests mixtures against uniform and every method on your own text."""
    from chameleon.weighing.bench import bench as work

    commands = work(args.data, args.out, args.mix, args.text_field)
    print(f"{args.out} is written. What it will cost, and the run:\n")
    print("\n".join(f"  {command}" for command in commands))


def _say(mixture: "Mixture", out: Path, budget: float | None) -> None:
    """Print a mixture with its intervals, warnings and what lies where."""
    from chameleon.mixture.epochs import epochs

    weights = mixture.weights
    times = epochs(weights, mixture.about, budget) if budget else {}
    wide = max(6, *(len(name) for name in weights))
    level = f"{(mixture.how or {}).get('confidence', 0.9):.0%} interval"
    print(
        f"{'domain':{wide}}  weight  {level:15}  over documents   tokens  documents{'  epochs' * bool(times)}"
    )
    for name, weight in weights.items():
        d = mixture.domain(name)
        ends = [_ends(d.low, d.high), _ends(d.low_documents, d.high_documents)]
        size = [f"{d.tokens:8.2g}" if d.tokens is not None else f"{'-':>8}"]
        size.append(f"{d.documents:10d}" if d.documents is not None else f"{'-':>10}")
        if times:
            size.append(f"{times[name]:7.2f}" if times[name] is not None else f"{'-':>7}")
        print(f"{name:{wide}}  {weight:6.3f}  {ends[0]:15}  {ends[1]:15} {' '.join(size)}")
    for warning in mixture.warnings:
        print(f"warning: {warning}")
    how = mixture.how or {}
    settings = f"λ = {how['ridge_used']:.4g}, T = {how['temperature_used']:.4g}, {how['mode']}" if how else ""
    print(f"{settings}; written: {out}/mix.json, mix.html (sliders for λ and T), windows.safetensors")


def _ends(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


_FIELD: dict[str, Any] = {"default": "text", "help": "where rows hold their text (dotted path; default text)"}
_MIX: dict[str, Any] = {"type": Path, "help": "folder that `weigh` wrote"}
_DATA: dict[str, Any] = {
    "nargs": "*",
    "help": "a folder with a folder per domain (.jsonl, .json, .parquet, .csv, .tsv, .txt; compressed or "
    "not), or one path per domain; also token shards (.npy, or Megatron's .bin and .idx)",
}
_NEW: dict[str, Any] = {
    "type": Path,
    "default": None,
    "help": "folder for the new mixture (default: the same)",
}

#: Arguments of each command: without dashes those that go by their place.
ARGUMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "weigh": {
        "data": _DATA,
        "--dataset": {"default": None, "help": "in place of folders: a data set of the Hugging Face hub"},
        "--domain-field": {"default": None, "help": "where its rows say their domain"},
        "--split": {"default": "train", "help": "its split (default train)"},
        "--name": {"default": None, "help": "its configuration"},
        "--revision": {"default": None, "help": "its revision: pin it"},
        "--text-field": _FIELD,
        "--model": {
            "default": "smollm2",
            "help": "smollm2 (default) or minilm, from pinned packages; a folder; a .gguf "
            "file; a name on the hub",
        },
        "--layer": {
            "type": int,
            "default": None,
            "help": "hidden state that embeds (default: the middle one)",
        },
        "--precision": {
            "choices": ("fp32", "bf16"),
            "default": "fp32",
            "help": "of the model (default fp32)",
        },
        "--tokenizer": {"default": None, "help": "that made token shards (default: the model's own)"},
        "--mode": {
            "choices": ("pretrain", "finetune"),
            "default": "pretrain",
            "help": "whether common domains gain (pretrain, the default) or distinctive ones",
        },
        "--ridge": {"type": setting, "default": 10.0, "help": f"{_RIDGE}; default 10"},
        "--temperature": {"type": setting, "default": None, "help": _TEMPERATURE},
        "--windows": {"type": int, "default": 64, "help": "windows of a domain, at first (default 64)"},
        "--window-length": {"type": int, "default": 128, "help": "tokens of a window (default 128)"},
        "--until": {
            "type": float,
            "default": None,
            "help": "half-width that every interval shall have: "
            "windows are added until they do (at most 1024)",
        },
        "--confidence": {"type": float, "default": 0.9, "help": "of the intervals (default 0.9)"},
        "--seed": {"type": int, "default": 0, "help": "of the windows (default 0)"},
        "--budget": {
            "type": float,
            "default": None,
            "help": "tokens of the run: epochs per domain are shown",
        },
        "--out": {"type": Path, "default": Path("mix"), "help": "folder to write (default mix)"},
    },
    "add": {"mix": _MIX, "data": {**_DATA, "nargs": "+"}, "--text-field": _FIELD, "--out": _NEW},
    "remove": {"mix": _MIX, "domains": {"nargs": "+", "help": "domains to leave out"}, "--out": _NEW},
    "compare": {
        "first": {**_MIX, "help": "a mix.json, its folder, a weights file or {domain: weight}"},
        "second": {**_MIX, "help": "another"},
    },
    "bench": {
        "--data": {"type": Path, "required": True, "help": "folder with a folder of text per domain"},
        "--mix": {"type": Path, "nargs": "*", "default": [], "help": "mixtures of these domains"},
        "--text-field": _FIELD,
        "--out": {"type": Path, "default": Path("mine.yaml"), "help": "config to write (default mine.yaml)"},
    },
}
EXAMPLES = {
    "weigh": "chameleon weigh data/mine --until 0.02 --out mix",
    "add": "chameleon add mix data/laws",
    "remove": "chameleon remove mix laws",
    "compare": "chameleon compare mix other/mix.json",
    "bench": "chameleon bench --data data/mine --mix mix --out mine.yaml",
}
COMMANDS = {"weigh": weigh, "add": add, "remove": remove, "compare": compare, "bench": bench}


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    commands_.add(commands, COMMANDS, ARGUMENTS, EXAMPLES)
