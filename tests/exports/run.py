"""Read exports back with the trainers' own libraries: has what they read the shares that were asked for?

    python tests/exports/run.py [--only LIBRARY ...] [--write]

Each library gets an environment under .cache/exports (`environments`), an export of one mixture, and small
data of its own kind; a reader in `readers/` loads the exported files as the trainer would and counts tokens
by domain. `--write` puts the table into docs/EXPORT.md. Exit code 1: a share is off by half a point or more,
or a library failed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from environments import python_of
from shared import FILES, LENGTHS, NAMES, TOKENS, WEIGHTS

from chameleon.exports import audit, export
from chameleon.mixture import Mixture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Largest difference of a domain's token share.
ALLOWED = 0.005
#: Reader, library, format, end of the paths, options of the export.
READERS = [
    ("read_megatron", "megatron-core", "megatron", "", {}),
    ("read_automodel", "nemo-automodel", "automodel", "", {}),
    ("read_olmo", "ai2-olmo-core", "olmo-core", ".npy", {"budget": 1_280_000}),
    ("read_streaming", "mosaicml-streaming", "streaming", "", {}),
    ("read_streaming", "mosaicml-streaming", "llm-foundry", "", {}),
    ("read_litdata", "litdata", "litgpt", "", {}),
    ("read_torchtitan", "torchtitan", "torchtitan", ".jsonl", {}),
    ("read_grain", "grain", "torchtitan", ".jsonl", {}),
    ("read_datasets", "datasets", "datasets", ".jsonl", {}),
    ("read_trl", "trl", "trl", ".jsonl", {}),
    ("read_llamafactory", "llamafactory", "llama-factory", ".jsonl", {}),
]
#: Formats whose library is not installed: their exports are parsed by our own reader of their rules.
STRUCTURE = ("levanter", "nanotron")


def read(reader: str, library: str, form: str, end: str, options: dict, cache: Path) -> dict:
    """Return what a library says of an export: version, by what, tokens by domain; or its error."""
    python = python_of(library, cache)
    folder = cache / "runs" / f"{library}-{form}"
    shutil.rmtree(folder, ignore_errors=True)
    facts = {
        name: {
            "paths": [f"{folder / 'data' / FILES[i]}{end}"],
            "tokens": TOKENS,
            "tokens_per_document": LENGTHS[name],
            "documents": TOKENS // LENGTHS[name],
        }
        for i, name in enumerate(NAMES)
    }
    export(Mixture.of(WEIGHTS), form, folder / "export", data=facts, **options)
    env = {
        **os.environ, "PYTHONPATH": str(HERE), "CUDA_VISIBLE_DEVICES": "", "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [python, HERE / "readers" / f"{reader}.py", folder], env=env, capture_output=True, text=True
    )
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"{last} (all of it: {folder / 'log.txt'})")
    shutil.rmtree(folder / "data", ignore_errors=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def structure(form: str, cache: Path) -> float:
    """Return the difference that our own reader and draw find."""
    folder = cache / "runs" / form
    shutil.rmtree(folder, ignore_errors=True)
    export(Mixture.of(WEIGHTS), form, folder)
    return audit(folder).difference


def percent(shares: dict[str, float]) -> str:
    """Return shares of all domains in %, in order."""
    return " / ".join(f"{100 * shares.get(name, 0):.2f}" for name in NAMES)


def main() -> int:
    """Run the readers, print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="libraries (default: all)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/EXPORT.md")
    args = parser.parse_args()
    cache = Path(os.environ.get("CHAMELEON_CACHE") or ROOT / ".cache").absolute() / "exports"
    rows, failed = [], []
    for reader, library, form, end, options in READERS:
        if args.only and library not in args.only:
            continue
        start = time.perf_counter()
        try:
            told = read(reader, library, form, end, options, cache)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(f"{form}: {library}: failed: {error}", file=sys.stderr)
            failed.append(form)
            continue
        total = sum(told["tokens"].values())
        shares = {name: n / total for name, n in told["tokens"].items()}
        off = max(abs(shares[name] - weight) for name, weight in WEIGHTS.items())
        verdict = "" if off < ALLOWED else " (too far)"
        failed += [form] if verdict else []
        print(
            f"{form}: {told['version']}: {100 * off:.3f} %{verdict}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        rows.append((form, told["version"], told["by"], percent(shares), f"{100 * off:.3f}"))
    for form in () if args.only else STRUCTURE:
        rows.append(
            (
                form,
                "–",
                "structure only: our own parser and draw",
                "–",
                f"{100 * structure(form, cache):.3f}",
            )
        )
    table = [
        "| trainer | library read with | loaded by | realised, % | max difference, points |",
        "|:--|:--|:--|:--|--:|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    text = f"Asked for, in %: {percent(WEIGHTS)} (token shares of six domains).\n\n" + "\n".join(table)
    print(text)
    if args.write and not failed:
        page = ROOT / "docs" / "EXPORT.md"
        marks = r"(<!-- measured -->\n).*?(\n<!-- /measured -->)"
        page.write_text(re.sub(marks, lambda m: m[1] + text + m[2], page.read_text(), flags=re.S))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
