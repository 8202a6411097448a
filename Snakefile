"""The suite from text to tables: corpora, tokens, proxy, embeddings, weights, base training, evaluation, report."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/proxy.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/fewshot.smk"
include: "workflow/rules/common_study.smk"
include: "workflow/rules/sensitivity.smk"
include: "workflow/rules/results.smk"


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


# Stop after training and testing: what a cluster does while tables are made elsewhere.
rule models:
    input:
        METRICS,
