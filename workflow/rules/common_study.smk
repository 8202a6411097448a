# What the rules of the sensitivity study need; the main line is in common.smk.
from chameleon.sensitivity import catalogue as study_names
from chameleon.sensitivity import plan as study

STUDIED = bool(CFG.raw.get("sensitivity"))
STUDY_JOBS = study.jobs(CFG) if STUDIED else []
STUDY_TIDY = [f"<results>/{name}.csv" for name in study_names.TIDY]
STUDY_FILES = [
    *(
        f"<results>/tables/sensitivity_{name}.{kind}"
        for name in study_names.TABLES
        for kind in ("csv", "md")
    ),
    *(f"<results>/figures/sensitivity_{name}.pdf" for name in study_names.FIGURES),
]
STUDY_PAGES = [
    *(f"<results>/tables/sensitivity_{name}.html" for name in study_names.TABLES),
    *(f"<results>/figures/sensitivity_{name}.png" for name in study_names.FIGURES),
]
# What `all` asks for.
SENSITIVITY = [*STUDY_TIDY, *STUDY_FILES, *STUDY_PAGES] if STUDIED else []


def study_spec(stage):
    """Return a params function: the JSON spec of `sensitivity.plan.<stage>` for a variant and seed."""
    return lambda wildcards: plan.dump(
        getattr(study, stage)(CFG, wildcards.variant, int(wildcards.seed))
    )


def study_manifests(wildcards):
    """Token manifests of the studied scenario's corpora."""
    corpora = CFG.raw["scenarios"][study.chosen(CFG).scenario]["corpora"]
    return [f"<results>/tokens/{c}/manifest.json" for c in corpora]


def study_model(wildcards):
    """A variant's proxy: the experiment's own where it has one, else one trained for the study."""
    folder = study.model_folder(CFG, wildcards.variant, int(wildcards.seed))
    return f"<results>/{folder}/model"


def study_shown(folder, name, kind):
    """Return an output that the report shows, with its caption."""
    return report(
        f"<results>/{folder}s/sensitivity_{name}.{kind}",
        caption=f"../report/{folder}_sensitivity_{name}.rst",
        category=study_names.category(),
        labels=study_names.labels(name, folder),
    )
