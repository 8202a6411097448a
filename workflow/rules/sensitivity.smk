# Beside the main line: how Chameleon's weights move with its settings and seeds. Only where the config has a
# sensitivity block; no base model is trained for it.
STUDIED = bool(CFG.raw.get("sensitivity"))
STUDY_JOBS = study.jobs(CFG) if STUDIED else []
STUDY_TIDY = [f"<results>/{name}.csv" for name in study_catalogue.TIDY]
STUDY_FILES = [
    *(
        f"<results>/tables/sensitivity_{name}.{kind}"
        for name in study_catalogue.TABLES
        for kind in ("csv", "md")
    ),
    *(f"<results>/figures/sensitivity_{name}.pdf" for name in study_catalogue.FIGURES),
]
STUDY_PAGES = [
    *(f"<results>/tables/sensitivity_{name}.html" for name in study_catalogue.TABLES),
    *(f"<results>/figures/sensitivity_{name}.png" for name in study_catalogue.FIGURES),
]
# What `all` asks for.
SENSITIVITY = [*STUDY_TIDY, *STUDY_FILES, *STUDY_PAGES] if STUDIED else []

if STUDIED:

    localrules:
        sensitivity,
        sensitivity_report,

    rule sensitivity_proxy:
        input:
            tokens=reads(paths.study_manifests),
            tokenizer="<results>/tokenizer/tokenizer.json",
        output:
            model=directory("<results>/sensitivity/proxies/{variant}/seed{seed}/model"),
            log="<results>/sensitivity/proxies/{variant}/seed{seed}/training.csv",
            mixture="<results>/sensitivity/proxies/{variant}/seed{seed}/mixture.json",
            record="<results>/sensitivity/proxies/{variant}/seed{seed}/run.json",
        log:
            "<logs>/sensitivity/proxy/{variant}/seed{seed}.log",
        conda:
            "../../envs/suite.yaml"
        threads: CFG.raw["threads"]["train"]
        resources:
            mem_mb=memory(2000),
            runtime=1440,
            gpu=GPU,
            states=STATES,
        params:
            spec=spec(study.proxy, "variant", "seed"),
            tokenizer=subpath(input.tokenizer, parent=True),
            out=subpath(output.record, parent=True),
        shell:
            "python -m chameleon job sensitivity_proxy --spec {params.spec:q} --tokens {input.tokens:q}"
            " --tokenizer {params.tokenizer:q} --out {params.out:q} --threads {threads} --states {resources.states:q}"
            " 2>&1 | tee -i {log:q}"

    rule sensitivity_embed:
        input:
            tokens=reads(paths.study_manifests),
            model=reads(paths.study_model, "variant", "seed"),
        output:
            embeddings="<results>/sensitivity/embeddings/{variant}/seed{seed}.json",
            record="<results>/sensitivity/embeddings/{variant}/seed{seed}.run.json",
        log:
            "<logs>/sensitivity/embed/{variant}/seed{seed}.log",
        conda:
            "../../envs/suite.yaml"
        threads: CFG.raw["threads"]["evaluate"]
        resources:
            mem_mb=memory(2000),
            runtime=240,
            gpu=GPU,
        params:
            spec=spec(study.embed, "variant", "seed"),
        shell:
            "python -m chameleon job sensitivity_embed --spec {params.spec:q} --tokens {input.tokens:q}"
            " --model {input.model:q} --out {output.embeddings:q} --threads {threads} 2>&1 | tee -i {log:q}"

    rule sensitivity:
        input:
            [
                f"<results>/sensitivity/embeddings/{variant}/seed{seed}.json"
                for variant, seed in STUDY_JOBS
            ],
        output:
            weights=STUDY_TIDY[0],
            others=STUDY_TIDY[1:],
            record="<results>/sensitivity/run.json",
        log:
            "<logs>/sensitivity.log",
        conda:
            "../../envs/suite.yaml"
        params:
            spec=spec(study.measure),
            results=subpath(output.weights, parent=True),
        shell:
            "python -m chameleon job sensitivity --spec {params.spec:q} --results {params.results:q}"
            " 2>&1 | tee -i {log:q}"

    rule sensitivity_report:
        input:
            weights=STUDY_TIDY[0],
            others=STUDY_TIDY[1:],
        output:
            pages=[
                study_shown("table", name, "html") for name in study_catalogue.TABLES
            ],
            figures=[
                study_shown("figure", name, "png") for name in study_catalogue.FIGURES
            ],
            others=STUDY_FILES,
            record="<results>/sensitivity/report.run.json",
        log:
            "<logs>/sensitivity_report.log",
        conda:
            "../../envs/suite.yaml"
        params:
            spec=spec(study.report),
            results=subpath(input.weights, parent=True),
        shell:
            "python -m chameleon job sensitivity_report --spec {params.spec:q} --results {params.results:q}"
            " 2>&1 | tee -i {log:q}"
