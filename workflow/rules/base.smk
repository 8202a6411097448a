# Stages 4 and 5: base models under every method's weights, and their test.


rule train:
    input:
        tokens=manifests,
        weights="<results>/weights/{scenario}/{method}/seed{seed}.json",
        embeddings=branch(is_online, then=embedding_files, otherwise=[]),
        runs=branch(is_online, then=extra_results, otherwise=[]),
        others=branch(is_online, then=others, otherwise=[]),
        start=start_model,
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        model=directory("<results>/runs/{scenario}/{method}/seed{seed}/model"),
        log="<results>/runs/{scenario}/{method}/seed{seed}/training.csv",
        mixture="<results>/runs/{scenario}/{method}/seed{seed}/mixture.json",
        curve="<results>/runs/{scenario}/{method}/seed{seed}/curve.json",
        record="<results>/runs/{scenario}/{method}/seed{seed}/run.json",
    log:
        "<logs>/train/{scenario}/{method}/seed{seed}.log",
    # One process scores all models of a scenario: those first, so that it does not run alone at the end.
    priority: lambda wildcards: int(plan.has_fewshot(CFG, wildcards.scenario))
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["train"]
    resources:
        mem_mb=2000,
        runtime=2880,
        gpu=GPUS,
    params:
        spec=spec("train", "scenario", "method", "seed"),
        runs=run_paths,
        start=flag("start"),
    shell:
        "python -m chameleon train --spec {params.spec:q} --tokens {input.tokens} --weights {input.weights}"
        " --embeddings {input.embeddings} --runs {params.runs} --others {input.others} {params.start}"
        " --tokenizer $(dirname {input.tokenizer}) --out $(dirname {output.record}) --threads {threads}"
        " 2>&1 | tee {log}"


rule evaluate:
    input:
        tokens=tested_manifests,
        model="<results>/runs/{scenario}/{method}/seed{seed}/model",
    output:
        metrics="<results>/metrics/{scenario}/{method}/seed{seed}.json",
        record="<results>/metrics/{scenario}/{method}/seed{seed}.run.json",
    log:
        "<logs>/evaluate/{scenario}/{method}/seed{seed}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=2000,
        runtime=240,
        gpu=GPUS,
    params:
        spec=spec("evaluate", "scenario", "method", "seed"),
    shell:
        "python -m chameleon evaluate --spec {params.spec:q} --tokens {input.tokens} --model {input.model}"
        " --out {output.metrics} --threads {threads} 2>&1 | tee {log}"
