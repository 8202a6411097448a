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
        mem_mb=2000,
        runtime=240,
        gpu=GPUS,
    params:
        spec=spec(specs.embed, "embedder", "corpus", "seed"),
    shell:
        "python -m chameleon job embed --spec {params.spec:q} --tokens {input.tokens:q} --model {input.model:q}"
        " --out {output.embeddings:q} --threads {threads} 2>&1 | tee -i {log:q}"
