"""Do merged proxies rank mixtures as trained ones do? DeMix's claim, against the frozen swarm's real runs.

One uniform model of the swarm's scale is branched into one expert per domain; the mixtures of the frozen
swarm are merged from the experts and measured on the swarm's validation text. Prints, for several shares of
general text in the experts' data, how far the experts went (δ) and how the merged losses rank the mixtures,
beside the noise floor: a single training run of the very mixture. Experts of half general text are merged by
RegMean too, with what is beside the diagonals times 0.1 and as it is. Reads the tokens of a finished run.
Run: `python benchmarks/merged_proxies.py [--results DIR]`; some minutes of one core per seed.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SEEDS, GENERAL, STEPS = (0, 1, 2), (0.5, 0.25, 0.0), 100
#: RegMean's: share of general text in the experts merged, factors beside the diagonals, ridge.
REGMEAN, OFF_DIAGONAL, RIDGE = 0.5, (0.1, 1.0), 1e-4


def merged_losses(results: str, seed: int) -> dict[str, tuple[float, np.ndarray]]:
    """Return, by share of general text and rule, the experts' mean δ and all merged mixtures' losses."""
    from functools import partial

    from torch.nn.utils import parameters_to_vector

    from chameleon.core.artifacts import read_json
    from chameleon.core.seeds import derive
    from chameleon.data.tokens import TokenCorpus
    from chameleon.evaluation.perplexity import block_losses, blocks
    from chameleon.methods import frozen, gram
    from chameleon.methods.merging import average
    from chameleon.mixing import MixtureSchedule
    from chameleon.training.device import setup_torch
    from chameleon.training.loop import Training
    from chameleon.training.model import Decoder, ModelShape
    from chameleon.training.recipe import Recipe

    setup_torch(1)
    swarm, about = frozen.shipped(), read_json(frozen.HERE / f"{frozen.NAME}.json")
    tokens = TokenCorpus(Path(results) / "tokens" / frozen.NAME / "manifest.json")
    if tokens.sha256 != about["corpus_sha256"]:
        raise SystemExit(f"{results}: the tokens are not those of the frozen swarm")
    shape = ModelShape(**about["model"], vocab_size=tokens.vocab_size)
    streams = {d: tokens.stream(d, "train") for d in tokens.domains}
    texts = [
        blocks(tokens.stream(d, "validation"), about["validation_tokens"], shape.context, d).ids
        for d in swarm.domains
    ]

    def trained(weights: dict[str, float], start: Decoder | None, **recipe: Any) -> Decoder:
        init, data = derive(seed, "init", "proxy"), derive(seed, "data")
        kept = None
        if start is not None:
            kept = Decoder(shape)
            kept.load_state_dict(start.state_dict())
        run = Training(shape, Recipe(**about["train"] | recipe), streams, init, data, label="", start=kept)
        return run.play(MixtureSchedule.static(weights))

    k = len(swarm.domains)
    base = trained(dict.fromkeys(swarm.domains, 1 / k), None)
    before, found = parameters_to_vector(base.parameters()).detach(), {}
    for general in GENERAL:
        states, far, grams = [], [], []
        for own, ids in zip(swarm.domains, texts, strict=True):
            mixture = {d: general / k + (1 - general) * (d == own) for d in swarm.domains}
            model = trained(mixture, base, steps=STEPS)
            states.append({name: p.detach().clone() for name, p in model.named_parameters()})
            grams.append(gram.products(model, partial(block_losses, ids=ids)))
            after = parameters_to_vector(model.parameters()).detach()
            far.append(float((after - before).norm() / (after.norm() + before.norm())))
        rules: dict[str, Any] = {f"merged, general {general:g}": partial(average, states)}
        for factor in OFF_DIAGONAL if general == REGMEAN else ():
            rules[f"RegMean {factor:g}, general {general:g}"] = gram.RegMean(states, grams, factor, RIDGE)
        for name, rule in rules.items():
            losses, merged = [], Decoder(shape)
            for row in swarm.mixtures:
                merged.load_state_dict(merged.state_dict() | rule(row))
                losses.append(np.mean([block_losses(merged, ids).mean() for ids in texts]))
            found[name] = (float(np.mean(far)), np.array(losses))
    return found


def main() -> None:
    from chameleon.methods import frozen
    from chameleon.methods.frozen.score import measure

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of a finished run")
    results = parser.parse_args().results
    truth = frozen.shipped().losses.mean(axis=2)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(merged_losses, [results] * len(SEEDS), SEEDS))
    print(f"{'':26}{'delta':>7}{'spearman':>10}{'95 %':>18}{'best quarter':>14}{'regret':>9}")

    def line(what: str, delta: str, parts: list[Any]) -> None:
        bounds = [np.mean([p.interval[i] for p in parts]) for i in (0, 1)]
        rho, best, regret = (
            np.mean([getattr(p, name) for p in parts]) for name in ("spearman", "spearman_best", "regret")
        )
        interval = f"{bounds[0]:.3f} to {bounds[1]:.3f}"
        print(f"{what:26}{delta:>7}{rho:>10.3f}{interval:>18}{best:>14.3f}{regret:>9.4f}")

    for name in found[0]:
        delta = np.mean([one[name][0] for one in found])
        parts = [
            measure(one[name][1], np.delete(truth, seed, 0).mean(0), 0)
            for seed, one in zip(SEEDS, found, strict=True)
        ]
        line(name, f"{delta:.3f}", parts)
    floor = [measure(truth[s], np.delete(truth, s, 0).mean(0), 0) for s in SEEDS]
    line("one run of the mixture", "", floor)


if __name__ == "__main__":
    main()
