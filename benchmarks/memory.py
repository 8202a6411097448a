"""Peak memory of training steps, measured and as `chameleon plan` counts it.

Every row is a process of its own that trains two steps; its largest resident size counts. Run: `make bench`,
or `python benchmarks/memory.py [ROW ...]`. Takes some minutes: a step of 684M parameters is long on a CPU.
"""

import argparse
import resource
import subprocess
import sys
from typing import Any

import torch

from chameleon.core.provenance import cpu_name
from chameleon.methods.reweighting.doge import DogeObjective
from chameleon.methods.reweighting.doremi import DoremiObjective
from chameleon.mixing import MixtureSchedule
from chameleon.mixing.registry import get
from chameleon.pricing.memory import peak_bytes, step_size
from chameleon.pricing.speed import RandomStream
from chameleon.training.device import pick_device
from chameleon.training.loop import Training
from chameleon.training.model import ModelShape
from chameleon.training.recipe import Recipe

VOCABULARY = 50_257
DOMAINS = [f"d{i}" for i in range(7)]
CPU = {"optimizer": "muon", "lr": 0.02, "adam_lr": 0.02}
PAPER = {"optimizer": "adamw", "lr": 5e-4}
LLAMA = {"model_type": "llama", "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 6,
         "num_attention_heads": 12, "num_key_value_heads": 4, "max_position_embeddings": 512}  # fmt: skip
OF_LLAMA = {"kind": "hf", "context": 512, "config": LLAMA}
#: Name -> shape (of a model of transformers: its block of the config), recipe (`lora` beside it), objective.
ROWS: dict[str, tuple[ModelShape | dict[str, Any], dict[str, Any], str]] = {
    "cpu, 8 blocks": (ModelShape(3, 3, 96, 128, 2048), CPU | {"batch_size": 8}, ""),
    "cpu, 128 blocks": (ModelShape(3, 3, 96, 128, 2048), CPU | {"batch_size": 128}, ""),
    "82M, 4 blocks": (ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4}, ""),
    "82M, 4 in 4 parts": (
        ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4, "grad_accumulation": 4}, ""),
    "82M, 4 blocks, doremi": (ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4}, "doremi"),
    "82M, 4 in 4 parts, doremi": (
        ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4, "grad_accumulation": 4}, "doremi"),
    "82M, 4 blocks, doge": (ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4}, "doge"),
    "82M, 4 in 4 parts, doge": (
        ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4, "grad_accumulation": 4}, "doge"),
    "82M, 4 blocks, pike": (ModelShape(6, 12, 768, 512, VOCABULARY), PAPER | {"batch_size": 4}, "pike"),
    "llama 114M, 4 blocks": (OF_LLAMA, PAPER | {"batch_size": 4}, ""),
    "llama 114M, 4 in 4 parts": (OF_LLAMA, PAPER | {"batch_size": 4, "grad_accumulation": 4}, ""),
    "llama 114M, checkpointing": (OF_LLAMA, PAPER | {"batch_size": 4, "activation_checkpointing": True}, ""),
    "llama 114M, 4 blocks, doge": (OF_LLAMA, PAPER | {"batch_size": 4}, "doge"),
    "llama 114M, 4 blocks, LoRA": (OF_LLAMA, PAPER | {"batch_size": 4, "lora": {"rank": 16}}, ""),
    "684M, 2 blocks, checkpointing": (
        ModelShape(36, 24, 1200, 512, VOCABULARY),
        PAPER | {"batch_size": 2, "activation_checkpointing": True}, ""),
}  # fmt: skip


def row(name: str) -> tuple[ModelShape, dict[str, Any], str]:
    """Return shape, recipe and objective of a row; a process imports transformers only where it needs it."""
    shape, train, method = ROWS[name]
    if isinstance(shape, dict):
        from chameleon.training.hf import scratch

        shape = scratch.shape(shape, VOCABULARY)
    return shape, train, method


def expected(name: str) -> float:
    """Return the bytes that the plan would print."""
    shape, train, method = row(name)
    lora = train.get("lora")
    step = step_size(shape, train, len(DOMAINS), "fp32", lora)
    more = get(method).objective_bytes(get(method).defaults, step) if method else 0.0
    return peak_bytes(shape, train, step, "cpu", more, lora)


def objective(method: str, shape: ModelShape) -> Any:
    """Return the objective of a method's run; None for a plain step."""
    if method == "pike":
        from chameleon.methods.gradients.pike import PikeController

        return PikeController(dict.fromkeys(DOMAINS, 1 / len(DOMAINS)), 1, (0.1, 0.1))
    if method == "doremi":
        reference = shape.initial(1).to(pick_device())
        return DoremiObjective(DOMAINS, None, reference=reference)
    return DogeObjective(DOMAINS, step_size=5e-4) if method else None


def measured(name: str) -> float:
    """Return the largest resident size of this process after two steps, in bytes."""
    shape, train, method = row(name)
    torch.set_num_threads(2)
    even = MixtureSchedule.static(dict.fromkeys(DOMAINS, 1 / len(DOMAINS)))
    streams: Any = dict.fromkeys(DOMAINS, RandomStream(shape.vocab_size))
    recipe = Recipe(**{key: value for key, value in train.items() if key != "lora"}, steps=2)
    start: Any = shape.initial(0)
    if "lora" in train:
        start.adapt(**train["lora"], alpha=32, seed=0)
    training = Training(shape, recipe, streams, 0, 0, label="", start=start)
    training.play(even, objective=objective(method, shape))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--one", choices=ROWS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(measured(args.one))
        return
    print(f"{cpu_name()}; torch {torch.__version__}; float32; largest resident size after two steps")
    print(f"{'step':32} {'measured, GB':>12} {'plan, GB':>9} {'plan / measured':>16}")
    for name in args.rows or ROWS:
        command = [sys.executable, __file__, "--one", name]
        found = float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        wanted = expected(name)
        print(f"{name:32} {found / 1e9:12.2f} {wanted / 1e9:9.2f} {wanted / found:16.2f}", flush=True)


if __name__ == "__main__":
    main()
