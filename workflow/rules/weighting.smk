# 4. Each method's weights, after the runs that it needs.


rule weights:
    input:
        tokens=reads(paths.manifests, "scenario"),
        embeddings=reads(paths.embedding_files, *RUN),
        runs=reads(paths.extra_results, *RUN),
        others=reads(paths.others, *RUN),
        played=reads(paths.played, *RUN),
        files=reads(paths.user_files, "method"),
    output:
        weights="<results>/weights/{scenario}/{method}/seed{seed}.json",
        record="<results>/weights/{scenario}/{method}/seed{seed}.run.json",
    log:
        "<logs>/weights/{scenario}/{method}/seed{seed}.log",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.weights, *RUN),
        runs=folders("runs"),
    shell:
        "python -m chameleon job weights --spec {params.spec:q} --tokens {input.tokens:q}"
        " --embeddings {input.embeddings:q} --runs {params.runs:q} --others {input.others:q}"
        " --played {input.played:q} --out {output.weights:q} --threads {threads}"
        " 2>&1 | tee -i {log:q}"


# What a method that foretells expects of the mixtures of its scenario: for a table, no weights depend on it.
rule forecast:
    input:
        tokens=reads(paths.manifests, "scenario"),
        runs=reads(paths.extra_results, *RUN),
        others=reads(paths.foretold, *RUN),
    output:
        forecast="<results>/forecasts/{scenario}/{method}/seed{seed}.json",
        record="<results>/forecasts/{scenario}/{method}/seed{seed}.run.json",
    log:
        "<logs>/forecast/{scenario}/{method}/seed{seed}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        spec=spec(specs.forecast, *RUN),
        runs=folders("runs"),
    shell:
        "python -m chameleon job forecast --spec {params.spec:q} --tokens {input.tokens:q}"
        " --runs {params.runs:q} --others {input.others:q} --out {output.forecast:q} --threads {threads}"
        " 2>&1 | tee -i {log:q}"
