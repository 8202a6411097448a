# Stage 3: each method's weights, after the runs that it needs.


rule extra:
    input:
        tokens=manifests,
        tokenizer="<results>/tokenizer/tokenizer.json",
        after=after_results,
        reference=reference_record,
    output:
        model=directory(
            "<results>/runs/{scenario}/{method}/seed{seed}/extra/{run}/model"
        ),
        log="<results>/runs/{scenario}/{method}/seed{seed}/extra/{run}/training.csv",
        mixture="<results>/runs/{scenario}/{method}/seed{seed}/extra/{run}/mixture.json",
        result="<results>/runs/{scenario}/{method}/seed{seed}/extra/{run}/result.json",
        record="<results>/runs/{scenario}/{method}/seed{seed}/extra/{run}/run.json",
    log:
        "<logs>/extra/{scenario}/{method}/seed{seed}/{run}.log",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["train"]
    resources:
        mem_mb=2000,
        runtime=1440,
        gpu=GPUS,
    params:
        spec=spec("extra_run", "scenario", "method", "seed", "run"),
        after=after_folders,
        reference=flag("reference", folder=True),
    shell:
        "python -m chameleon extra --spec {params.spec:q} --tokens {input.tokens} --after {params.after}"
        " {params.reference} --tokenizer $(dirname {input.tokenizer}) --out $(dirname {output.record}) --threads {threads}"
        " 2>&1 | tee {log}"


# One worker's share of a method's many small runs: one process, one start-up. What it has done when it is cut
# off lies in parts/ and is not done again.
rule swarm:
    input:
        tokens=manifests,
    output:
        results="<results>/runs/{scenario}/{method}/seed{seed}/swarm/{group}.json",
        record="<results>/runs/{scenario}/{method}/seed{seed}/swarm/{group}.run.json",
    log:
        "<logs>/swarm/{scenario}/{method}/seed{seed}/{group}.log",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["train"]
    resources:
        # Not a param: it is speed only, and changing it must rerun nothing.
        stack=STACK,
        mem_mb=2000,
        runtime=1440,
        gpu=GPUS,
    params:
        spec=spec("swarm", "scenario", "method", "seed", "group"),
    shell:
        "python -m chameleon swarm --spec {params.spec:q} --tokens {input.tokens} --out {output.results}"
        " --stack {resources.stack} --threads {threads} 2>&1 | tee {log}"


rule weights:
    input:
        tokens=manifests,
        embeddings=embedding_files,
        runs=extra_results,
        others=others,
        files=user_files,
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
        mem_mb=2000,
        runtime=240,
    params:
        spec=spec("weights", "scenario", "method", "seed"),
        runs=run_paths,
    shell:
        "python -m chameleon weights --spec {params.spec:q} --tokens {input.tokens}"
        " --embeddings {input.embeddings} --runs {params.runs} --others {input.others} --out {output.weights} --threads {threads}"
        " 2>&1 | tee {log}"
