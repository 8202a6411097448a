# 5. Base models on test text, and all of a scenario on the few-shot tasks in one process.


localrules:
    items,


rule evaluate:
    input:
        tokens=reads(paths.tested_manifests, "scenario"),
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
        mem_mb=memory(2000),
        runtime=240,
        gpu=GPU,
    params:
        spec=spec(specs.evaluate, *RUN),
    shell:
        "python -m chameleon job evaluate --spec {params.spec:q} --tokens {input.tokens:q} --model {input.model:q}"
        " --out {output.metrics:q} --threads {threads} 2>&1 | tee -i {log:q}"


rule items:
    input:
        lambda wildcards: specs.own_files(CFG),
    output:
        listed="<results>/fewshot/tasks/items.json",
        record="<results>/fewshot/tasks/run.json",
    log:
        "<logs>/items.log",
    # A download may be cut off; a mistake in files of your own stays one.
    retries: 0 if specs.own_files(CFG) else 2
    conda:
        "../../envs/suite.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        spec=spec(specs.items),
        out=subpath(output.listed, parent=True),
    shell:
        "python -m chameleon job items --spec {params.spec:q} --out {params.out:q} 2>&1 | tee -i {log:q}"


rule fewshot:
    input:
        tasks=branch(
            lambda wildcards: specs.uses_items(CFG),
            then="<results>/fewshot/tasks/items.json",
            otherwise=[],
        ),
        models=reads(paths.models, "scenario"),
    output:
        scores="<results>/fewshot/{scenario}.json",
        record="<results>/fewshot/{scenario}.run.json",
    log:
        "<logs>/fewshot/{scenario}.log",
    priority: 5
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(4000),
        runtime=720,
        gpu=GPU,
    params:
        spec=spec(specs.fewshot, "scenario"),
        results=subpath(output.scores, ancestor=2),
    shell:
        "python -m chameleon job fewshot --spec {params.spec:q} --results {params.results:q}"
        " --out {output.scores:q} --threads {threads} 2>&1 | tee -i {log:q}"
