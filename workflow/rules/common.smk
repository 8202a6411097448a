# Reads and checks the config; everything that decides jobs is in chameleon.plan.
import sys

from chameleon import config as chameleon_config
from chameleon import plan
from chameleon.errors import UserError
from chameleon.catalogue import CORPUS_TABLES, FIGURES as FIGURE_NAMES, TABLES as TABLE_NAMES, TIDY as TIDY_NAMES

try:
    CFG = chameleon_config.load(config, "config.yaml and what was merged into it")
except UserError as error:
    sys.exit(f"error: {error}")


pathvars:
    results=CFG.results,
    logs=f"{CFG.results}/logs",


wildcard_constraints:
    corpus="[a-z][a-z0-9_]*",
    scenario="[a-z][a-z0-9_]*",
    method="[a-z][a-z0-9_]*",
    seed="[0-9]+",
    run="[A-Za-z0-9_.-]+",


RUNS = [(s, m, n) for s in CFG.scenarios for m in CFG.methods(s) for n in CFG.seeds]
METRICS = [f"<results>/metrics/{s}/{m}/seed{n}.json" for s, m, n in RUNS]
TIDY = [f"<results>/{name}.csv" for name in TIDY_NAMES]
TABLES = [
    f"<results>/tables/{name}.{kind}"
    for kind in ("csv", "md")
    for name in [*CORPUS_TABLES, *(f"{s}_{t}" for s in CFG.scenarios for t in TABLE_NAMES)]
]
FIGURES = [f"<results>/figures/{s}_{f}.{kind}" for kind in ("png", "pdf") for s in CFG.scenarios for f in FIGURE_NAMES]
GPUS = CFG.raw.get("gpus_per_job", 0)


def spec(stage, *names):
    """Return a params function: the JSON spec of `plan.<stage>` for the wildcards `names`."""

    def params(wildcards):
        values = [int(wildcards[n]) if n == "seed" else wildcards[n] for n in names]
        return plan.dump(getattr(plan, stage)(CFG, *values))

    return params


def manifests(wildcards):
    """Token manifests of a scenario's corpora."""
    return [f"<results>/tokens/{c}/manifest.json" for c in CFG.raw["scenarios"][wildcards.scenario]["corpora"]]


def embedding_files(wildcards):
    """Embeddings a method asked for: none, or one file per corpus of the scenario."""
    if not plan.needs_embeddings(CFG, wildcards.method):
        return []
    corpora = CFG.raw["scenarios"][wildcards.scenario]["corpora"]
    return [f"<results>/embeddings/{wildcards.scenario}/seed{wildcards.seed}/{c}.json" for c in corpora]


def extra_results(wildcards):
    """Results of the runs that a method needs before it can answer."""
    runs = plan.extra_runs(CFG, wildcards.scenario, wildcards.method, int(wildcards.seed))
    folder = f"<results>/runs/{wildcards.scenario}/{wildcards.method}/seed{wildcards.seed}/extra"
    return [f"{folder}/{r.run_id}/result.json" for r in runs]
