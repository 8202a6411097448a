"""Does taking a domain's steps back foretell what training without it does? The `datamodel` method's claim.

For every seed: one proxy of the default config trained on all domains, with its domains' steps kept and then
taken back one by one; and one proxy per domain trained without it, for as many steps, the rest in equal
parts. Prints correlations between reversed and real effects on validation losses: of the means over domains
(one number per left-out domain), and of single losses, with those of a domain on itself and without; and
between real effects of different seeds, beyond which nothing can go. Reads the tokens of a finished default
run. Run: `python benchmarks/leave_one_out.py [--results DIR]`; a quarter of an hour on two cores.
"""

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SCENARIO, SEEDS, DRAWS = "pretrain", (0, 1, 2), 2000


def effects(results: str, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return reversed and real effects (k x k, nats/token; rows are left out), and the domains."""
    from baselines.datamodel import reversed_effects
    from chameleon.core.tensors import write_tensors
    from chameleon.data.tokens import TokenCorpus
    from chameleon.evaluation.perplexity import block_losses, blocks
    from chameleon.experiment import specs
    from chameleon.experiment.load import load_files
    from chameleon.methods.gradients.reversal import Movements
    from chameleon.mixing import MixtureSchedule
    from chameleon.mixing.types import OBJECTIVE_TENSORS
    from chameleon.training.device import setup_torch
    from chameleon.training.loop import Training
    from chameleon.training.model import Decoder, ModelShape, save_pretrained
    from chameleon.training.recipe import Recipe

    setup_torch(1)
    cfg = load_files([ROOT / "config.yaml"])
    spec = specs.proxy(cfg, SCENARIO, seed)
    (corpus,) = cfg.raw["scenarios"][SCENARIO]["corpora"]
    tokens = TokenCorpus(Path(results) / "tokens" / corpus / "manifest.json")
    names = sorted(spec["domains"])
    shape = ModelShape(**spec["model"], vocab_size=tokens.vocab_size)
    streams = {d: tokens.stream(d, "train") for d in spec["domains"]}
    count = cfg.evaluation(SCENARIO)["validation_tokens"]
    texts = {d: blocks(tokens.stream(d, "validation"), count, shape.context, d).ids for d in names}

    def measured(model: Decoder) -> dict[str, float]:
        return {d: float(block_losses(model, ids).mean()) for d, ids in texts.items()}

    def trained(weights: dict[str, float], objective: Movements | None = None) -> Decoder:
        seeds = spec["seeds"]
        run = Training(shape, Recipe(**spec["train"]), streams, seeds["init"], seeds["data"], label="")
        return run.play(MixtureSchedule.static(weights), objective=objective)

    k, objective = len(names), Movements(names)
    whole = trained(dict.fromkeys(names, 1 / k), objective)
    least = measured(whole)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(whole, Path(folder), 0)
        write_tensors(objective.tensors(whole), Path(folder) / OBJECTIVE_TENSORS, {})
        back = reversed_effects(Path(folder), names, measured)
    real = []
    for left_out in names:
        losses = measured(trained({d: (d != left_out) / (k - 1) for d in names}))
        real.append([losses[d] - least[d] for d in names])
    return back, np.array(real), names


def correlations(x: np.ndarray, y: np.ndarray) -> str:
    """Return Pearson's and Spearman's, each with a 95 % interval by drawing pairs with replacement."""
    from scipy.stats import pearsonr, spearmanr

    draws = np.random.default_rng(0).integers(0, len(x), (DRAWS, len(x)))
    said = []
    for measure in (pearsonr, spearmanr):
        drawn = [measure(x[i], y[i])[0] for i in draws if len(set(i)) > 2]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        said.append(f"{measure(x, y)[0]:7.3f} ({low:6.3f} to {high:.3f})")
    return "  ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of a finished run")
    results = parser.parse_args().results
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(effects, [results] * len(SEEDS), SEEDS))
    back, real, names = np.array([f[0] for f in found]), np.array([f[1] for f in found]), found[0][2]
    print(f"{'mean effect of':14}" + "".join(f"{d:>12}" for d in names))
    for what, of in (("real", real), ("reversed", back)):
        print(f"{what:14}" + "".join(f"{x:12.4f}" for x in of.mean(axis=(0, 2))))
    k = len(names)
    off = ~np.eye(k, dtype=bool)
    print(f"\n{'':34}{'Pearson (95 %)':26}  Spearman (95 %)")
    means, theirs = back.mean(axis=2), real.mean(axis=2)
    for seed in range(len(SEEDS)):
        print(f"{f'mean loss, seed {SEEDS[seed]}':34}{correlations(means[seed], theirs[seed])}")
    print(f"{'mean loss, mean over seeds':34}{correlations(means.mean(0), theirs.mean(0))}")
    print(f"{'single losses':34}{correlations(back.mean(0).ravel(), real.mean(0).ravel())}")
    print(f"{'single losses of other domains':34}{correlations(back.mean(0)[off], real.mean(0)[off])}")
    pairs = list(combinations(range(len(SEEDS)), 2))
    for what, of in (("real, seed against seed", theirs), ("real, single, of other domains", real[:, off])):
        one, two = (np.concatenate([of[pair[i]] for pair in pairs]) for i in (0, 1))
        print(f"{what:34}{correlations(one, two)}")


if __name__ == "__main__":
    main()
