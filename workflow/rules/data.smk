# 1. Text to token shards.


localrules:
    fetch,


rule fetch:
    output:
        "<results>/corpora/{corpus}/sources.json",
    log:
        "<logs>/fetch/{corpus}.log",
    retries: 2
    conda:
        "../../envs/suite.yaml"
    params:
        spec=spec(specs.fetch, "corpus"),
    shell:
        "python -m chameleon job fetch --spec {params.spec:q} --out {output} 2>&1 | tee {log}"


rule prepare:
    input:
        "<results>/corpora/{corpus}/sources.json",
    output:
        report="<results>/corpora/{corpus}/report.json",
        record="<results>/corpora/{corpus}/run.json",
    log:
        "<logs>/prepare/{corpus}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["prepare"]
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spec=spec(specs.prepare, "corpus"),
    shell:
        "python -m chameleon job prepare --spec {params.spec:q} --out $(dirname {output.report}) --threads {threads}"
        " 2>&1 | tee {log}"


rule tokenizer:
    input:
        first=f"<results>/corpora/{CFG.corpora[0]}/report.json",
        reports=expand("<results>/corpora/{corpus}/report.json", corpus=CFG.corpora[1:]),
    output:
        tokenizer="<results>/tokenizer/tokenizer.json",
        record="<results>/tokenizer/run.json",
    log:
        "<logs>/tokenizer.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["tokenize"]
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        spec=spec(specs.tokenizer),
    shell:
        "python -m chameleon job tokenizer --spec {params.spec:q} --corpora $(dirname $(dirname {input.first}))"
        " --out $(dirname {output.tokenizer}) 2>&1 | tee {log}"


rule tokens:
    input:
        report="<results>/corpora/{corpus}/report.json",
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        manifest="<results>/tokens/{corpus}/manifest.json",
        record="<results>/tokens/{corpus}/run.json",
    log:
        "<logs>/tokens/{corpus}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["tokenize"]
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spec=spec(specs.tokens, "corpus"),
    shell:
        "python -m chameleon job tokens --spec {params.spec:q} --corpus $(dirname {input.report})"
        " --tokenizer $(dirname {input.tokenizer}) --out $(dirname {output.manifest}) --threads {threads}"
        " 2>&1 | tee {log}"
