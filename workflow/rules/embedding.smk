# 3. Domain embeddings under a proxy, or under the model that is finetuned.


rule embed:
    input:
        tokens="<results>/tokens/{corpus}/manifest.json",
        model=reads(paths.embedder_model, "embedder", "seed"),
    output:
        embeddings="<results>/embeddings/{embedder}/seed{seed}/{corpus}.json",
        record="<results>/embeddings/{embedder}/seed{seed}/{corpus}.run.json",
    log:
        "<logs>/embed/{embedder}/seed{seed}/{corpus}.log",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(2000),
        runtime=240,
        gpu=GPU,
    params:
        spec=spec(specs.embed, "embedder", "corpus", "seed"),
    shell:
        "python -m chameleon job embed --spec {params.spec:q} --tokens {input.tokens:q} --model {input.model:q}"
        " --out {output.embeddings:q} --threads {threads} 2>&1 | tee -i {log:q}"


localrules:
    encoder,


# The frozen sentence encoder of `embed_with: sentences`: into the cache, from where jobs read it.
rule encoder:
    input:
        paths.encoder_files(CFG),
    output:
        "<results>/encoder/source.json",
    log:
        "<logs>/encoder.log",
    retries: 2
    conda:
        "../../envs/suite.yaml"
    params:
        spec=spec(specs.encoder),
    shell:
        "python -m chameleon job encoder --spec {params.spec:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule sentences:
    input:
        "<results>/encoder/source.json",
        tokens="<results>/tokens/{corpus}/manifest.json",
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        embeddings="<results>/embeddings/sentences/seed{seed}/{corpus}.json",
        record="<results>/embeddings/sentences/seed{seed}/{corpus}.run.json",
    log:
        "<logs>/sentences/seed{seed}/{corpus}.log",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.sentences, "corpus", "seed"),
        tokenizer=subpath(input.tokenizer, parent=True),
    shell:
        "python -m chameleon job sentences --spec {params.spec:q} --tokens {input.tokens:q}"
        " --tokenizer {params.tokenizer:q} --out {output.embeddings:q} --threads {threads} 2>&1 | tee -i {log:q}"
