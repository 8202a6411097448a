"""How time grows with tokens, with parameters and with the number of domains; log-log slopes and a figure.

Training: one job, one thread, the default recipe, widths at the `cpu` scale's depth. Domains: a DoGE step
with one block a domain, the embedding of every domain, and Chameleon's weights from the embeddings. Each
point is the median of repeated measurements, and the sizes take turns. Writes docs/figures/growth.png.
Run: `make bench`, or `python benchmarks/growth.py [--rounds N]`.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from _turns import docs_figure, header, interleaved
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from chameleon import krls
from chameleon.embedding.embed import window_means
from chameleon.methods.reweighting.doge import DogeObjective
from chameleon.mixing.schedule import MixtureSchedule
from chameleon.mixing.types import StepInfo
from chameleon.training.device import keep_pages
from chameleon.training.loop import Training
from chameleon.training.model import Decoder, ModelShape
from chameleon.training.recipe import Recipe

CONTEXT, VOCAB = 128, 2048
INFO = StepInfo(step=100, total_steps=1000, lr_factor=1.0, learning_rate=0.02, grad_clip=1.0)


class Random:
    """A stream of random tokens."""

    ids = np.random.default_rng(0).integers(VOCAB, size=1 << 18)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        part: np.ndarray = self.ids[start:stop]
        return part


def trained(shape: ModelShape, steps: int, batch: int = 8) -> Callable[[], None]:
    """Return a function that trains a fresh model."""
    recipe = Recipe("muon", 0.02, batch, steps, adam_lr=0.02)
    streams: Any = {"a": Random(), "b": Random()}

    def run() -> None:
        training = Training(shape, recipe, streams, init_seed=0, data_seed=0, label="")
        training.play(MixtureSchedule.static({"a": 0.5, "b": 0.5}))

    return run


def doge(k: int) -> Callable[[], None]:
    shape = ModelShape(4, 2, 64, CONTEXT, VOCAB, 0.05)
    model = Decoder(shape).initialise(0)
    names = [f"d{i:03d}" for i in range(k)]
    objective = DogeObjective(names, target_batch="same", step_size=5e-4)
    tokens = torch.randint(VOCAB, (k, CONTEXT + 1))

    def run() -> None:
        objective.step(model, tokens[:, :-1], tokens[:, 1:], names, INFO)

    return run


def embedded(k: int, windows: int = 16) -> Callable[[], None]:
    model = Decoder(ModelShape(4, 2, 64, CONTEXT, VOCAB, 0.05)).initialise(0).eval()
    starts = np.arange(windows) * CONTEXT

    def run() -> None:
        for _ in range(k):
            window_means(model, Random(), starts, CONTEXT, 2)  # type: ignore[arg-type]

    return run


def weighed(k: int) -> Callable[[], None]:
    x = np.random.default_rng(0).normal(size=(k, 64))

    def run() -> None:
        krls.pretrain_weights(krls.scores_of(x))

    return run


def of_width(width: int) -> ModelShape:
    return ModelShape(3, width // 32, width, CONTEXT, VOCAB, 0.05)


SWEEPS: dict[str, tuple[str, dict[float, Callable[[], None]]]] = {
    "training, tokens": ("tokens", {n * 1024.0: trained(of_width(96), n) for n in (5, 10, 20, 40, 80)}),
    "training, parameters": (
        "parameters",
        {float(of_width(w).parameters): trained(of_width(w), 5) for w in (64, 128, 256, 512)},
    ),
    "DoGE step, domains": ("domains", {float(k): doge(k) for k in (4, 8, 16, 32, 64)}),
    "embedding, domains": ("domains", {float(k): embedded(k) for k in (4, 8, 16, 32)}),
    "weights from embeddings, domains": (
        "domains",
        {float(k): weighed(k) for k in (10, 100, 1000, 10_000, 100_000)},
    ),
}


def slope(found: Mapping[float, float]) -> float:
    return float(np.polyfit(np.log(list(found)), np.log(list(found.values())), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds per size")
    rounds = parser.parse_args().rounds
    keep_pages()
    torch.set_num_threads(1)
    print(header("1 thread, float32", "numpy", "matplotlib"))
    print(f"{'what':34} {'from':>10} {'to':>10} {'seconds':>9} {'to':>9} {'slope':>6} {'last step':>10}")
    results = {}
    for name, (_, points) in SWEEPS.items():
        results[name] = found = interleaved(points, rounds)
        sizes = list(found)
        last = slope({x: found[x] for x in sizes[-2:]})
        print(
            f"{name:34} {sizes[0]:10.0f} {sizes[-1]:10.0f} {found[sizes[0]]:9.4f} {found[sizes[-1]]:9.4f} "
            f"{slope(found):6.2f} {last:10.2f}",
            flush=True,
        )
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, unit in zip(panels, ("tokens", "parameters", "domains"), strict=True):
        for name, (of, _) in SWEEPS.items():
            if of == unit:
                found = results[name]
                label = f"{name.rsplit(',', 1)[0]} (slope {slope(found):.2f})"
                axes.loglog(list(found), list(found.values()), marker="o", label=label)
        axes.set_xlabel(unit)
        # Below the panel: curves may lie anywhere in it.
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
        axes.grid(alpha=0.3)
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            axis.set_major_locator(LogLocator(subs=(1,) if high > 1000 * low else (1, 3)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("seconds")
    figure.savefig(docs_figure("growth.png"), dpi=110)


if __name__ == "__main__":
    main()
