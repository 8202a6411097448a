# Stage 6: tidy files, and from them alone tables and figures.


localrules:
    collect,
    tables,
    figures,


rule collect:
    input:
        METRICS,
    output:
        TIDY,
    log:
        "<logs>/collect.log",
    params:
        spec=lambda wildcards: plan.dump(plan.collect(CFG)),
        results=CFG.results,
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon collect --spec {params.spec:q} --results {params.results} 2>&1 | tee {log}"


rule tables:
    input:
        tidy=TIDY,
        corpora=expand("<results>/corpora/{corpus}/report.json", corpus=CFG.corpora),
    output:
        report(TABLES, category="Tables", caption="../report/table.rst"),
    log:
        "<logs>/tables.log",
    params:
        spec=lambda wildcards: plan.dump(plan.tables(CFG)),
        results=CFG.results,
        out=f"{CFG.results}/tables",
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon tables --spec {params.spec:q} --results {params.results} --out {params.out}"
        " 2>&1 | tee {log}"


rule figures:
    input:
        TIDY,
    output:
        FIGURES,
    log:
        "<logs>/figures.log",
    params:
        spec=lambda wildcards: plan.dump(plan.figures(CFG)),
        results=CFG.results,
        out=f"{CFG.results}/figures",
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon figures --spec {params.spec:q} --results {params.results} --out {params.out}"
        " 2>&1 | tee {log}"
