# 6. Tidy files, and from them alone tables and figures.


FEWSHOT = [
    f"<results>/fewshot/{s}.json" for s in CFG.scenarios if specs.has_fewshot(CFG, s)
]
TIDY = [f"<results>/{name}.csv" for name in catalogue.TIDY]
# File stem -> (name in the catalogue, which decides caption and category; scenario or None).
TABLE_STEMS = catalogue.table_stems(specs.kinds(CFG), specs.with_unseen(CFG))
FIGURE_STEMS = catalogue.figure_stems(specs.kinds(CFG))
TABLES = [
    f"<results>/tables/{stem}.{kind}" for stem in TABLE_STEMS for kind in ("csv", "md")
]
TABLE_PAGES = [f"<results>/tables/{stem}.html" for stem in TABLE_STEMS]
FIGURES = [f"<results>/figures/{stem}.png" for stem in FIGURE_STEMS]
FIGURE_PDFS = [f"<results>/figures/{stem}.pdf" for stem in FIGURE_STEMS]


localrules:
    collect,
    tables,
    figures,
    summary,
    page,


rule collect:
    input:
        paths.metrics(CFG),
        paths.start_metrics(CFG),
        paths.forecasts(CFG),
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
        spec=spec(specs.collect),
        results=subpath(output.metrics, parent=True),
    shell:
        "python -m chameleon job collect --spec {params.spec:q} --results {params.results:q} 2>&1 | tee -i {log:q}"


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
        spec=spec(specs.tables),
        results=subpath(input.metrics, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job tables --spec {params.spec:q} --results {params.results:q} --out {params.out:q}"
        " 2>&1 | tee -i {log:q}"


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
        spec=spec(specs.figures),
        results=subpath(input.metrics, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job figures --spec {params.spec:q} --results {params.results:q} --out {params.out:q}"
        " 2>&1 | tee -i {log:q}"


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
        spec=spec(specs.tables),
        results=subpath(input.metrics, parent=True),
    shell:
        "python -m chameleon job summary --spec {params.spec:q} --results {params.results:q} 2>&1 | tee -i {log:q}"


# All of it on one page that needs nothing else: charts, tables, verdicts.
rule page:
    input:
        metrics="<results>/metrics.csv",
        tidy=TIDY,
    output:
        page=report(
            "<results>/page.html",
            caption="../report/page.rst",
            category=catalogue.place("summary").category,
            labels={"shows": "page"},
        ),
        record="<results>/page.run.json",
    log:
        "<logs>/page.log",
    conda:
        "../../envs/suite.yaml"
    params:
        spec=spec(specs.page),
        results=subpath(input.metrics, parent=True),
    shell:
        "python -m chameleon job page --spec {params.spec:q} --results {params.results:q} 2>&1 | tee -i {log:q}"
