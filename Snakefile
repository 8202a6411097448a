"""The suite from text to tables: corpora, tokens, proxy, embeddings, weights, base training, evaluation, report."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/embedding.smk"
include: "workflow/rules/weighting.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/reporting.smk"
include: "workflow/rules/sensitivity.smk"


localrules:
    all,
    models,


rule all:
    default_target: True
    input:
        TIDY,
        TABLES,
        TABLE_PAGES,
        FIGURES,
        FIGURE_PDFS,
        SENSITIVITY,
        "<results>/summary.html",
        "<results>/page.html",


onstart:
    starting.began(Path(CFG.results), workflow)


# What is there is shown also after a run that failed (no dry run calls this); a complete run removes that again.
onerror:
    ending.failed(CFG, workflow)


onsuccess:
    ending.succeeded(CFG, workflow)


# Stop after training and testing: what a cluster does while tables are made elsewhere.
rule models:
    input:
        paths.metrics(CFG),
