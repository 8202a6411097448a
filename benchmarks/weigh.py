"""`chameleon weigh` on folders of real text: against the reference procedure, coverage, memory and time.

Run: `python benchmarks/weigh.py official|coverage|size --corpus results/corpora/slim7 [--model NAME]`, each
part by itself (`size` needs 4 GB of disk for a while, `coverage` runs a model over `--pool` windows of every
domain).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from chameleon.mixture.settings import Settings, weigh
from chameleon.weighing import intervals, kernel
from chameleon.weighing.embedder import Embedder
from chameleon.weighing.estimate import Asked
from chameleon.weighing.models import load
from chameleon.weighing.text import sources
from chameleon.weighing.text.texts import texts

USERS, WINDOWS, LENGTH = 200, 64, 128


def write(corpus: Path, root: Path, megabytes: float | None = None) -> int:
    """Write a folder of JSON lines per domain; with `megabytes`, repeated to that size (cut elsewhere)."""
    written = 0
    names = sorted(corpus.glob("*.parquet"))
    for path in names:
        found = pd.read_parquet(path, columns=["text", "split"])
        found = found.text[found.split == "train"].tolist()
        (root / path.stem).mkdir(parents=True)
        most = None if megabytes is None else megabytes * 1e6 / len(names)
        with open(root / path.stem / "text.jsonl", "w") as handle:
            size, turn = 0, 0
            while True:
                for i, text in enumerate(found):
                    cut = (i * 7919 + turn * 104729) % max(1, len(text))
                    size += handle.write(
                        json.dumps({"id": i, "text": text[cut:] + text[:cut] if turn else text}) + "\n"
                    )
                    if most is not None and size >= most:
                        break
                turn += 1
                if most is None or size >= most:
                    break
            written += size
    return written


def drawn(root: Path, model: str, count: int) -> tuple[Embedder, dict[str, list[list[int]]]]:
    """Return an embedder and `count` windows of every domain as tokens."""
    asked = Asked(model=model, windows=count, drawn=count, window_length=LENGTH)
    found = sources.draw_folders(sources.named([root]), "text", asked.sampler)
    embedder = Embedder(load(model), None, LENGTH)
    return embedder, {name: text.first(count)[0] for name, text in texts(found, embedder).items()}


def official(root: Path, model: str) -> None:
    """Print how far embeddings and weights are from the reference procedure's on the same windows."""
    import torch

    embedder, windows = drawn(root, model, WINDOWS)
    rows, theirs, times = {}, {}, [0.0, 0.0]
    for name, ids in windows.items():
        start = time.perf_counter()
        rows[name] = embedder.embed(ids, lambda n: None)
        times[0] += time.perf_counter() - start
        start, states = time.perf_counter(), []
        for i in range(0, len(ids), 16):
            with torch.no_grad():
                hidden = embedder.model(
                    torch.tensor(ids[i : i + 16]), output_hidden_states=True
                ).hidden_states
            states.append(hidden[len(hidden) // 2].mean(dim=1).numpy())
        theirs[name] = np.concatenate(states)
        times[1] += time.perf_counter() - start
    scale = np.abs(kernel.means(theirs)).max()
    gap = np.abs(kernel.means(rows) - kernel.means(theirs)).max()
    ours, other = (weigh(kernel.means(r), Settings()).weights for r in (rows, theirs))
    print(f"{model}: {len(rows)} domains x {WINDOWS} windows of {LENGTH} tokens")
    print(f"embeddings: largest difference {gap:.2e} (largest entry {scale:.3g}, relative {gap / scale:.1e})")
    print(f"weights: largest difference {np.abs(ours - other).max():.1e}")
    print(f"seconds: {times[0]:.0f} here, {times[1]:.0f} with all blocks: {times[1] / times[0]:.1f}x")


def coverage(root: Path, model: str, pool: int) -> None:
    """Print how often the intervals of simulated users hold the weights of all windows of a pool."""
    embedder, windows = drawn(root, model, pool)
    rows = {name: embedder.embed(ids, lambda n: None).astype(float) for name, ids in windows.items()}
    print(f"{model}: {USERS} users, {WINDOWS} windows a domain, drawn from {min(map(len, rows.values()))}")
    forms = {
        "pretrain, λ = 10, T = 5": Settings(),
        "pretrain, kλ = 0.2 of the trace, T = 5": Settings(ridge={"of_trace": 0.2}),
        "finetune, λ = 10, T = 0.2": Settings("finetune"),
    }
    for label, settings in forms.items():
        truth = weigh(np.stack([r.mean(axis=0) for r in rows.values()]), settings).weights
        held, widths = [], []
        for user in range(USERS):
            rng = np.random.default_rng([user, pool])
            seen = {name: r[rng.integers(0, len(r), WINDOWS)] for name, r in rows.items()}
            groups = {name: np.arange(WINDOWS) for name in rows}
            found = intervals.bootstrap(seen, groups, settings, 0.9, user)
            held.append((found.low <= truth) & (truth <= found.high))
            widths.append(found.high - found.low)
        each = ", ".join(f"{share:.3f}" for share in np.mean(held, axis=0))
        print(f"{label}: held {np.mean(held):.3f} (by domain {each}), mean width {np.mean(widths):.3f}")


def size(corpus: Path, model: str) -> None:
    """Print seconds and peak memory of `chameleon weigh` at two sizes of the folders."""
    for megabytes in (10, 4000):
        with tempfile.TemporaryDirectory() as name:
            written = write(corpus, Path(name) / "text", megabytes)
            command = [
                sys.executable,
                "-m",
                "chameleon",
                "weigh",
                f"{name}/text",
                "--model",
                model,
                "--out",
                f"{name}/mix",
            ]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{model}, {written / 1e6:.0f} MB: {took:.0f} s, peak memory {peak:.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("official", "coverage", "size"))
    parser.add_argument("--corpus", type=Path, required=True, help="folder of a prepared corpus")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--pool", type=int, default=1024)
    args = parser.parse_args()
    if args.part == "size":
        size(args.corpus, args.model)
        return
    with tempfile.TemporaryDirectory() as name:
        write(args.corpus, Path(name) / "text")
        if args.part == "official":
            official(Path(name) / "text", args.model)
        else:
            coverage(Path(name) / "text", args.model, args.pool)


if __name__ == "__main__":
    main()
