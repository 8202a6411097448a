"""The stages that run a model: each turns a spec and files into artefacts, with a run record beside them.

Thin glue between the modules that do the work; `chameleon.cli` calls these, one per rule of the workflow.
The weights stage is in `chameleon.weighting`: it needs no torch unless its method does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon import embedding_files, embeddings, registry
from chameleon.artifacts import sha256_file, write_json
from chameleon.evaluation.perplexity import blocks, domain_loss, summary
from chameleon.interfaces import Controller, MixtureSchedule
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
from chameleon.weighting import method_inputs, open_corpora, read_weights, streams

Spec = Mapping[str, Any]


def _load(model_dir: Path) -> Decoder:
    return load_pretrained(model_dir).to(pick_device()).eval()


def _recipe(train: Mapping[str, Any]) -> Recipe:
    return Recipe(**{**train, "betas": tuple(train.get("betas", (0.9, 0.95)))})


def _training(spec: Spec, corpora: Mapping[str, TokenCorpus]) -> Training:
    vocab = next(iter(corpora.values())).vocab_size
    return Training(
        shape=ModelShape(**spec["model"], vocab_size=vocab),
        recipe=_recipe(spec["train"]),
        streams=streams(corpora, "train"),
        init_seed=spec["seeds"]["init"],
        data_seed=spec["seeds"]["data"],
        max_epochs=spec["max_epochs"],
        label=" ".join(str(spec[k]) for k in ("scenario", "role", "method", "run", "seed") if k in spec),
    )


def _losses(
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


def _finish(run: Training, recorder: Recorder, out: Path, tokenizer: Path, eot: int) -> None:
    run.save(out, tokenizer, eot)
    recorder.cost.add(run.cost.tokens, run.cost.flops)
    recorder.extra["parameters"] = parameter_count(run.shape)
    recorder.extra["effective_epochs"] = {d: round(x, 6) for d, x in run.sampler.effective_epochs().items()}


def proxy(spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int) -> None:
    """Train the uniform proxy of a scenario and seed."""
    recorder = Recorder("proxy", spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    run = _training(spec, corpora)
    run.play(MixtureSchedule.static(dict.fromkeys(corpora, 1 / len(corpora))))
    _finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
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


def extra_run(spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int) -> None:
    """Train one of a method's extra runs and write its validation losses."""
    recorder = Recorder("extra", spec, [*manifests], threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    run = _training(spec, corpora)
    run.play(MixtureSchedule.static(spec["weights"]))
    losses = _losses(run.model, corpora, "validation", spec["validation_tokens"], recorder.cost)
    _finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    write_json(out / "result.json", {"weights": spec["weights"], **summary(losses)})
    recorder.write(out / "run.json")


def train(
    spec: Spec,
    manifests: list[Path],
    weights_file: Path,
    tokenizer: Path,
    out: Path,
    threads: int,
    embedding_paths: Sequence[Path] = (),
    run_dirs: Sequence[Path] = (),
) -> None:
    """Train a base model under a method's schedule, or under its controller if the method is online.

    Embeddings and extra runs are for an online method's controller only.
    """
    inputs_read = [*manifests, weights_file, *embedding_paths, *(d / "result.json" for d in run_dirs)]
    recorder = Recorder("base", spec, inputs_read, threads=threads, seeds=dict(spec["seeds"]))
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    schedule = read_weights(weights_file, corpora)
    run = _training(spec, corpora)
    controller: Controller | None = None
    validate: Callable[[Decoder], dict[str, float]] | None = None
    if spec["online"] is not None:
        online = spec["online"]
        inputs = method_inputs(
            spec,
            online["params"],
            online["method_seed"],
            spec["train"]["steps"],
            corpora,
            list(embedding_paths),
            list(run_dirs),
        )
        inputs = replace(inputs, start=dict(schedule.stages[0].weights))
        controller = registry.get(online["registered"]).controller(inputs)

        def validate(model: Decoder) -> dict[str, float]:
            return _losses(model, corpora, "validation", spec["validation_tokens"], recorder.cost)

    run.play(schedule, controller, validate)
    _finish(run, recorder, out, tokenizer, next(iter(corpora.values())).eot)
    recorder.write(out / "run.json")


def evaluate(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Measure a base model's test loss and perplexity on every domain."""
    recorder = Recorder("evaluate", spec, [*manifests, model_dir / "model.safetensors"], threads=threads)
    recorder.device = setup_torch(threads)
    corpora = open_corpora(manifests, spec["domains"])
    losses = _losses(_load(model_dir), corpora, "test", spec["test_tokens"], recorder.cost)
    kept = ("scenario", "scale", "method", "seed", "domains", "test_tokens")
    write_json(out, {**{k: spec[k] for k in kept}, **summary(losses)}, schema="metrics")
    recorder.write(out.with_suffix(".run.json"))
