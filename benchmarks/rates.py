"""Which learning rates suit the base models: mean validation loss by rates and mixture.

Trains the `cpu` scale of config.yaml on the tokens and on the mixtures of a finished run, with a seed that is
in no table, and reads the validation split. Run it after `make reproduce`:
`python benchmarks/rates.py [--results DIR]`; a quarter of an hour on two cores.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml

SEED = 7
SCALE, SCENARIO, CORPUS = "cpu", "pretrain", "slim7"
#: (rate of the blocks' matrices, rate of the rest).
RATES = ((0.02, 0.02), (0.01, 0.02), (0.04, 0.02), (0.02, 0.01), (0.02, 0.04))
MIXTURES = ("uniform", "natural", "chameleon")


def validation_loss(results: str, mixture: str, rates: tuple[float, float]) -> float:
    """Return the mean over domains of the validation loss (nats/token) after a base run."""
    from chameleon.core.seeds import derive
    from chameleon.data.tokens import TokenCorpus
    from chameleon.evaluation.perplexity import block_losses, blocks
    from chameleon.mixing import MixtureSchedule
    from chameleon.training.device import setup_torch
    from chameleon.training.loop import Training
    from chameleon.training.model import ModelShape
    from chameleon.training.recipe import Recipe

    setup_torch(1)
    config: dict[str, Any] = yaml.safe_load(Path("config.yaml").read_text())
    scale = config["scales"][SCALE]
    tokens = TokenCorpus(Path(results) / "tokens" / CORPUS / "manifest.json")
    answer = json.loads((Path(results) / "weights" / SCENARIO / mixture / "seed0.json").read_text())
    (stage,) = answer["stages"]
    shape = ModelShape(**scale["model"], vocab_size=tokens.vocab_size)
    recipe = Recipe(**scale["train"] | {"lr": rates[0], "adam_lr": rates[1]})
    streams = {d: tokens.stream(d, "train") for d in tokens.domains}
    run = Training(
        shape, recipe, streams, derive(SEED, "init", "rates"), derive(SEED, "data", "rates"), label=""
    )
    model = run.play(MixtureSchedule.static(stage["weights"]))
    held_out = config["evaluation"]["validation_tokens"]
    losses = []
    for domain in tokens.domains:
        ids, _ = blocks(tokens.stream(domain, "validation"), held_out, shape.context, domain)
        losses.append(float(block_losses(model, ids).mean()))
    return sum(losses) / len(losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of a finished run")
    results = parser.parse_args().results
    cells = [(results, mixture, rates) for rates in RATES for mixture in MIXTURES]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(cells, pool.map(validation_loss, *zip(*cells, strict=True)), strict=True))
    print(f"{'lr, adam_lr':14}" + "".join(f"{m:>12}" for m in MIXTURES) + f"{'mean':>12}")
    for rates in RATES:
        losses = [found[results, m, rates] for m in MIXTURES]
        shown = "".join(f"{x:12.3f}" for x in (*losses, sum(losses) / len(losses)))
        print(f"{rates[0]:<6g} {rates[1]:<7g}{shown}")


if __name__ == "__main__":
    main()
