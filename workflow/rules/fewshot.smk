# Stage 5, continued: the few-shot tasks, and all base models of a scenario on them in one process.
from chameleon import plan_fewshot


localrules:
    items,


rule items:
    input:
        lambda wildcards: plan_fewshot.own_files(CFG),
    output:
        listed="<results>/fewshot/tasks/items.json",
        record="<results>/fewshot/tasks/run.json",
    log:
        "<logs>/items.log",
    retries: 2
    conda:
        "../../envs/suite.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        spec=lambda wildcards: plan.dump(plan_fewshot.items(CFG)),
    shell:
        "python -m chameleon items --spec {params.spec:q} --out $(dirname {output.listed}) 2>&1 | tee {log}"


rule fewshot:
    input:
        tasks=branch(
            lambda wildcards: plan_fewshot.uses_items(CFG),
            then="<results>/fewshot/tasks/items.json",
            otherwise=[],
        ),
        models=lambda wildcards: [
            f"<results>/runs/{wildcards.scenario}/{m}/seed{n}/model"
            for m in CFG.methods(wildcards.scenario)
            for n in CFG.seeds
        ],
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
        mem_mb=4000,
        runtime=720,
        gpu=GPUS,
    params:
        spec=lambda wildcards: plan.dump(plan_fewshot.fewshot(CFG, wildcards.scenario)),
    shell:
        "python -m chameleon fewshot --spec {params.spec:q} --results $(dirname $(dirname {output.scores}))"
        " --out {output.scores} --threads {threads} 2>&1 | tee {log}"
