# Reads and checks the config; everything that decides jobs is in chameleon.plan.
import sys

from chameleon import config as chameleon_config
from chameleon import plan
from chameleon.errors import UserError
from chameleon.catalogue import (
    CORPUS_TABLES,
    category,
    FIGURES as FIGURE_NAMES,
    TABLES as TABLE_NAMES,
    TIDY as TIDY_NAMES,
)

try:
    CFG = chameleon_config.load(config, "config.yaml and what was merged into it")
    chameleon_config.check_results_dir(CFG)
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
# File stem -> name in the catalogue, which decides caption and category.
TABLE_STEMS = {f"{s}_{t}": t for s in CFG.scenarios for t in TABLE_NAMES} | {
    t: t for t in CORPUS_TABLES
}
FIGURE_STEMS = {f"{s}_{f}": f for s in CFG.scenarios for f in FIGURE_NAMES}
TABLES = [
    f"<results>/tables/{stem}.{kind}" for stem in TABLE_STEMS for kind in ("csv", "md")
]
TABLE_PAGES = [f"<results>/tables/{stem}.html" for stem in TABLE_STEMS]
FIGURES = [f"<results>/figures/{stem}.png" for stem in FIGURE_STEMS]
FIGURE_PDFS = [f"<results>/figures/{stem}.pdf" for stem in FIGURE_STEMS]


def shown(folder, stem, name, kind):
    """Return an output that the report shows, under its category and with its caption."""
    scenario = stem.removesuffix(name).rstrip("_")
    labels = {
        "scenario": scenario or "all",
        "shows": name.replace("_", " "),
        "kind": folder.rstrip("s"),
    }
    return report(
        f"<results>/{folder}/{stem}.{kind}",
        caption=f"../report/{folder.rstrip('s')}_{name}.rst",
        category=category(name),
        labels=labels,
    )


GPUS = CFG.raw.get("gpus_per_job", 0)


def spec(stage, *names):
    """Return a params function: the JSON spec of `plan.<stage>` for the wildcards `names`."""

    def params(wildcards):
        values = [int(wildcards[n]) if n == "seed" else wildcards[n] for n in names]
        return plan.dump(getattr(plan, stage)(CFG, *values))

    return params


def manifests(wildcards):
    """Token manifests of a scenario's corpora."""
    return [
        f"<results>/tokens/{c}/manifest.json"
        for c in CFG.raw["scenarios"][wildcards.scenario]["corpora"]
    ]


def embedding_files(wildcards):
    """Embeddings a method asked for: none, or one file per corpus of the scenario."""
    if not plan.needs_embeddings(CFG, wildcards.method):
        return []
    corpora = CFG.raw["scenarios"][wildcards.scenario]["corpora"]
    return [
        f"<results>/embeddings/{wildcards.scenario}/seed{wildcards.seed}/{c}.json"
        for c in corpora
    ]


def run_folders(wildcards, input):
    """Folders of a method's extra runs; their names are the run ids."""
    return [path.rsplit("/", 1)[0] for path in input.runs]


def is_online(wildcards):
    """Whether a method's weights move while the base model trains."""
    return CFG.method(wildcards.method)[0].online


def user_files(wildcards):
    """The user's own files that a method reads."""
    method, params = CFG.method(wildcards.method)
    return method.files(params)


def extra_results(wildcards):
    """Results of the runs that a method needs before it can answer."""
    runs = plan.extra_runs(
        CFG, wildcards.scenario, wildcards.method, int(wildcards.seed)
    )
    folder = f"<results>/runs/{wildcards.scenario}/{wildcards.method}/seed{wildcards.seed}/extra"
    return [f"{folder}/{r.run_id}/result.json" for r in runs]
