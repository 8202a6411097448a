"""The jobs that run a trained model without training it: domain embeddings, test losses."""

from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.data.tokenizer import load_tokenizer
from chameleon.data.tokens import TokenCorpus
from chameleon.embedding import embed as embeddings
from chameleon.evaluation.perplexity import by_document, summary
from chameleon.stages.common import Spec, load_model, measured_blocks
from chameleon.stages.inputs import open_corpora
from chameleon.training.device import pick_device, setup_torch
from chameleon.training.model import flops_per_token


def embed(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Embed the domains of one corpus (the only manifest) with a model, or with its shape, untrained."""
    recorder = Recorder("embed", spec, [manifests[0], model_dir / "model.safetensors"], threads=threads)
    recorder.seeds, recorder.device = dict(spec["seeds"]), setup_torch(threads)
    model, corpus = load_model(model_dir), TokenCorpus(manifests[0])
    if "init" in spec["seeds"]:
        model = model.shape.initial(spec["seeds"]["init"]).to(pick_device()).eval()
    artefact, tokens = embeddings.embed(model, corpus, dict(spec))
    artefact["proxy_sha256"] = recorder.digest(model_dir / "model.safetensors")
    read = {"layers": artefact["layer"], "length": artefact["window_length"]}
    per_token = flops_per_token(model.shape, training=False, **read)
    recorder.cost.add(tokens, per_token * tokens)
    recorder.extra["domains_embedded"] = artefact["domains"]
    recorder.deliver(out, artefact, "embeddings")


def sentences(spec: Spec, manifests: list[Path], tokenizer: Path, out: Path, threads: int) -> None:
    """Embed the domains of one corpus (the only manifest) with the sentence encoder."""
    from chameleon.embedding.sentences import Encoder, embed

    recorder = Recorder("sentences", spec, [manifests[0], tokenizer / "tokenizer.json"], threads=threads)
    recorder.seeds, recorder.device = dict(spec["seeds"]), setup_torch(threads)
    encoder = Encoder(spec["encoder"])
    artefact, tokens = embed(encoder, load_tokenizer(tokenizer), TokenCorpus(manifests[0]), dict(spec))
    recorder.cost.add(tokens, encoder.flops_per_token(spec["window_length"]) * tokens)
    recorder.extra["domains_embedded"] = artefact["domains"]
    recorder.deliver(out, artefact, "embeddings")


def evaluate(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Measure a base model's test loss and perplexity on every domain.

    On those it was pretrained on too, and on those that nothing of its scenario saw, both kept apart.
    """
    recorder, measured = _measure("evaluate", spec, manifests, model_dir, threads)
    recorder.deliver(out, {**measured, "seed": spec["seed"]}, "metrics")


def start(spec: Spec, manifests: list[Path], model_dir: Path, out: Path, threads: int) -> None:
    """Measure a checkpoint before it is finetuned, as `evaluate` does after: forgetting is the difference.

    One pass; the folder `out` gets a file for every seed, since a finetuned model looks for that of its own.
    """
    recorder, measured = _measure("start", spec, manifests, model_dir, threads)
    for seed in spec["of_seeds"]:
        recorder.deliver(out / f"seed{seed}.json", {**measured, "seed": seed}, "metrics")


def _measure(
    stage: str, spec: Spec, manifests: list[Path], model_dir: Path, threads: int
) -> tuple[Recorder, dict[str, Any]]:
    """Return a job's record so far, and its metrics but for the seed."""
    recorder = Recorder(stage, spec, [*manifests, model_dir / "model.safetensors"], threads=threads)
    recorder.device = setup_torch(threads)
    tested = {**spec["domains"], **spec["kept"], **spec["unseen"]}
    losses: dict[str, float] = {}
    documents: dict[str, Any] = {}
    corpora = open_corpora(manifests, tested)
    found = measured_blocks(load_model(model_dir), corpora, "test", spec["test_tokens"], recorder.cost)
    for domain, on_blocks, begun_in in found:
        losses[domain] = float(on_blocks.mean())
        documents[domain] = by_document(on_blocks, begun_in)
    kept = ("scenario", "scale", "method", "domains", "test_tokens")
    groups = {
        name: {k: v for k, v in summary({d: losses[d] for d in members}).items() if k.startswith("mean")}
        for name, members in spec["groups"].items()
    }
    return recorder, {
        **{k: spec[k] for k in kept},
        **summary({d: losses[d] for d in spec["domains"]}),
        "groups": groups,
        "documents": {d: documents[d] for d in spec["domains"]},
        **{
            part: summary({d: losses[d] for d in spec[part]}) if spec[part] else None
            for part in ("kept", "unseen")
        },
    }
