# 2. Everything that trains: proxies on the uniform mixture, the runs that methods ask for, base models. First the
# checkpoints of others that a config names: from the hub, a folder or a file into one folder, and their own test.


rule provide:
    input:
        tokenizer="<results>/tokenizer/tokenizer.json",
    output:
        model=directory("<results>/checkpoints/{checkpoint}/model"),
        record="<results>/checkpoints/{checkpoint}/run.json",
    log:
        "<logs>/checkpoint/{checkpoint}.log",
    wildcard_constraints:
        checkpoint="[a-z0-9_]+",
    priority: 10
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=memory(8000),
        runtime=240,
    params:
        spec=spec(specs.checkpoint, "checkpoint"),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job checkpoint --spec {params.spec:q} --tokenizer {params.tokenizer:q}"
        " --out {params.out:q} 2>&1 | tee -i {log:q}"


rule start:
    input:
        tokens=reads(paths.tested_manifests, "scenario"),
        model=reads(paths.checkpoint_model, "scenario"),
    output:
        first=f"<results>/metrics/{{scenario}}/_start/seed{CFG.seeds[0]}.json",
        others=expand(
            "<results>/metrics/{{scenario}}/_start/seed{seed}.json", seed=CFG.seeds[1:]
        ),
        records=expand(
            "<results>/metrics/{{scenario}}/_start/seed{seed}.run.json", seed=CFG.seeds
        ),
    log:
        "<logs>/start/{scenario}.log",
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["evaluate"]
    resources:
        mem_mb=memory(8000),
        runtime=240,
        gpu=GPU,
    params:
        spec=spec(specs.start, "scenario"),
        out=subpath(output.first, parent=True),
    shell:
        "python -m chameleon job start --spec {params.spec:q} --tokens {input.tokens:q} --model {input.model:q}"
        " --out {params.out:q} --threads {threads} 2>&1 | tee -i {log:q}"


rule proxy:
    input:
        tokens=reads(paths.manifests, "scenario"),
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
        mem_mb=memory(2000),
        runtime=1440,
        # Speed only, like the stack: changing these must rerun nothing.
        gpu=GPUS,
        states=STATES,
    params:
        spec=spec(specs.proxy, "scenario", "seed"),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job proxy --spec {params.spec:q} --tokens {input.tokens:q}"
        " --tokenizer {params.tokenizer:q} --out {params.out:q} --threads {threads} --states {resources.states:q}"
        " --processes {resources.gpu} 2>&1 | tee -i {log:q}"


rule extra:
    input:
        tokens=reads(paths.manifests, "scenario"),
        tokenizer="<results>/tokenizer/tokenizer.json",
        after=reads(paths.after_results, *RUN, "run"),
        reference=reads(paths.reference_record, *RUN, "run"),
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
        mem_mb=memory(2000),
        runtime=1440,
        gpu=GPUS,
        states=STATES,
    params:
        spec=spec(specs.extra_run, *RUN, "run"),
        after=folders("after"),
        reference=flag("reference", folder=True),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job extra --spec {params.spec:q} --tokens {input.tokens:q} --after {params.after:q}"
        " {params.reference:q} --tokenizer {params.tokenizer:q} --out {params.out:q} --threads {threads} --states {resources.states:q}"
        " --processes {resources.gpu} 2>&1 | tee -i {log:q}"


# One worker's share of a method's many small runs: one process, one start-up. What it has done when it is cut
# off lies in parts/ and is not done again.
rule swarm:
    input:
        tokens=reads(paths.manifests, "scenario"),
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
        mem_mb=memory(2000),
        runtime=1440,
        gpu=GPU,
        states=STATES,
    params:
        spec=spec(specs.swarm, *RUN, "group"),
    shell:
        "python -m chameleon job swarm --spec {params.spec:q} --tokens {input.tokens:q} --out {output.results:q}"
        " --stack {resources.stack} --threads {threads} --states {resources.states:q} 2>&1 | tee -i {log:q}"


rule train:
    input:
        tokens=reads(paths.manifests, "scenario"),
        weights="<results>/weights/{scenario}/{method}/seed{seed}.json",
        embeddings=branch(ONLINE, then=reads(paths.embedding_files, *RUN), otherwise=[]),
        runs=branch(ONLINE, then=reads(paths.extra_results, *RUN), otherwise=[]),
        others=branch(ONLINE, then=reads(paths.others, *RUN), otherwise=[]),
        start=reads(paths.start_model, "scenario", "seed"),
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
    priority: lambda wildcards: int(specs.has_fewshot(CFG, wildcards.scenario))
    conda:
        "../../envs/suite.yaml"
    threads: CFG.raw["threads"]["train"]
    resources:
        mem_mb=memory(2000),
        runtime=2880,
        gpu=GPUS,
        states=STATES,
    params:
        spec=spec(specs.train, *RUN),
        runs=folders("runs"),
        start=flag("start"),
        tokenizer=subpath(input.tokenizer, parent=True),
        out=subpath(output.record, parent=True),
    shell:
        "python -m chameleon job train --spec {params.spec:q} --tokens {input.tokens:q} --weights {input.weights:q}"
        " --embeddings {input.embeddings:q} --runs {params.runs:q} --others {input.others:q} {params.start:q}"
        " --tokenizer {params.tokenizer:q} --out {params.out:q} --threads {threads} --states {resources.states:q}"
        " --processes {resources.gpu} 2>&1 | tee -i {log:q}"
