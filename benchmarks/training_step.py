"""One training step at the CPU scales, in the forms that were weighed against each other.

Prints tokens/s and the ratio to the form the suite uses (eager float32, `chameleon.training.optim.Muon`).
Forms take turns, and the median of their rounds counts, so that a machine that slows down slows all of them.
One thread, as the default config trains. Run: `python benchmarks/training_step.py [--rounds N]`; `make bench`
runs `training.py`, which compares with the public library.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _turns import interleaved
from torch import Tensor

from chameleon.core.provenance import cpu_name
from chameleon.training import engine
from chameleon.training.device import keep_pages
from chameleon.training.model import Decoder, ModelShape, flops_per_token
from chameleon.training.optim import AdamW, Muon

SHAPES = {
    "cpu_swarm": ModelShape(2, 2, 32, 128, 2048, 0.05),
    "small": ModelShape(4, 2, 64, 128, 2048, 0.05),
    "cpu": ModelShape(3, 3, 96, 128, 2048, 0.05),
}
BATCH = 8


def step(
    shape: ModelShape, optimizer: str, precision: str = "fp32", compile_: str = "never", kept: bool = False
) -> Callable[[], None]:
    """Return a function that trains one step of a model on random tokens.

    Args:
        optimizer: "ours" or "torch": whose Muon.
        precision, compile_: as in a recipe.
        kept: whether the loss keeps its logits (`token_losses`).
    """
    model = Decoder(shape).initialise(0)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blocks.")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon: Any = torch.optim.Muon(matrices, lr=0.02) if optimizer == "torch" else Muon(matrices, lr=0.02)
    both = [muon, AdamW([{"params": rest}], lr=0.02)]
    tokens = torch.randint(shape.vocab_size, (BATCH, shape.context + 1))
    form, summed = engine.choose(precision, compile_, tokens.device, shape.d_model).prepared(model, tokens)
    if kept:

        def summed(tokens: Tensor, targets: Tensor) -> Tensor:
            return model(tokens, targets).sum()  # type: ignore[no-any-return]

    def run() -> None:
        with form.autocast(tokens.device):
            loss = summed(tokens[:, :-1], tokens[:, 1:]) / (BATCH * shape.context)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in both:
            part.step()
            part.zero_grad()

    return run


FORMS: dict[str, dict[str, Any]] = {
    "eager, float32, our Muon (used)": {"optimizer": "ours"},
    "eager, float32, logits kept": {"optimizer": "ours", "kept": True},
    "eager, float32, torch.optim.Muon": {"optimizer": "torch"},
    "eager, bfloat16 autocast, our Muon": {"optimizer": "ours", "precision": "bf16"},
    "torch.compile, float32, our Muon": {"optimizer": "ours", "compile_": "always"},
}


def gemm() -> float:
    """Return GFLOP/s of a 1024 x 1024 float32 product."""
    a = torch.randn(1024, 1024)
    start = time.perf_counter()
    for _ in range(5):
        a @ a
    return 5 * 2 * 1024**3 / (time.perf_counter() - start) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds per form")
    rounds = parser.parse_args().rounds
    keep_pages()
    torch.set_num_threads(1)
    print(f"{cpu_name()}; 1 thread; torch {torch.__version__}; Python {platform.python_version()}")
    print(f"float32 product 1024 x 1024: {statistics.median(gemm() for _ in range(5)):.0f} GFLOP/s")
    for scale, shape in SHAPES.items():
        steps = {name: step(shape, **form) for name, form in FORMS.items()}
        median = interleaved(steps, rounds, warm=2)
        used = median[next(iter(steps))]
        print(f"\n{scale}: {shape.n_layer} blocks of width {shape.d_model}, {BATCH} x {shape.context} tokens")
        print(f"{'form':40} {'tokens/s':>9} {'GFLOP/s':>8} {'time / used':>12}")
        for name, seconds in median.items():
            rate = BATCH * shape.context / seconds
            flops = rate * flops_per_token(shape) / 1e9
            print(f"{name:40} {rate:9.0f} {flops:8.1f} {seconds / used:12.2f}")


if __name__ == "__main__":
    main()
