# Stage 6: tidy files, and from them alone tables and figures.


localrules:
    collect,
    tables,
    figures,
    summary,


rule collect:
    input:
        METRICS,
        STARTS,
        FEWSHOT,
    output:
        metrics="<results>/metrics.csv",
        others=TIDY[1:],
        record="<results>/run.json",
    log:
        "<logs>/collect.log",
    conda:
        "../../envs/suite.yaml"
    params:
        spec=lambda wildcards: plan.dump(plan.collect(CFG)),
    shell:
        "python -m chameleon collect --spec {params.spec:q} --results $(dirname {output.metrics}) 2>&1 | tee {log}"


rule tables:
    input:
        metrics="<results>/metrics.csv",
        tidy=TIDY,
        corpora=expand("<results>/corpora/{corpus}/report.json", corpus=CFG.corpora),
    output:
        pages=[
            shown("tables", stem, name, scenario, "html")
            for stem, (name, scenario) in TABLE_STEMS.items()
        ],
        corpora=TABLES[:1],
        tables=TABLES[1:],
        record="<results>/tables/run.json",
    log:
        "<logs>/tables.log",
    conda:
        "../../envs/suite.yaml"
    params:
        spec=lambda wildcards: plan.dump(plan.tables(CFG)),
    shell:
        "python -m chameleon tables --spec {params.spec:q} --results $(dirname {input.metrics}) --out $(dirname {output.corpora})"
        " 2>&1 | tee {log}"


rule figures:
    input:
        metrics="<results>/metrics.csv",
        tidy=TIDY,
    output:
        weights=FIGURE_PDFS[:1],
        pdfs=FIGURE_PDFS[1:],
        record="<results>/figures/run.json",
        figures=[
            shown("figures", stem, name, scenario, "png")
            for stem, (name, scenario) in FIGURE_STEMS.items()
        ],
    log:
        "<logs>/figures.log",
    conda:
        "../../envs/suite.yaml"
    params:
        spec=lambda wildcards: plan.dump(plan.figures(CFG)),
    shell:
        "python -m chameleon figures --spec {params.spec:q} --results $(dirname {input.metrics}) --out $(dirname {output.weights})"
        " 2>&1 | tee {log}"


# The report's first page: its landing text shows summary.md.
rule summary:
    input:
        metrics="<results>/metrics.csv",
        tidy=TIDY,
    output:
        text="<results>/summary.md",
        page=report(
            "<results>/summary.html",
            caption="../report/summary.rst",
            category=catalogue.place("summary").category,
            labels={"shows": "summary"},
        ),
        record="<results>/summary.run.json",
    log:
        "<logs>/summary.log",
    conda:
        "../../envs/suite.yaml"
    params:
        spec=lambda wildcards: plan.dump(plan.tables(CFG)),
    shell:
        "python -m chameleon summary --spec {params.spec:q} --results $(dirname {input.metrics}) 2>&1 | tee {log}"
