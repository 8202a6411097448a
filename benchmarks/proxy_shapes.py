"""Do Chameleon's weights for new domains repeat with another proxy of the same cost, or with a dearer one?

Proxies of many shapes and recipes are trained on the seven domains of `pretrain`, several seeds each, and
embed the fifteen of `transfer` as the pipeline does; the first row is the default's, for its seeds the very
weights of the pipeline. Prints per proxy its cost beside a base model's, how well the scores agree over
seeds (mean rank correlation; relative deviation, root mean square over domains), and how far two seeds'
weights are apart (total variation, mean and largest over pairs) on the seven domains and on all fifteen, at
the fixed temperature and at the one that grows with the number of domains. Below: how well scores have to
repeat for two users' weights to be 0.1 apart in the mean, by drawing relative errors around the default
proxies' mean scores; and how far apart those proxies' weights are under other ridges and temperatures.
Reads the tokens of a finished default run.
Run: `python benchmarks/proxy_shapes.py [--results DIR]`; half an hour on two cores.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chameleon.mixture.settings import Weighed

ROOT = Path(__file__).resolve().parents[1]
SEEDS, DRAWS, WITHIN = range(5), 4000, 0.1
OLD, ALL = "pretrain", "transfer"
RIDGES, TEMPERATURES = (0.1, 1, 3, 10, 30, 100, 1000), (5, 10, 20, 40)


def _sizes(layers: int, heads: int, width: int, steps: int) -> dict[str, dict[str, Any]]:
    return {"model": {"n_layer": layers, "n_head": heads, "d_model": width}, "train": {"steps": steps}}


#: What differs from the default proxy, as long as a third of a base model's FLOPs lasts; then dearer ones.
PROXIES: dict[str, dict[str, dict[str, Any]]] = {
    "default: 4 x 48, 400 steps": {},
    "2 x 48, 580 steps": _sizes(2, 3, 48, 580),
    "6 x 48, 305 steps": _sizes(6, 3, 48, 305),
    "4 x 32, 700 steps": _sizes(4, 2, 32, 700),
    "8 x 32, 450 steps": _sizes(8, 2, 32, 450),
    "2 x 64, 393 steps": _sizes(2, 2, 64, 393),
    "4 x 64, 265 steps": _sizes(4, 2, 64, 265),
    "1 x 96, 310 steps": _sizes(1, 3, 96, 310),
    "3 x 96, 173 steps": _sizes(3, 3, 96, 173),
    "2 x 128, 144 steps": _sizes(2, 4, 128, 144),
    "batches of 4, 800 steps": {"train": {"batch_size": 4, "steps": 800}},
    "batches of 16, 200 steps": {"train": {"batch_size": 16, "steps": 200}},
    "rate 0.01": {"train": {"lr": 0.01, "adam_lr": 0.01}},
    "constant rate": {"train": {"min_lr_ratio": 1.0}},
    "init_std 0.02": {"model": {"init_std": 0.02}},
    "AdamW, rate 0.01": {"train": {"optimizer": "adamw", "lr": 0.01, "adam_lr": None}},
    "4 x 48, 1200 steps": _sizes(4, 3, 48, 1200),
    "4 x 48, 3600 steps": _sizes(4, 3, 48, 3600),
    "a base: 3 x 96, 520 steps": _sizes(3, 3, 96, 520),
    "a base, 1560 steps": _sizes(3, 3, 96, 1560),
}


def embeddings(results: str, name: str, seed: int) -> tuple[np.ndarray, float]:
    """Return the fifteen domains' embeddings under one proxy (k x d), and its training's FLOPs (base: 1)."""
    from chameleon.data.tokens import TokenCorpus
    from chameleon.embedding.embed import embed
    from chameleon.experiment import specs
    from chameleon.experiment.load import load_files
    from chameleon.mixing import MixtureSchedule
    from chameleon.training.device import setup_torch
    from chameleon.training.loop import Training
    from chameleon.training.model import ModelShape, flops_per_token
    from chameleon.training.recipe import Recipe

    setup_torch(1)
    cfg = load_files([ROOT / "config.yaml"])
    spec, corpora = specs.proxy(cfg, OLD, seed), cfg.raw["scenarios"][ALL]["corpora"]
    tokens = {c: TokenCorpus(Path(results) / "tokens" / c / "manifest.json") for c in corpora}
    own = {d: next(t for t in tokens.values() if d in t.domains).stream(d, "train") for d in spec["domains"]}
    vocab_size = next(iter(tokens.values())).vocab_size

    def sizes(given: dict[str, Any]) -> tuple[ModelShape, Recipe]:
        return ModelShape(**given["model"], vocab_size=vocab_size), Recipe(**given["train"])

    def flops(shape: ModelShape, recipe: Recipe) -> float:
        return flops_per_token(shape, training=True) * recipe.steps * recipe.batch_size * shape.context

    asked = {part: {**spec[part], **PROXIES[name].get(part, {})} for part in ("model", "train")}
    shape, recipe = sizes(asked)
    share = flops(shape, recipe) / flops(
        *sizes(cfg.raw["scales"][cfg.raw["scenarios"][OLD]["base"]["scale"]])
    )
    run = Training(shape, recipe, own, spec["seeds"]["init"], spec["seeds"]["data"], label="")
    model = run.play(MixtureSchedule.static(dict.fromkeys(own, 1 / len(own)))).eval()
    rows: dict[str, list[float]] = {}
    for corpus, text in tokens.items():
        artefact, _ = embed(model, text, specs.embed(cfg, f"proxy_{OLD}", corpus, seed))
        rows |= artefact["rows"]
    # The domains of `pretrain` first.
    return np.array([rows[d] for d in [*own, *(d for d in cfg.domains(ALL) if d not in own)]]), share


def uneven(weights: Sequence[np.ndarray]) -> float:
    """Return the mean total variation distance to equal weights."""
    from chameleon.reporting.statistics.stats import total_variation

    return float(np.mean([total_variation(w, np.full(len(w), 1 / len(w))) for w in weights]))


def needed(seeds: "Sequence[Weighed]") -> float:
    """Return the relative error of the seeds' mean scores at which two users' weights are `WITHIN` apart."""
    from chameleon.krls import pretrain_weights

    scores, temperature = np.exp(np.log([one.scores for one in seeds]).mean(axis=0)), seeds[0].temperature
    errors = np.random.default_rng(0).standard_normal((DRAWS, 2, len(scores)))

    def distance(sigma: float) -> float:
        drawn = scores * np.exp(sigma * errors)
        drawn /= drawn.sum(axis=-1, keepdims=True)
        weights = np.apply_along_axis(pretrain_weights, -1, drawn, temperature)
        return float(np.abs(weights[:, 0] - weights[:, 1]).sum(axis=-1).mean() / 2)

    low, high = 1e-4, 1.0
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if distance(middle) < WITHIN else (low, middle)
    return low


def deviation(seeds: "Sequence[Weighed]") -> float:
    """Return the relative deviation of scores over seeds, root mean square over domains."""
    return float(np.sqrt(np.log([one.scores for one in seeds]).var(axis=0, ddof=1).mean()))


def print_settings(embedded: Sequence[np.ndarray]) -> None:
    """Print how far apart, and how far from equal, weights are under other ridges and temperatures."""
    from chameleon.mixture.settings import Settings, weigh
    from chameleon.sensitivity.spread import pairwise

    print("\nthe default proxies on 15, two seeds apart by (from uniform)")
    print(f"{'ridge':8}" + "".join(f"{f'T={t:g}':>16}" for t in TEMPERATURES))
    for ridge in RIDGES:
        line = f"{ridge:<8g}"
        for t in TEMPERATURES:
            weights = [weigh(x, Settings(ridge=ridge, temperature=t)).weights for x in embedded]
            line += f"{np.mean(pairwise(weights)):.3f} ({uneven(weights):.2f})".rjust(16)
        print(line)


def main() -> None:
    from scipy.stats import spearmanr

    from chameleon.mixture.settings import Settings, weigh
    from chameleon.sensitivity.spread import pairwise

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of a finished run")
    results = parser.parse_args().results
    # Domains (the first 7 are those that the proxies know) and settings of the three columns of distances.
    columns = {"7, T=5": (7, Settings()), "15, T=5": (15, Settings()),
               "15, T~k": (15, Settings(temperature={"at": 5.0, "of": 7}))}  # fmt: skip
    print(f"{'':26}{'cost':>6}{'scores of 15':>16}{'two seeds apart by: mean (largest)':>42}{'uniform':>14}")
    heads = "".join(f"{head:>16}" for head in columns)
    print(f"{'proxy':26}{'base=1':>6}{'rank':>8}{'dev.':>8}{heads}{'15, T=5':>8}", flush=True)
    jobs = [(results, name, seed) for name in PROXIES for seed in SEEDS]
    limits, default = [], ()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(embeddings, *zip(*jobs, strict=True))
        for name in PROXIES:
            rows, shares = zip(*[next(made) for _ in SEEDS], strict=True)
            found = {head: [weigh(x[:k], how) for x in rows] for head, (k, how) in columns.items()}
            many = found["15, T=5"]
            rank = np.mean([spearmanr(a.scores, b.scores)[0] for a, b in combinations(many, 2)])
            line = f"{name:26}{shares[0]:6.2f}{rank:8.2f}{deviation(many):8.1%}"
            for of in found.values():
                distances = pairwise([one.weights for one in of])
                line += f"{np.mean(distances):.3f} ({max(distances):.3f})".rjust(16)
            print(f"{line}{uneven([one.weights for one in many]):8.2f}", flush=True)
            if not PROXIES[name]:
                default = rows
                limits = [
                    f"{head:26}{needed(of):.1%}; the default proxies' deviate by {deviation(of):.1%}"
                    for head, of in found.items()
                ]
    print(f"\nfor weights {WITHIN} apart in the mean, scores have to repeat within:", *limits, sep="\n")
    print_settings(default)


if __name__ == "__main__":
    main()
