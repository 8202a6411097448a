"""The suite on one GPU: training against `transformers.Trainer`, objectives, a stacked swarm, embeddings.

One table, with the card's name. The scripts of the single parts do the work (`training`, `memory`, `swarm`,
`embedding`); each form runs alone in a process of its own. MFU is against the card's bf16 peak as its maker
states it, or against this machine's own matrix products where we know none. Needs torch, numpy, transformers,
and accelerate for Trainer. Run: `python benchmarks/gpu.py [--only PART ...] [--scales NAME ...]`: all takes a
quarter of an hour on an H100 by our estimate, most of it compiling; `--toy` tries every part on a CPU.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _corpus
import embedding
import numpy as np
import swarm
import torch
import training
from _turns import Form, header, take_turns
from memory import DOMAINS

from chameleon.core.provenance import cpu_name
from chameleon.mixing.registry import get
from chameleon.pricing.memory import peak_bytes, step_size
from chameleon.training.model import flops_per_token

#: bf16 operations per second without sparsity, by a part of the card's name.
# fmt: off
PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "A100": 312e12,
         "L40S": 362e12, "L4": 121e12, "RTX 4090": 165e12}
# fmt: on
GPU = torch.cuda.is_available()
SIZES = ("20M", "82M", "210M", "684M")
PROXIES = 64


class Bench:
    """What is run: full sizes, or toy ones that show on a CPU that every part works."""

    def __init__(self, toy: bool, rounds: int, sizes: Sequence[str]) -> None:
        self.toy, self.rounds = toy, 1 if toy else rounds
        self.sizes = ("toy",) if toy else sizes
        self.compiled = "never" if toy else "always"
        self._peak: tuple[float, str] | None = None
        self._found: dict[str, tuple[float, float]] = {}

    def alone(self, script: Any, task: dict[str, Any]) -> tuple[float, float]:
        """Return units per second of a form, and the peak of its memory in bytes; if it failed, zeros.

        What two tables show is run once.
        """
        key = json.dumps([script.__file__, task], sort_keys=True)
        if key not in self._found:
            try:
                form = Form(script.__file__, {"threads": torch.get_num_threads(), **task})
                self._found[key] = take_turns({"": form}, self.rounds)[""], form.peak
            except RuntimeError as error:
                print(f"warning: {task}: {error}", file=sys.stderr, flush=True)
                self._found[key] = 0.0, 0.0
        return self._found[key]

    def peak(self) -> tuple[float, str]:
        """Return the operations per second that MFU is a share of, and where they come from."""
        name = card()
        known = [rate for part, rate in PEAKS.items() if part in name] if GPU else []
        if self._peak is None and not known:
            task = {"kind": "products", "scale": self.sizes[0], "precision": "bf16"}
            self._peak = (self.alone(training, task)[0], "this machine's products of these shapes")
        return self._peak or (known[0], "as its maker states")


def card() -> str:
    """Return the name of what models run on."""
    return torch.cuda.get_device_name(0) if GPU else cpu_name()


def steps(bench: Bench) -> Iterator[str]:
    """Training steps against Trainer: tokens/s, MFU, peak memory, and what the plan foretells of it."""
    peak, origin = bench.peak()
    yield f"training, bf16, compiled; MFU of {peak / 1e12:.3g} TFLOP/s ({origin})"
    yield f"{'form':28} {'tokens/s':>10} {'MFU, %':>7} {'x Trainer':>10} {'peak, GB':>9} {'plan, GB':>9}"
    for scale in bench.sizes:
        shape, batch, parts, _ = training.GPU_SCALES[scale]
        common = {"scale": scale, "precision": "bf16"}
        forms: dict[str, dict[str, Any]] = {
            "Trainer": {"kind": "trainer", "compile": bench.compiled == "always"},
            "suite": {"kind": "suite", "compile": bench.compiled},
            "suite, checkpointing": {"kind": "suite", "compile": bench.compiled, "checkpointing": True},
        }
        if scale != SIZES[-1]:
            # It is for models that do not fit otherwise.
            del forms["suite, checkpointing"]
        if find_spec("accelerate") is None:
            yield f"{scale + ' Trainer':28} needs accelerate, which is not installed"
            del forms["Trainer"]
        theirs = 0.0
        for name, task in forms.items():
            rate, held = bench.alone(training, {**common, **task})
            theirs = rate if name == "Trainer" else theirs
            if not rate:
                yield f"{f'{scale} {name}':28} failed"
                continue
            recipe = {
                "optimizer": "adamw", "batch_size": batch, "grad_accumulation": parts,
                "activation_checkpointing": task.get("checkpointing", False),
            }  # fmt: skip
            size = step_size(shape, recipe, 1, "bf16")
            plan = peak_bytes(shape, recipe, size, "cuda" if GPU else "cpu")
            ahead = f"{rate / theirs:10.2f}" if theirs and name != "Trainer" else f"{'':10}"
            foretold = f"{plan / 1e9:9.2f}" if name != "Trainer" else ""
            yield (
                f"{f'{scale} {name}':28} {rate:10.0f} {100 * rate * flops_per_token(shape) / peak:7.1f} "
                f"{ahead} {held / 1e9:9.2f} {foretold}"
            ).rstrip()


def objectives(bench: Bench) -> Iterator[str]:
    """Steps under DoGE's and DoReMi's objectives against plain ones of the same model."""
    scale = "toy" if bench.toy else "82M"
    shape, batch, parts, _ = training.GPU_SCALES[scale]
    yield f"objectives: {scale}, {batch} blocks in {parts} parts, {len(DOMAINS)} domains, bf16"
    yield f"{'step':28} {'tokens/s':>10} {'time / plain':>13} {'peak, GB':>9} {'plan, GB':>9}"
    plain = 0.0
    for method in ("", "doge", "doremi"):
        task = {"kind": "suite", "scale": scale, "precision": "bf16", "compile": bench.compiled}
        rate, held = bench.alone(training, task | ({"method": method} if method else {}))
        plain = plain or rate
        if not rate:
            yield f"{method or 'plain':28} failed"
            continue
        recipe = {"optimizer": "adamw", "batch_size": batch, "grad_accumulation": parts}
        size = step_size(shape, recipe, len(DOMAINS), "bf16")
        more = get(method).objective_bytes(get(method).defaults, size) if method else 0.0
        plan = peak_bytes(shape, recipe, size, "cuda" if GPU else "cpu", more)
        yield (
            f"{method or 'plain':28} {rate:10.0f} {plain / rate:13.2f} {held / 1e9:9.2f} {plan / 1e9:9.2f}"
        )


def swarms(bench: Bench) -> Iterator[str]:
    """A stacked swarm of tiny proxies against one at a time: the workflow's own job, start-up included."""
    count, tokens = (2, 20_000) if bench.toy else (PROXIES, 200_000)
    runs = swarm.mixtures(count)
    yield f"swarm: {count} proxies of scale cpu_swarm, float32, one process"
    yield f"{'form':28} {'seconds':>10} {'x one at a time':>16}"
    single = 0.0
    with tempfile.TemporaryDirectory() as folder:
        manifest = _corpus.write(Path(folder, "random"), swarm.DOMAINS, swarm.VOCAB, tokens)
        for name, stack in (("one at a time", 1), (f"a stack of {count}", count)):
            spent, _ = swarm.seconds((0, 1, 1, stack), runs, manifest, 4 if bench.toy else None)
            single = single or spent
            yield f"{name:28} {spent:10.1f} {single / spent:16.2f}"


def embeddings(bench: Bench) -> Iterator[str]:
    """Embedding windows against the official procedure."""
    yield f"embeddings: windows of {embedding.LENGTH}, {embedding.SHAPE.n_layer} blocks"
    yield f"{'form':28} {'windows/s':>10} {'x official':>11}"
    official = 0.0
    with tempfile.TemporaryDirectory() as folder:
        embedding.prepare(Path(folder), 20 if bench.toy else None)
        size = {"batch": 1} if bench.toy else {}
        for name in ("official procedure", "suite, fp32", "suite, bf16")[: 2 if bench.toy else 3]:
            rate, _ = bench.alone(embedding, {**embedding.FORMS[name][0], "folder": folder, **size})
            official = official or rate
            yield f"{name:28} {rate:10.1f} {rate / official if official else np.nan:11.2f}"


PARTS: dict[str, Callable[[Bench], Iterator[str]]] = {
    "training": steps,
    "objectives": objectives,
    "swarm": swarms,
    "embeddings": embeddings,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    parser.add_argument("--scales", nargs="+", choices=SIZES, default=SIZES, help="sizes that are trained")
    parser.add_argument("--rounds", type=int, default=3, help="timed turns of every form (default 3)")
    parser.add_argument("--toy", action="store_true", help="toy sizes, nothing compiled: does it run here?")
    args = parser.parse_args()
    bench = Bench(args.toy, args.rounds, args.scales)
    print(f"{card()}; {header('one job at a time', 'transformers')}")
    for name in args.only:
        print()
        for line in PARTS[name](bench):
            print(line, flush=True)


if __name__ == "__main__":
    main()
