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


# Where a corpus is prepared and tokenised in parts, the jobs for a part of it. What they leave is not kept: it has
# no record, and goes when what is made of it is there.
rule read:
    input:
        "<results>/corpora/{corpus}/sources.json",
    output:
        temp(directory("<results>/corpora/{corpus}/parts/read{part}")),
    log:
        "<logs>/prepare/{corpus}/read{part}.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.part_of_text, "corpus", "part"),
    shell:
        "python -m chameleon job read --spec {params.spec:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule gather:
    input:
        parts_of("corpora/{corpus}/parts/read"),
    output:
        temp(directory("<results>/corpora/{corpus}/parts/gather{part}")),
    log:
        "<logs>/prepare/{corpus}/gather{part}.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.part_of_text, "corpus", "part"),
    shell:
        "python -m chameleon job gather --spec {params.spec:q} --reads {input:q} --out {output:q}"
        " 2>&1 | tee -i {log:q}"


rule prepare:
    input:
        sources="<results>/corpora/{corpus}/sources.json",
        reads=parts_of("corpora/{corpus}/parts/read"),
        gathers=parts_of("corpora/{corpus}/parts/gather"),
    output:
        report="<results>/corpora/{corpus}/report.json",
        record="<results>/corpora/{corpus}/run.json",
    log:
        "<logs>/prepare/{corpus}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["prepare"]
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        spec=spec(specs.prepare, "corpus"),
        out=subpath(output.report, parent=True),
    shell:
        "python -m chameleon job prepare --spec {params.spec:q} --reads {input.reads:q} --gathers {input.gathers:q}"
        " --out {params.out:q} --threads {threads} 2>&1 | tee -i {log:q}"


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
        mem_mb=memory(4000),
        runtime=60,
    params:
        spec=spec(specs.tokenizer),
        corpora=subpath(input.first, ancestor=2),
        out=subpath(output.tokenizer, parent=True),
    shell:
        "python -m chameleon job tokenizer --spec {params.spec:q} --corpora {params.corpora:q} --out {params.out:q}"
        " 2>&1 | tee -i {log:q}"


rule encode:
    input:
        report="<results>/corpora/{corpus}/report.json",
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        temp(directory("<results>/tokens/{corpus}/parts/encode{part}")),
    log:
        "<logs>/tokens/{corpus}/encode{part}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["tokenize"]
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.part_of_tokens, "corpus", "part"),
        corpus=subpath(input.report, parent=True),
        tokenizer=subpath(input.tokenizer, parent=True),
    shell:
        "python -m chameleon job encode --spec {params.spec:q} --corpus {params.corpus:q}"
        " --tokenizer {params.tokenizer:q} --out {output:q} --threads {threads} 2>&1 | tee -i {log:q}"


rule tokens:
    input:
        report="<results>/corpora/{corpus}/report.json",
        tokenizer="<results>/tokenizer/tokenizer.json",
        encoded=parts_of("tokens/{corpus}/parts/encode"),
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
        mem_mb=memory(4000),
        runtime=120,
    params:
        spec=spec(specs.tokens, "corpus"),
        corpus=subpath(input.report, parent=True),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.manifest, parent=True),
    shell:
        "python -m chameleon job tokens --spec {params.spec:q} --corpus {params.corpus:q}"
        " --tokenizer {params.tokenizer:q} --encoded {input.encoded:q} --out {params.out:q} --threads {threads}"
        " --asked {resources.asked:q} 2>&1 | tee -i {log:q}"
