"""The stages that run a model: each turns a spec and files into artefacts, with a run record beside them.

Thin glue between the modules that do the work; `chameleon.cli` calls these, one per rule of the workflow.
The weights stage is in `chameleon.weighting` (it needs no torch unless its method does), swarms are in
`chameleon.swarm`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chameleon import embedding_files, embeddings, registry
from chameleon.artifacts import read_json, sha256_file, write_json
from chameleon.evaluation.perplexity import blocks, domain_loss, summary
from chameleon.interfaces import REFERENCE, Controller, MixtureSchedule, RunInputs, RunResult, RunSpec
from chameleon.model import (
    Decoder,
    ModelShape,
    flops_per_token,
    load_pretrained,
    parameter_count,
    pick_device,
)
from chameleon.provenance import Cost, Recorder, setup_torch
from chameleon.tokens import TokenCorpus
from chameleon.train import Recipe, Training
from chameleon.weighting import method_inputs, open_corpora, read_weights, result_files, streams

Spec = Mapping[str, Any]


def _load(model_dir: Path) -> Decoder:
    return load_pretrained(model_dir).to(pick_device()).eval()


def recipe_of(train: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a spec's `train` block."""
    return Recipe(**{**train, "betas": tuple(train.get("betas", (0.9, 0.95)))})


def training(
    spec: Spec, corpora: Mapping[str, TokenCorpus], start: Decoder | None = None, quiet: bool = False
) -> Training:
    """Return a spec's training run, to be played; `start` is the model that it goes on from."""
    vocab = next(iter(corpora.values())).vocab_size
    return Training(
        shape=ModelShape(**spec["model"], vocab_size=vocab),
        recipe=recipe_of(spec["train"]),
        streams=streams(corpora, "train"),
        init_seed=spec["seeds"]["init"],
        data_seed=spec["seeds"]["data"],
        max_epochs=spec["max_epochs"],
        label=""
        if quiet
        else " ".join(str(spec[k]) for k in ("scenario", "role", "method", "run", "seed") if k in spec),
        start=start,
    )


def split_losses(
    model: Decoder, corpora: Mapping[str, TokenCorpus], split: str, tokens: int, cost: Cost
) -> dict[str, float]:
    """Return nats/token per domain on a split, and count the passes' cost."""
    context = model.shape.context
    losses = {}
    for domain, corpus in corpora.items():
        data = blocks(corpus.stream(domain, split), tokens, context, f"domain {domain!r}, split {split!r}")
        losses[domain] = domain_loss(model, data)
        cost.add(
            data.shape[0] * context, flops_per_token(model.shape, training=False) * data.shape[0] * context
        )
    return losses


def finish(run: Training, recorder: Recorder, out: Path, tokenizer: Path, eot: int) -> None:
    """Write a run's files and enter it in its record."""
    run.save(out, tokenizer, eot)
    recorder.cost.add(run.cost.tokens, run.cost.flops)
    recorder.extra["parameters"] = parameter_count(run.shape)
    recorder.extra["engine"] = run.engine.record()
    recorder.extra["effective_epochs"] = {d: round(x, 6) for d, x in run.sampler.effective_epochs().items()}


def proxy(spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int) -> None:
    """Train the uniform proxy of a scenario and seed."""
    recorder = Recorder("proxy", spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    run = training(spec, corpora)
    run.play(MixtureSchedule.static(dict.fromkeys(corpora, 1 / len(corpora))))
    finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    recorder.write(out / "run.json")


def embed(spec: Spec, manifest: Path, model_dir: Path, out: Path, threads: int) -> None:
    """Embed the domains of one corpus with a proxy."""
    recorder = Recorder("embed", spec, [manifest, model_dir / "model.safetensors"], threads=threads)
    recorder.seeds, recorder.device = dict(spec["seeds"]), setup_torch(threads)
    model, corpus = _load(model_dir), TokenCorpus(manifest)
    artefact, tokens = embeddings.embed(model, corpus, dict(spec))
    artefact["proxy_sha256"] = sha256_file(model_dir / "model.safetensors")
    embedding_files.save(out, artefact)
    per_token = flops_per_token(model.shape, training=False, layers=artefact["layer"])
    recorder.cost.add(tokens, per_token * tokens)
    recorder.extra["domains_embedded"] = artefact["domains"]
    recorder.write(out.with_suffix(".run.json"))


def _result(folder: Path) -> RunResult:
    found = read_json(folder / "result.json")
    return RunResult(found["weights"], found["loss"], folder / "model", found["outcome"])


def extra_run(
    spec: Spec,
    manifests: list[Path],
    tokenizer: Path,
    out: Path,
    threads: int,
    after: Sequence[Path] = (),
    reference: Path | None = None,
) -> None:
    """Train one of a method's extra runs and write its validation losses and its objective's outcome.

    Args:
        spec: as `plan.extra_run` makes it.
        after: folders of the runs that this one waited for.
        reference: folder of the scenario's uniform proxy, for a run that asked for it.
    """
    read = [*manifests, *(d / "result.json" for d in after)]
    if reference is not None:
        read.append(reference / "model" / "model.safetensors")
    recorder = Recorder("extra", spec, read, threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    weights, objective = spec["weights"], None
    if (own := spec["own"]) is not None:
        method = registry.get(own["registered"])
        earlier = {folder.name: _result(folder) for folder in after}
        if reference is not None:
            # The proxy stage measures no validation losses: none are needed of it.
            uniform = dict.fromkeys(corpora, 1 / len(corpora))
            earlier[REFERENCE] = RunResult(uniform, {}, reference / "model")
        run_spec = RunSpec(
            spec["run"], weights, own["steps"], after=tuple(own["after"]), objective=own["objective"]
        )
        counts = {d: len(s) for d, s in streams(corpora, "train").items()}
        inputs = RunInputs(run_spec, tuple(corpora), counts, own["params"], own["method_seed"], earlier)
        if weights is None:
            weights = method.run_weights(inputs)
        if own["objective"]:
            objective = method.objective(inputs)
    run = training(spec, corpora)
    run.play(MixtureSchedule.static(weights), objective=objective)
    losses = split_losses(run.model, corpora, "validation", spec["validation_tokens"], recorder.cost)
    finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    outcome = {} if objective is None else objective.outcome()
    write_json(out / "result.json", {"weights": weights, "outcome": outcome, **summary(losses)})
    recorder.write(out / "run.json")


def train(
    spec: Spec,
    manifests: list[Path],
    weights_file: Path,
    tokenizer: Path,
    out: Path,
    threads: int,
    embedding_paths: Sequence[Path] = (),
    run_paths: Sequence[Path] = (),
    others: Sequence[Path] = (),
    start: Path | None = None,
) -> None:
    """Train a base model under a method's schedule, or under its controller if the method is online.

    Embeddings, extra runs and other methods' weights are for an online method's controller only.

    Args:
        spec: as `plan.train` makes it.
        start: checkpoint to go on from (finetuning); None: from the seed's initial weights.
    """
    inputs_read = [*manifests, weights_file, *embedding_paths, *result_files(run_paths), *others]
    if start is not None:
        inputs_read.append(start / "model.safetensors")
    recorder = Recorder("base", spec, inputs_read, threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    schedule = read_weights(weights_file, corpora)
    run = training(spec, corpora, start=None if start is None else _load(start))
    controller: Controller | None = None
    validate: Callable[[Decoder], dict[str, float]] | None = None
    ordered = Cost()
    if spec["online"] is not None:
        online = spec["online"]
        inputs = method_inputs(
            {**spec, "params": online["params"], "seeds": {"method": online["method_seed"]}},
            corpora,
            list(embedding_paths),
            list(run_paths),
            list(others),
        )
        inputs = replace(inputs, start=dict(schedule.stages[0].weights))
        controller = registry.get(online["registered"]).controller(inputs)

        def validate(model: Decoder) -> dict[str, float]:
            clock = time.perf_counter()
            losses = split_losses(model, corpora, "validation", online["validation_tokens"], ordered)
            ordered.seconds += time.perf_counter() - clock
            return losses

    curve = Curve(corpora, spec["curve"]["tokens"])
    run.play(schedule, controller, validate, watch=dict.fromkeys(spec["curve"]["steps"], curve.measure))
    write_json(out / "curve.json", {"points": curve.points, "tokens_per_domain": curve.tokens})
    recorder.extra |= {"curve_cost": asdict(curve.cost), "validation_cost": asdict(ordered)}
    finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    recorder.write(out / "run.json")


@dataclass
class Curve:
    """Test losses along a base run: the first `tokens` tokens of every domain's test split.

    For readers only: no method sees them. Learning rates still fall after a point before the last, so it is
    not what a shorter run would have ended at.
    """

    corpora: Mapping[str, TokenCorpus]
    tokens: int
    cost: Cost = field(default_factory=Cost)
    points: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, model: Decoder, trained: int) -> None:
        clock = time.perf_counter()
        losses = split_losses(model, self.corpora, "test", self.tokens, self.cost)
        self.cost.seconds += time.perf_counter() - clock
        self.points.append({"tokens": trained, "loss": {d: round(x, 9) for d, x in losses.items()}})


def evaluate(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Measure a base model's test loss and perplexity on every domain, and on those it was pretrained on."""
    recorder = Recorder("evaluate", spec, [*manifests, model_dir / "model.safetensors"], threads=threads)
    recorder.device = setup_torch(threads)
    both = {**spec["domains"], **spec["kept"]}
    losses = split_losses(
        _load(model_dir), open_corpora(manifests, both), "test", spec["test_tokens"], recorder.cost
    )
    kept = ("scenario", "scale", "method", "seed", "domains", "test_tokens")
    groups = {
        name: {k: v for k, v in summary({d: losses[d] for d in members}).items() if k.startswith("mean")}
        for name, members in spec["groups"].items()
    }
    measured: dict[str, Any] = {
        **{k: spec[k] for k in kept},
        **summary({d: losses[d] for d in spec["domains"]}),
        "groups": groups,
        "kept": summary({d: losses[d] for d in spec["kept"]}) if spec["kept"] else None,
    }
    write_json(out, measured, schema="metrics")
    recorder.write(out.with_suffix(".run.json"))
