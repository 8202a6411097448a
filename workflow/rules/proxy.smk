# Stages 2 and 3: proxies on the uniform mixture, and domain embeddings under them (or under a base model).


rule proxy:
    input:
        tokens=manifests,
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        model=directory("<results>/proxies/{scenario}/seed{seed}/model"),
        log="<results>/proxies/{scenario}/seed{seed}/training.csv",
        mixture="<results>/proxies/{scenario}/seed{seed}/mixture.json",
        record="<results>/proxies/{scenario}/seed{seed}/run.json",
    log:
        "<logs>/proxy/{scenario}/seed{seed}.log",
    # Everything that needs weights waits for the proxies: start them before the base runs that need none.
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["train"]
    resources:
        mem_mb=2000,
        runtime=1440,
        gpu=GPUS,
    params:
        spec=spec("proxy", "scenario", "seed"),
    shell:
        "python -m chameleon proxy --spec {params.spec:q} --tokens {input.tokens}"
        " --tokenizer $(dirname {input.tokenizer}) --out $(dirname {output.record}) --threads {threads}"
        " 2>&1 | tee {log}"


rule embed:
    input:
        tokens="<results>/tokens/{corpus}/manifest.json",
        model=embedder_model,
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
        spec=spec("embed", "embedder", "corpus", "seed"),
    shell:
        "python -m chameleon embed --spec {params.spec:q} --tokens {input.tokens} --model {input.model}"
        " --out {output.embeddings} --threads {threads} 2>&1 | tee {log}"
