"""The frozen swarm that `chameleon score-method` reads: real small runs, every mixture under three seeds.

The mixtures are RegMix's of the first two seeds in `pretrain` of config.yaml; every one is trained with the
initialisation and the data order of three seeds, so that the noise of a single run can be seen. Also trains
one expert per domain, and keeps its losses by block. Reads the tokens of a finished run and takes from it
what is trained already; writes chameleon/methods/frozen/. Run after `make reproduce`, and only when the
corpora, the tokenizer or the small scale have changed:
`python benchmarks/frozen_swarm.py [--results DIR] [--work DIR] [--workers N]`; under an hour of a core.
"""

import argparse
import csv
import io
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

SCENARIO, SWARM, EXPERTS, CORPUS = "pretrain", "regmix", "single_domain", "slim7"
DRAWS, SEEDS = (0, 1), (0, 1, 2)
OUT = Path(__file__).parents[1] / "chameleon" / "methods" / "frozen"


def trained(spec: dict[str, Any], results: str, work: str) -> dict[str, Any]:
    """Return the runs of a swarm's part, trained unless `work` holds them already."""
    from chameleon.core.artifacts import read_json
    from chameleon.stages.swarm import swarm

    out = Path(work) / f"{spec['method']}_{spec['group']}_seed{spec['seed']}" / "part.json"
    if not out.exists():
        swarm(spec, [Path(results) / "tokens" / CORPUS / "manifest.json"], out, 1)
    runs: dict[str, Any] = read_json(out)["runs"]
    return runs


def parts(
    results: Path, work: Path, workers: int
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Return the rows of the swarm, the experts' runs, and the spec that all have in common."""
    from chameleon.core.artifacts import read_json
    from chameleon.experiment import specs
    from chameleon.experiment.load import load_files

    cfg = load_files([Path("config.yaml")])
    rows, wanted = [], []
    for draw in DRAWS:
        for group in specs.swarm_groups(cfg, SCENARIO, SWARM, draw):
            own = specs.swarm(cfg, SCENARIO, SWARM, draw, group)
            done = results / "runs" / SCENARIO / SWARM / f"seed{draw}" / "swarm" / f"{group}.json"
            for seed in SEEDS:
                if seed == draw and done.exists() and _same(read_json(done)["runs"], own["runs"]):
                    rows += _rows(read_json(done)["runs"], draw, seed)
                    continue
                other = specs.swarm(cfg, SCENARIO, SWARM, seed, group)
                wanted.append(
                    (draw, {**own, "seeds": other["seeds"], "seed": seed, "group": f"{draw}{group}"})
                )
    experts = [
        specs.swarm(cfg, SCENARIO, EXPERTS, 0, g) for g in specs.swarm_groups(cfg, SCENARIO, EXPERTS, 0)
    ]
    asked = [*experts, *(spec for _, spec in wanted)]
    with ProcessPoolExecutor(workers) as pool:
        found = list(pool.map(trained, asked, [str(results)] * len(asked), [str(work)] * len(asked)))
    for (draw, spec), runs in zip(wanted, found[len(experts) :], strict=True):
        rows += _rows(runs, draw, spec["seed"])
    singles = {name: run for runs in found[: len(experts)] for name, run in runs.items()}
    return sorted(rows, key=lambda row: (row["mixture"], row["seed"])), singles, experts[0]


def _same(runs: dict[str, Any], asked: dict[str, Any]) -> bool:
    return {name: run["weights"] for name, run in runs.items()} == asked


def _rows(runs: dict[str, Any], draw: int, seed: int) -> list[dict[str, Any]]:
    return [{"mixture": f"d{draw}_{name}", "seed": seed, **run} for name, run in runs.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a finished run")
    parser.add_argument("--work", type=Path, default=Path("results/frozen_swarm"), help="what was trained")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()

    from chameleon.core.artifacts import write_json, write_text
    from chameleon.core.provenance import cpu_name, versions
    from chameleon.data.tokens import TokenCorpus
    from chameleon.experiment import specs
    from chameleon.experiment.load import load_files

    rows, experts, spec = parts(args.results, args.work, args.workers)
    tokens = TokenCorpus(args.results / "tokens" / CORPUS / "manifest.json")
    domains = sorted(tokens.domains)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mixture", "seed", *(f"weight_{d}" for d in domains), *(f"loss_{d}" for d in domains)])
    for row in rows:
        weights = [f"{row['weights'][d]:.9g}" for d in domains]
        writer.writerow([row["mixture"], row["seed"], *weights, *(f"{row['loss'][d]:.6f}" for d in domains)])
    write_text(OUT / "slim7.csv", text.getvalue())
    about = {"model": spec["model"], "train": spec["train"], "validation_tokens": spec["validation_tokens"]}
    asked = specs.weights(load_files([Path("config.yaml")]), SCENARIO, SWARM, 0)
    base_run = {"steps": asked["total_steps"], "token_budget": asked["token_budget"]}
    write_json(
        OUT / "slim7.json",
        {
            "corpus": CORPUS,
            "domains": domains,
            "tokens": {d: len(tokens.stream(d, "train")) for d in domains},
            "corpus_sha256": tokens.sha256,
            "tokenizer_sha256": tokens.tokenizer_sha256,
            **about,
            "seeds": list(SEEDS),
            "base": base_run,
            "experts": {
                name: {
                    "weights": run["weights"],
                    "loss": run["loss"],
                    "blocks": {d: [round(x, 5) for x in run["blocks"][d]] for d in domains},
                    "block_tokens": run["block_tokens"],
                }
                for name, run in sorted(experts.items())
            },
            "device": cpu_name(),
            "versions": versions(),
            "made_by": "benchmarks/frozen_swarm.py",
        },
    )
    print(f"{len(rows)} rows of {len({row['mixture'] for row in rows})} mixtures, {len(experts)} experts")


if __name__ == "__main__":
    main()
