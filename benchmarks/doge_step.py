"""A DoGE step against a plain training step and against one backward pass per domain.

Without its independent target batch, which is a second step's forward and backward pass, and with it.

Prints milliseconds and the ratio to the plain step (mean loss of the batch) of the same shape, batch and
optimizer. Forms take turns, and the median of their rounds counts, so that a machine that slows down slows
all of them. A step is forward, backward, clipping and optimizer; DoGE's also inner products, weights and
weighted gradient (`chameleon/methods/reweighting/domain_gradients.py`). `error` is the largest
relative error of the inner products against those of one pass per domain. One thread, as the default config
trains.
Run: `make bench`, or `python benchmarks/doge_step.py [--rounds N]`.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from _turns import interleaved

from chameleon.core.provenance import cpu_name
from chameleon.methods.reweighting.doge import DogeObjective
from chameleon.methods.reweighting.domain_gradients import captured
from chameleon.mixing.types import StepInfo
from chameleon.training.device import keep_pages
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.recipe import Recipe, optimizers

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from separate_gradients import naive  # noqa: E402

SHAPE = ModelShape(4, 2, 64, 128, 2048, 0.05)
RECIPE = Recipe(optimizer="muon", lr=0.02, adam_lr=0.02, batch_size=8, steps=1000)
CASES = ((7, 8), (7, 16), (7, 32), (22, 22), (22, 32))  # domains, blocks
#: Form -> the target's batch, and how the gradients are found.
FORMS = {
    "plain step": ("", captured),
    "DoGE": ("same", captured),
    "DoGE, target batch": ("independent", captured),
    "DoGE, a pass per domain": ("same", naive),
}
PLAIN = next(iter(FORMS))


def step(form: str, domains: list[str], tokens: torch.Tensor) -> Callable[[], None]:
    """Return a function that trains one step in the given form."""
    model = Decoder(SHAPE).initialise(0)
    both = optimizers(dict(model.named_parameters()), RECIPE, "fp32")
    target, gradients = FORMS[form]
    objective = DogeObjective(sorted(set(domains)), target_batch=target, step_size=5e-4)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        return tokens[:count, :-1], tokens[:count, 1:], domains[:count]

    info = StepInfo(100, 1000, lr_factor=1.0, learning_rate=0.02, grad_clip=1.0, draw=draw)

    def run() -> None:
        if form == PLAIN:
            (model.summed(tokens[:, :-1], tokens[:, 1:]) / tokens[:, 1:].numel()).backward()
        else:
            with patch("chameleon.methods.reweighting.domain_gradients.captured", gradients):
                objective.step(model, tokens[:, :-1], tokens[:, 1:], domains, info)
        torch.nn.utils.clip_grad_norm_(model.parameters(), RECIPE.grad_clip)
        for part in both:
            part.step()
            part.zero_grad()

    return run


def error(owners: list[int], tokens: torch.Tensor) -> float:
    """Return the largest error of ⟨g_i, g_j⟩ relative to |g_i||g_j|."""
    model = Decoder(SHAPE).initialise(0)
    expected, found = (f(model, tokens[:, :-1], tokens[:, 1:], owners).gram() for f in (naive, captured))
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    return float((np.abs(found - expected) / scale).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds per form")
    rounds = parser.parse_args().rounds
    keep_pages()
    torch.set_num_threads(1)
    print(f"{cpu_name()}; 1 thread; float32; torch {torch.__version__}; Python {platform.python_version()}")
    print(
        f"{SHAPE.n_layer} blocks of width {SHAPE.d_model}, context {SHAPE.context}, "
        f"vocabulary {SHAPE.vocab_size}; ratio to the plain step in brackets"
    )
    print(f"{'domains':>7} {'blocks':>6}" + "".join(f" {form:>23}" for form in FORMS) + f" {'error':>8}")
    for k, blocks in CASES:
        owners = [i % k for i in range(blocks)]
        tokens = torch.randint(
            SHAPE.vocab_size, (blocks, SHAPE.context + 1), generator=torch.Generator().manual_seed(0)
        )
        steps = {form: step(form, [f"d{i:02d}" for i in owners], tokens) for form in FORMS}
        median = interleaved(steps, rounds, warm=2)
        cells = "".join(f" {1e3 * t:13.1f} ms ({t / median[PLAIN]:.2f})" for t in median.values())
        print(f"{k:7} {blocks:6}{cells} {error(owners, tokens):8.1e}", flush=True)


if __name__ == "__main__":
    main()
