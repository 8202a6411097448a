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
        "python -m chameleon job fetch --spec {params.spec:q} --out {output:q} 2>&1 | tee -i {log:q}"


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
        out=subpath(output.report, parent=True),
    shell:
        "python -m chameleon job prepare --spec {params.spec:q} --out {params.out:q} --threads {threads}"
        " 2>&1 | tee -i {log:q}"


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
        corpora=subpath(input.first, ancestor=2),
        out=subpath(output.tokenizer, parent=True),
    shell:
        "python -m chameleon job tokenizer --spec {params.spec:q} --corpora {params.corpora:q} --out {params.out:q}"
        " 2>&1 | tee -i {log:q}"


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
        # Not a param: it decides no token, and asking for more must not write all shards again.
        asked=spec(specs.asked, "corpus"),
        mem_mb=4000,
        runtime=120,
    params:
        spec=spec(specs.tokens, "corpus"),
        corpus=subpath(input.report, parent=True),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.manifest, parent=True),
    shell:
        "python -m chameleon job tokens --spec {params.spec:q} --corpus {params.corpus:q}"
        " --tokenizer {params.tokenizer:q} --out {params.out:q} --threads {threads} --asked {resources.asked:q}"
        " 2>&1 | tee -i {log:q}"
