# Reads and checks the config. What decides jobs is plain Python: chameleon.experiment.specs says which there are and
# what each one is, chameleon.experiment.paths which files it reads.
import sys
from functools import cache
from pathlib import Path

from chameleon.core.errors import UserError
from chameleon.experiment import config_file, load, names, paths, specs
from chameleon.experiment.hooks import ending, starting
from chameleon.experiment.specs import study
from chameleon.reporting import catalogue
from chameleon.sensitivity import catalogue as study_catalogue

try:
    # Snakemake has read and merged the files with a reader of its own, which lets more pass.
    for file in workflow.configfiles:
        config_file.read(file)
    CFG = load.load(config, "config.yaml and what was merged into it")
    names.check_writable(CFG)
    specs.check_finished(CFG)
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
    part="[0-9]+",
    embedder="(proxy|untrained|base)_[a-z0-9_]+",
    variant="[A-Za-z0-9_.-]+",


# Jobs that read, gather and tokenise a part of a corpus each; 1: none, one job does it.
PARTS = CFG.raw["data"].get("parts", 1)
# The wildcards of one run.
RUN = ("scenario", "method", "seed")
# What a job that trains one model asks the scheduler for: as many processes train it together, of one or, with the
# resource `nodes` of a profile, of several nodes. What all other jobs ask for that work on a GPU, and how many models a
# swarm's worker stacks.
GPUS = CFG.raw.get("gpus_per_job", 0)
GPU = min(1, GPUS)
STACK = CFG.raw.get("swarm", {}).get("stack", 1)
# How often the state of a run is saved.
STATES = CFG.states


def spec(function, *names):
    """Return a params function: the JSON spec that `function` makes for the wildcards `names`.

    Each is made once: whenever a job ends, Snakemake asks anew for those of all jobs that wait.
    """
    made = cache(lambda *values: specs.dump(function(CFG, *values)))

    def params(wildcards):
        return made(
            *(
                int(wildcards[n]) if n in ("seed", "part") else wildcards[n]
                for n in names
            )
        )

    return params


def memory(megabytes):
    """Return a resource function: so much memory at a job's first attempt, as much more at every retry."""
    return lambda wildcards, attempt: megabytes * attempt


def reads(function, *names):
    """Return an input function: the paths that `function` gives for the wildcards `names`."""
    return lambda wildcards: function(CFG, *(wildcards[name] for name in names))


# Whether a method's weights move while the base model trains: then training reads what the weights were made from.
ONLINE = reads(paths.is_online, "method")


def folders(name):
    """Return a params function: folders of the runs whose results are the input `name`, and files of a swarm."""
    return lambda wildcards, input: paths.run_folders(input[name])


def parts_of(stem):
    """Return the folders of all parts of a corpus; none where it is not prepared in parts."""
    if PARTS == 1:
        return []
    return expand(f"<results>/{stem}{{part}}", part=range(PARTS), allow_missing=True)


def flag(name, folder=False):
    """Return a params function: `--name`, path for the input of that name (its folder), or nothing without it."""

    def params(wildcards, input):
        path = getattr(input, name)
        if not path:
            return []
        return [f"--{name}", path.rsplit("/", 1)[0] if folder else path]

    return params


def shown(folder, stem, name, scenario, kind):
    """Return an output that the report shows, under its category and with its caption."""
    form = folder.rstrip("s")
    place = catalogue.place(name, scenario, specs.kinds(CFG).get(scenario), form)
    labels = {"shows": place.shows, "scenario": scenario or "all"}
    return report(
        f"<results>/{folder}/{stem}.{kind}",
        caption=f"../report/{form}_{name}.rst",
        category=place.category,
        subcategory=place.subcategory,
        labels=labels,
    )


def study_shown(folder, name, kind):
    """Return an output of the sensitivity study that the report shows, with its caption."""
    return report(
        f"<results>/{folder}s/sensitivity_{name}.{kind}",
        caption=f"../report/{folder}_sensitivity_{name}.rst",
        category=catalogue.CATEGORIES["sensitivity"],
        labels=study_catalogue.labels(name, folder),
    )
