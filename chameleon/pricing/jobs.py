"""Every job of a config with its tokens, operations, disk and what it waits for; nothing runs.

Walks the same spec functions (`chameleon.experiment.specs` and its siblings) that the workflow calls, so a
new run of a method or another scale is priced without a change here. What a spec does not say (text sizes,
answers of an online method) is estimated by the constants below.
"""

from collections.abc import Mapping
from typing import Any

from chameleon.embedding.encoders import FLOPS as ENCODER_FLOPS
from chameleon.embedding.layers import middle
from chameleon.experiment import specs
from chameleon.experiment.config import Config
from chameleon.experiment.specs import study
from chameleon.mixing.types import REFERENCE
from chameleon.pricing import online, text
from chameleon.pricing.job import Job
from chameleon.pricing.objectives import objective_key
from chameleon.pricing.shapes import shape
from chameleon.training.model import ModelShape, flops_per_token

Spec = Mapping[str, Any]

#: Operations of a run under an objective of its method's own, in those of a plain run of its length. One
#: forward pass more (a reference model's) makes 4/3; `--measure` replaces it by what each objective does.
OBJECTIVE_FLOPS = 4 / 3
#: The same of a run that trains LoRA: the weights need no gradients.
LORA_FLOPS = 2 / 3
#: Few-shot items of a task without a limit. Tasks of lm-eval differ widely.
ITEMS = 2000
#: Stages of which a job may train one model on several GPUs.
MANY = ("proxy", "extra", "base")


class Walk:
    """Lists a config's jobs.

    Args:
        cfg: the experiment.
        objectives: operations of runs under an objective, in those of plain runs, by `objective_key`.
    """

    def __init__(self, cfg: Config, objectives: Mapping[str, float] | None = None) -> None:
        self.cfg, self.objectives = cfg, dict(objectives or {})
        self.vocab = text.vocabulary(cfg.raw["tokenizer"])
        self.threads, self.gpus = cfg.raw["threads"], int(cfg.raw.get("gpus_per_job", 0))
        self.gpu = min(1, self.gpus)
        self.jobs: dict[str, Job] = {}
        self._shapes: dict[str, ModelShape] = {}

    def all(self) -> list[Job]:
        """Return every job once, each after those that it waits for."""
        for corpus in self.cfg.corpora:
            self._corpus(corpus)
        for scenario in self.cfg.scenarios:
            for label in self.cfg.methods(scenario):
                for seed in self.cfg.seeds:
                    self.base(scenario, label, seed)
            for label in specs.foretelling(self.cfg, scenario):
                for seed in self.cfg.seeds:
                    self._forecast(scenario, label, seed)
            if specs.has_fewshot(self.cfg, scenario):
                self._fewshot(scenario)
        if self.cfg.raw.get("sensitivity"):
            self._sensitivity()
        last = tuple(self.jobs)
        self._add(Job("report", "report", fixed="report", here=True, needs=last))
        return list(self.jobs.values())

    def _add(self, job: Job) -> str:
        self.jobs.setdefault(job.name, job)
        return job.name

    def flops(self, scale: str, **how: Any) -> float:
        """Return operations per token of a scale's model (`model.flops_per_token`)."""
        return flops_per_token(self._shape(scale), **how)

    def _shape(self, scale: str) -> ModelShape:
        if scale not in self._shapes:
            self._shapes[scale] = shape(self.cfg, scale, self.vocab)
        return self._shapes[scale]

    def model_bytes(self, scale: str) -> int:
        """Return the size of a scale's model in float32."""
        return 4 * int(self._shape(scale).parameters)

    def _corpus(self, corpus: str) -> None:
        for other in dict.fromkeys((corpus, *self.cfg.tokenizer_corpora)):
            for job in text.prepared(self.cfg, other):
                self._add(job)
        for job in (text.tokenizer(self.cfg), *text.tokens(self.cfg, corpus, self.vocab)):
            self._add(job)

    def _training(self, spec: Spec, name: str, stage: str, needs: tuple[str, ...], **more: Any) -> Job:
        """Return the job of training one model as a spec says."""
        train, scale = spec["train"], spec["scale"]
        tokens = train["steps"] * train["batch_size"] * spec["model"]["context"]
        first = [f"tokens {corpus}" for corpus in dict.fromkeys(spec["domains"].values())]
        return Job(
            name, stage, scale=scale, tokens=tokens, train_flops=self.flops(scale) * tokens,
            disk=self.model_bytes(scale), fixed="torch", threads=self.threads["train"],
            gpus=self.gpus if stage in MANY else self.gpu, needs=(*first, *needs), **more,
        )  # fmt: skip

    def _pass(self, job: Job, tokens: float, **read: int | None) -> None:
        """Add a pass without gradients over so many tokens; `read` as in `model.flops_per_token`."""
        job.tokens += tokens
        job.read += tokens
        job.forward_flops += self.flops(job.scale, training=False, **read) * tokens

    def proxy(self, scenario: str, seed: int) -> str:
        spec = specs.proxy(self.cfg, scenario, seed)
        return self._add(self._training(spec, f"proxy {scenario} {seed}", "proxy", (), scenario=scenario))

    def checkpoint(self, name: str) -> str:
        """Add a checkpoint of others."""
        _, scale = self.cfg.checkpoints[name]
        return self._add(Job(f"checkpoint {name}", "fetch", scale=scale, disk=self.model_bytes(scale),
                             fixed="torch", needs=("tokenizer",)))  # fmt: skip

    def embed(self, embedder: str, corpus: str, seed: int) -> str:
        kind, scenario, label = specs.embedders(self.cfg)[embedder]
        if kind == "checkpoint":
            model_job = self.checkpoint(scenario)
        else:
            model_job = self.proxy(scenario, seed) if kind != "base" else self.base(scenario, label, seed)
        spec = specs.embed(self.cfg, embedder, corpus, seed)
        scale = self.jobs[model_job].scale
        model = self.cfg.raw["scales"][scale]["model"]
        job = Job(f"embed {embedder} {corpus} {seed}", "embed", scale=scale, fixed="torch", gpus=self.gpu,
                  threads=self.threads["evaluate"], needs=(f"tokens {corpus}", model_job))  # fmt: skip
        length = spec["window_length"] or model["context"]
        layer = middle(model["n_layer"]) if spec["layer"] is None else spec["layer"]
        self._pass(job, len(spec["domains"]) * spec["windows"] * length, layers=layer, length=length)
        return self._add(job)

    def _sentences(self, name: str, corpus: str, seed: int) -> str:
        given = specs.sentences(self.cfg, corpus, seed)
        tokens = len(given["domains"]) * given["windows"] * given["window_length"]
        return self._add(Job(f"{name} {corpus} {seed}", "embed", scale=next(iter(self.cfg.raw["scales"])),
                             tokens=tokens, read=tokens, forward_flops=ENCODER_FLOPS * tokens,
                             fixed="torch", threads=self.threads["evaluate"],
                             needs=(f"tokens {corpus}",)))  # fmt: skip

    def weights(self, scenario: str, label: str, seed: int) -> str:
        """Add a method's weights and all that they wait for."""
        cfg, (method, params) = self.cfg, self.cfg.method(label)
        corpora = dict.fromkeys(cfg.domains(scenario).values())
        needs = [f"tokens {c}" for c in corpora]
        if specs.needs_embeddings(cfg, label):
            name = cfg.embedder(scenario, label)
            chosen = self._sentences if name == "sentences" else self.embed
            needs += [chosen(name, c, seed) for c in corpora]
        for owner in (label, *method.reads(params)):
            for run in specs.single_runs(cfg, scenario, owner, seed):
                needs.append(self._extra(scenario, owner, seed, run))
            for group in specs.swarm_groups(cfg, scenario, owner, seed):
                needs.append(self._swarm(scenario, owner, seed, group))
        needs += [self.weights(scenario, other, seed) for other in method.uses(params)]
        needs += [self.base(scenario, other, seed) for other in method.follows(params)]
        fits = any(run.swarm for run in specs.extra_runs(cfg, scenario, label, seed))
        kind, passes = (
            "regression" if fits else "light",
            method.validation_passes(params, list(cfg.domains(scenario))),
        )
        return self._asked(f"weights {scenario} {label} {seed}", kind, needs, passes)

    def _forecast(self, scenario: str, label: str, seed: int) -> str:
        mixtures = specs.forecast(self.cfg, scenario, label, seed)["mixtures"]
        needs = [name for name in self.jobs if name.startswith(f"swarm {scenario} {label} {seed} ")]
        needs += [self.weights(scenario, other, seed) for other in mixtures]
        passes = len(mixtures) if "validation" in self.cfg.method(label)[0].requires else 0
        return self._asked(f"forecast {scenario} {label} {seed}", "regression", needs, passes)

    def _asked(self, name: str, fixed: str, needs: list[str], passes: int) -> str:
        """Add a job that asks a method, which may measure models of the proxy's size on validation text."""
        stage, scenario, label, _ = name.split()
        job = Job(name, stage, scenario, label, fixed="torch" if passes else fixed, needs=tuple(needs),
                  threads=self.threads["evaluate"])  # fmt: skip
        if passes:
            job.scale = self.cfg.proxy_role(scenario)["scale"]
            read = len(self.cfg.domains(scenario)) * specs.ordered_tokens(self.cfg, scenario)
            self._pass(job, passes * read)
        return self._add(job)

    def _extra(self, scenario: str, label: str, seed: int, run: Any) -> str:
        spec = specs.extra_run(self.cfg, scenario, label, seed, run.run_id)
        folder = f"extra {scenario} {label} {seed}"
        needs = tuple(
            self.proxy(scenario, seed) if other == REFERENCE else f"{folder} {other}" for other in run.after
        )
        job = self._training(spec, f"{folder} {run.run_id}", "extra", needs, scenario=scenario, method=label)
        if run.objective:
            job.objective = objective_key(scenario, label)
            job.train_flops *= self.objectives.get(job.objective, OBJECTIVE_FLOPS)
        self._pass(job, len(spec["domains"]) * spec["validation_tokens"])
        return self._add(job)

    def _swarm(self, scenario: str, label: str, seed: int, group: str) -> str:
        spec = specs.swarm(self.cfg, scenario, label, seed, group)
        name = f"swarm {scenario} {label} {seed} {group}"
        job = self._training(spec, name, "swarm", (), scenario=scenario, method=label)
        runs = len(spec["runs"])
        job.tokens, job.train_flops, job.disk = job.tokens * runs, job.train_flops * runs, 0
        self._pass(job, runs * len(spec["domains"]) * spec["validation_tokens"])
        return self._add(job)

    def base(self, scenario: str, label: str, seed: int) -> str:
        """Add a base model and its test, and all that they wait for."""
        name = f"base {scenario} {label} {seed}"
        if name in self.jobs:
            return name
        cfg, spec = self.cfg, specs.train(self.cfg, scenario, label, seed)
        needs = [self.weights(scenario, label, seed)]
        if (name_of := cfg.checkpoint_name(scenario, "base")) is not None:
            needs.append(self.checkpoint(name_of))
        elif spec["start"]:
            needs.append(self.base(spec["start"]["scenario"], spec["start"]["method"], seed))
        job = self._training(spec, name, "base", tuple(needs), scenario=scenario, method=label)
        k = len(spec["domains"])
        if "lora" in spec:
            job.train_flops *= LORA_FLOPS
        points = len(spec["curve"]["steps"])
        # That of a checkpoint begins before its first step.
        points += bool(points and name_of is not None)
        self._pass(job, k * points * spec["curve"]["tokens"])
        if spec["online"]:
            passes = online.validation_passes(cfg, scenario, label, seed)
            curve = job.forward_flops
            self._pass(job, k * passes * spec["online"]["validation_tokens"])
            job.ordered_flops = job.forward_flops - curve
        self._add(job)
        tested = specs.evaluate(cfg, scenario, label, seed)
        test = Job(f"evaluate {scenario} {label} {seed}", "evaluate", scenario, label, spec["scale"],
                   fixed="torch", threads=self.threads["evaluate"], gpus=self.gpu,
                   needs=(name, *(f"tokens {c}" for c in cfg.unseen(scenario))))  # fmt: skip
        read = k + len(tested["kept"]) + len(tested["unseen"])
        self._pass(test, read * tested["test_tokens"])
        self._add(test)
        if name_of is not None:
            before = Job(f"start {scenario}", "evaluate", scenario, "", spec["scale"], fixed="torch",
                         threads=self.threads["evaluate"], gpus=self.gpu,
                         needs=(self.checkpoint(name_of), *test.needs[1:]))  # fmt: skip
            self._pass(before, read * tested["test_tokens"])
            self._add(before)
        return name

    def _fewshot(self, scenario: str) -> None:
        spec = specs.fewshot(self.cfg, scenario)
        model = self.cfg.raw["scales"][spec["scale"]]["model"]
        models = [f"base {scenario} {m} {s}" for m in spec["methods"] for s in spec["seeds"]]
        job = Job(f"fewshot {scenario}", "fewshot", scenario, "", spec["scale"], fixed="fewshot",
                  gpus=self.gpu, threads=self.threads["evaluate"], needs=tuple(models))  # fmt: skip
        # One pass over the prompt of an item and its answers; with examples it fills the context.
        read = sum(model["context"] if shots else model["context"] / 2 for shots in spec["shots"])
        self._pass(job, len(models) * len(spec["tasks"]) * (spec["limit"] or ITEMS) * read)
        self._add(job)

    def _sensitivity(self) -> None:
        cfg = self.cfg
        scenario = study.chosen(cfg).scenario
        for variant, seed in study.jobs(cfg):
            spec, borrowed = study.proxy(cfg, variant, seed), study.borrowed(cfg, variant, seed)
            if borrowed is None:
                name = f"sensitivity_proxy {variant} {seed}"
                needs = self._add(self._training(spec, name, "sensitivity", ()))
            elif variant == study.DEFAULT:
                needs = self.proxy(scenario, seed)
            else:
                needs = self.base(scenario, borrowed.split("/")[2], seed)
            how = study.embed(cfg, variant, seed)
            job = Job(f"sensitivity_embed {variant} {seed}", "sensitivity", scale=spec["scale"],
                      fixed="torch", threads=self.threads["evaluate"], gpus=self.gpu,
                      needs=(needs,))  # fmt: skip
            windows = len(how["domains"]) * how["windows"]
            draws = len(how["window_seeds"]) - 1 + len(how["checkpoints"])
            own, layer = how["window_length"], how["layer"]
            for times, deep, length in (
                (draws, layer, own),
                (1, max(how["layers"]), own),
                *((1, layer, other) for other in how["window_lengths"] if other != own),
            ):
                self._pass(job, windows * times * length, layers=deep, length=length)
            self._add(job)
