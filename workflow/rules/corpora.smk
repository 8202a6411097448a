# Stage 1: text to token shards.


localrules:
    fetch,


rule fetch:
    output:
        "<results>/corpora/{corpus}/sources.json",
    log:
        "<logs>/fetch/{corpus}.log",
    params:
        spec=spec("fetch", "corpus"),
    retries: 2
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon fetch --spec {params.spec:q} --out {output} 2>&1 | tee {log}"


rule prepare:
    input:
        "<results>/corpora/{corpus}/sources.json",
    output:
        report="<results>/corpora/{corpus}/report.json",
    log:
        "<logs>/prepare/{corpus}.log",
    params:
        spec=spec("prepare", "corpus"),
    threads: CFG.raw["threads"]["prepare"]
    resources:
        mem_mb=4000,
        runtime=120,
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon prepare --spec {params.spec:q} --out $(dirname {output.report}) --threads {threads}"
        " 2>&1 | tee {log}"


rule tokenizer:
    input:
        expand("<results>/corpora/{corpus}/report.json", corpus=CFG.corpora),
    output:
        "<results>/tokenizer/tokenizer.json",
        "<results>/tokenizer/run.json",
    log:
        "<logs>/tokenizer.log",
    params:
        spec=lambda wildcards: plan.dump(plan.tokenizer(CFG)),
        corpora=f"{CFG.results}/corpora",
        out=f"{CFG.results}/tokenizer",
    threads: CFG.raw["threads"]["tokenize"]
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon tokenizer --spec {params.spec:q} --corpora {params.corpora} --out {params.out}"
        " 2>&1 | tee {log}"


rule tokens:
    input:
        report="<results>/corpora/{corpus}/report.json",
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        manifest="<results>/tokens/{corpus}/manifest.json",
        record="<results>/tokens/{corpus}/run.json",
    log:
        "<logs>/tokens/{corpus}.log",
    params:
        spec=spec("tokens", "corpus"),
    threads: CFG.raw["threads"]["tokenize"]
    resources:
        mem_mb=4000,
        runtime=120,
    conda:
        "../../envs/suite.yaml"
    shell:
        "python -m chameleon tokens --spec {params.spec:q} --corpus $(dirname {input.report})"
        " --tokenizer $(dirname {input.tokenizer}) --out $(dirname {output.manifest}) --threads {threads}"
        " 2>&1 | tee {log}"
