"""How a trainer would draw from an exported mixture: by its own library where that is here, else likewise.

A drawer takes weights, a number of samples and a seed, and returns how many fell on each entry.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np

Drawer = Callable[[Sequence[float], int, int], np.ndarray]


def random(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Return counts of independent draws."""
    shares = np.asarray(weights, dtype=np.float64)
    return np.random.default_rng(seed).multinomial(draws, shares / shares.sum())


def shares(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Return counts dealt out by largest remainders: trainers whose order is not a matter of chance."""
    exact = np.asarray(weights, dtype=np.float64) / np.sum(weights) * draws
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: draws - counts.sum()]] += 1
    return counts


def blocks(weights: Sequence[float], draws: int, size: int) -> np.ndarray:
    """Return counts of levanter's blocks, all alike: shares are cut down, the largest takes what is left."""
    counts = (np.asarray(weights, dtype=np.float64) / np.sum(weights) * size).astype(np.int64)
    counts[np.argmax(counts)] += size - counts.sum()
    return counts * max(1, round(draws / size))


def _datasets(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Draw with `datasets.interleave_datasets` over rows that name their source."""
    from datasets import Dataset, interleave_datasets

    total = sum(weights)
    # Rows enough that none runs out before `draws` (eight standard deviations), not much more.
    rows = [int(draws * w / total + 8 * (draws * w / total) ** 0.5 + 8) for w in weights]
    parts = [Dataset.from_dict({"source": np.full(n, i)}) for i, n in enumerate(rows)]
    mixed = interleave_datasets(parts, probabilities=[w / total for w in weights], seed=seed)
    drawn = np.asarray(mixed.select(range(min(draws, len(mixed))))["source"][:])
    return np.bincount(drawn, minlength=len(weights))


def _megatron(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Draw with megatron-core's own blending; it leaves nothing to chance."""
    from megatron.core.datasets import helpers

    index, samples = np.zeros(draws, dtype=np.int16), np.zeros(draws, dtype=np.int64)
    normal = (np.asarray(weights) / np.sum(weights)).tolist()
    helpers.build_blending_indices(index, samples, normal, len(weights), draws, False)
    return np.bincount(index, minlength=len(weights))


def _streaming(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Ask Mosaic Streaming how many samples it chooses of each stream in an epoch of that size."""
    from streaming import Stream

    streams = [Stream(local=str(i), proportion=weight) for i, weight in enumerate(weights)]
    Stream.apply_weights(streams, np.full(len(weights), draws, dtype=np.int64), draws, seed)
    return np.array([stream.choose for stream in streams], dtype=np.int64)


def _torchtitan(weights: Sequence[float], draws: int, seed: int) -> np.ndarray:
    """Draw with torchtitan's InterleavedDataset over sources without end."""
    from itertools import islice, repeat

    from torchtitan.hf_datasets.interleaved import InterleavedDataset

    class Source:
        def __init__(self, i: int) -> None:
            self.i = i

        def __iter__(self):
            return repeat(self.i)

        def state_dict(self) -> dict:
            return {}

        def load_state_dict(self, state: dict) -> None: ...

    mixed = InterleavedDataset([Source(i) for i in range(len(weights))], list(weights), seed=seed)
    return np.bincount(np.fromiter(islice(mixed, draws), dtype=np.int64), minlength=len(weights))


OWN: dict[str, Drawer] = {"random": random, "shares": shares}
#: Trainer to its library's distribution and its drawer.
LIBRARIES: dict[str, tuple[str, Drawer]] = {
    "datasets": ("datasets", _datasets),
    "llama-factory": ("datasets", _datasets),
    "megatron": ("megatron-core", _megatron),
    "streaming": ("mosaicml-streaming", _streaming),
    "llm-foundry": ("mosaicml-streaming", _streaming),
    "torchtitan": ("torchtitan", _torchtitan),
}


def draw(trainer: str, how: str, weights: Sequence[float], draws: int, seed: int) -> tuple[np.ndarray, str]:
    """Return how many of the draws fall on each entry, and by what they were drawn."""
    by = "our own draw"
    if trainer in LIBRARIES:
        library, drawer = LIBRARIES[trainer]
        try:
            return drawer(weights, draws, seed), f"{library} {version(library)}"
        except ImportError:
            by += f" ({library} is not installed here)"
    return OWN[how](weights, draws, seed), by
