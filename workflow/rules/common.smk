# Reads and checks the config; everything that decides jobs is in chameleon.plan.
import sys
from pathlib import Path

from chameleon import catalogue
from chameleon import config as chameleon_config
from chameleon import plan
from chameleon.errors import UserError

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
    group="part[0-9]+",
    embedder="(proxy|base)_[a-z0-9_]+",


RUNS = [(s, m, n) for s in CFG.scenarios for m in CFG.methods(s) for n in CFG.seeds]
METRICS = [f"<results>/metrics/{s}/{m}/seed{n}.json" for s, m, n in RUNS]
# What forgetting is measured against: the models that finetuning starts from, whether or not they are run.
STARTS = [
    f"<results>/metrics/{base['of']}/{base['method']}/seed{n}.json"
    for base in (CFG.raw["scenarios"][s]["base"] for s in CFG.scenarios)
    if "of" in base
    for n in CFG.seeds
]
FEWSHOT = [
    f"<results>/fewshot/{s}.json" for s in CFG.scenarios if plan.has_fewshot(CFG, s)
]
TIDY = [f"<results>/{name}.csv" for name in catalogue.TIDY]
# File stem -> (name in the catalogue, which decides caption and category; scenario or None).
TABLE_STEMS = catalogue.table_stems(plan.kinds(CFG))
FIGURE_STEMS = catalogue.figure_stems(plan.kinds(CFG))
TABLES = [
    f"<results>/tables/{stem}.{kind}" for stem in TABLE_STEMS for kind in ("csv", "md")
]
TABLE_PAGES = [f"<results>/tables/{stem}.html" for stem in TABLE_STEMS]
FIGURES = [f"<results>/figures/{stem}.png" for stem in FIGURE_STEMS]
FIGURE_PDFS = [f"<results>/figures/{stem}.pdf" for stem in FIGURE_STEMS]


def shown(folder, stem, name, scenario, kind):
    """Return an output that the report shows, under its category and with its caption."""
    form = folder.rstrip("s")
    place = catalogue.place(name, scenario, plan.kinds(CFG).get(scenario), form)
    labels = {"shows": place.shows, "scenario": scenario or "all"}
    return report(
        f"<results>/{folder}/{stem}.{kind}",
        caption=f"../report/{form}_{name}.rst",
        category=place.category,
        subcategory=place.subcategory,
        labels=labels,
    )


GPUS = CFG.raw.get("gpus_per_job", 0)
STACK = CFG.raw.get("swarm", {}).get("stack", 1)


def spec(stage, *names):
    """Return a params function: the JSON spec of `plan.<stage>` for the wildcards `names`."""

    def params(wildcards):
        values = [int(wildcards[n]) if n == "seed" else wildcards[n] for n in names]
        return plan.dump(getattr(plan, stage)(CFG, *values))

    return params


EMBEDDERS = plan.embedders(CFG)


def manifests(wildcards):
    """Token manifests of a scenario's corpora."""
    return [
        f"<results>/tokens/{c}/manifest.json"
        for c in CFG.raw["scenarios"][wildcards.scenario]["corpora"]
    ]


def tested_manifests(wildcards):
    """The same, and those of the corpora that a finetuned model was pretrained on."""
    kept = dict.fromkeys(plan.kept_domains(CFG, wildcards.scenario).values())
    more = [f"<results>/tokens/{c}/manifest.json" for c in kept]
    return list(dict.fromkeys([*manifests(wildcards), *more]))


def embedding_files(wildcards):
    """Embeddings a method asked for: none, or one file per corpus of the scenario."""
    if not plan.needs_embeddings(CFG, wildcards.method):
        return []
    embedder = CFG.embedder(wildcards.scenario, wildcards.method)
    corpora = CFG.raw["scenarios"][wildcards.scenario]["corpora"]
    return [
        f"<results>/embeddings/{embedder}/seed{wildcards.seed}/{c}.json"
        for c in corpora
    ]


def embedder_model(wildcards):
    """The model behind an embedder's name: a scenario's proxy, or a base model."""
    kind, scenario, method = EMBEDDERS[wildcards.embedder]
    if kind == "proxy":
        return f"<results>/proxies/{scenario}/seed{wildcards.seed}/model"
    return f"<results>/runs/{scenario}/{method}/seed{wildcards.seed}/model"


def start_model(wildcards):
    """The checkpoint that a base run goes on from: none, or the model to be finetuned."""
    base = CFG.raw["scenarios"][wildcards.scenario]["base"]
    if "of" not in base:
        return []
    return f"<results>/runs/{base['of']}/{base['method']}/seed{wildcards.seed}/model"


def run_paths(wildcards, input):
    """Folders of a method's extra runs (their names are the run ids) and files of its swarm."""
    paths = [Path(path) for path in input.runs]
    return [str(p.parent if p.name == "result.json" else p) for p in paths]


def after_folders(wildcards, input):
    """Folders of the runs that an extra run waited for."""
    return [str(Path(path).parent) for path in input.after]


def is_online(wildcards):
    """Whether a method's weights move while the base model trains."""
    return CFG.method(wildcards.method)[0].online


def user_files(wildcards):
    """The user's own files that a method reads."""
    method, params = CFG.method(wildcards.method)
    return method.files(params)


def others(wildcards):
    """Weights of the methods that a method builds on."""
    method, params = CFG.method(wildcards.method)
    return [
        f"<results>/weights/{wildcards.scenario}/{label}/seed{wildcards.seed}.json"
        for label in method.uses(params)
    ]


def extra_results(wildcards):
    """Results of the runs that a method needs before it can answer: single ones, then parts of a swarm."""
    of = (CFG, wildcards.scenario, wildcards.method, int(wildcards.seed))
    folder = (
        f"<results>/runs/{wildcards.scenario}/{wildcards.method}/seed{wildcards.seed}"
    )
    return [
        *(f"{folder}/extra/{r.run_id}/result.json" for r in plan.single_runs(*of)),
        *(f"{folder}/swarm/{group}.json" for group in plan.swarm_groups(*of)),
    ]


def after_results(wildcards):
    """Results of the runs that an extra run waits for."""
    of = (CFG, wildcards.scenario, wildcards.method, int(wildcards.seed))
    folder = f"<results>/runs/{wildcards.scenario}/{wildcards.method}/seed{wildcards.seed}/extra"
    runs = [r for r in plan.after(*of, wildcards.run) if r != plan.REFERENCE]
    return [f"{folder}/{r}/result.json" for r in runs]


def reference_record(wildcards):
    """The scenario's own uniform proxy, for an extra run that asked for it."""
    of = (CFG, wildcards.scenario, wildcards.method, int(wildcards.seed))
    if plan.REFERENCE not in plan.after(*of, wildcards.run):
        return []
    return f"<results>/proxies/{wildcards.scenario}/seed{wildcards.seed}/run.json"


def flag(name, folder=False):
    """Return a params function: `--name path` for the input of that name (its folder), or nothing without it."""

    def params(wildcards, input):
        path = getattr(input, name)
        if not path:
            return ""
        return f"--{name} {path.rsplit('/', 1)[0] if folder else path}"

    return params
