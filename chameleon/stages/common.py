"""What the jobs that run a model have in common: setting a run up, measuring it, writing it down."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chameleon.core.provenance import Cost, Recorder
from chameleon.data.tokens import TokenCorpus
from chameleon.evaluation.perplexity import block_losses, blocks, summary
from chameleon.stages.inputs import streams
from chameleon.training.device import pick_device
from chameleon.training.distributed import replicas
from chameleon.training.hf.checkpoint import load
from chameleon.training.hf.scratch import shape
from chameleon.training.loop import Training
from chameleon.training.model import Decoder, flops_per_token
from chameleon.training.output import save_run
from chameleon.training.recipe import Recipe
from chameleon.training.resume.states import Carried, Every, States

Spec = Mapping[str, Any]


def load_model(model_dir: Path) -> Decoder:
    """Return a model of the suite, our own or a checkpoint's, ready to be asked."""
    return load(model_dir).to(pick_device()).eval()


def training(
    spec: Spec, corpora: Mapping[str, TokenCorpus], start: Decoder | None = None, quiet: bool = False
) -> Training:
    """Return a spec's training run, to be played; `start` is the model that it goes on from."""
    vocab = next(iter(corpora.values())).vocab_size
    about = [str(spec[k]) for k in ("scenario", "role", "method", "run", "seed") if k in spec]
    return Training(
        # A checkpoint knows its own sizes; its vocabulary may be larger than its tokenizer's.
        shape=shape(spec["model"], vocab) if start is None else start.shape,
        recipe=Recipe(**spec["train"]),
        streams=streams(corpora, "train"),
        init_seed=spec["seeds"]["init"],
        data_seed=spec["seeds"]["data"],
        max_epochs=spec["max_epochs"],
        label="" if quiet else " ".join(about),
        start=start,
    )


def measured_blocks(
    model: Decoder, corpora: Mapping[str, TokenCorpus], split: str, tokens: int, cost: Cost
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (domain, nats/token of every block, document that it begins in) on a split; count the cost.

    Several ranks share the blocks; each gets all losses.
    """
    context, ranks = model.shape.context, replicas.among(model)
    for domain, corpus in corpora.items():
        ids, documents = blocks(
            corpus.stream(domain, split), tokens, context, f"domain {domain!r}, split {split!r}"
        )
        mine = ranks.share(ids)
        losses = block_losses(model, mine) if len(mine) else np.empty(0)
        yield domain, ranks.gathered(torch.from_numpy(losses), len(ids)).numpy(), documents
        read = len(ids) * context
        cost.add(read, flops_per_token(model.shape, training=False) * read)


def split_losses(
    model: Decoder, corpora: Mapping[str, TokenCorpus], split: str, tokens: int, cost: Cost
) -> dict[str, float]:
    """Return nats/token per domain on a split, and count the passes' cost, seconds too."""
    clock = time.perf_counter()
    found = measured_blocks(model, corpora, split, tokens, cost)
    means = {domain: float(losses.mean()) for domain, losses, _ in found}
    cost.seconds += time.perf_counter() - clock
    return means


def validated(model: Decoder, corpora: Mapping[str, TokenCorpus], spec: Spec, cost: Cost) -> dict[str, Any]:
    """Return what the result of an extra run says of its losses on the validation split (`RunResult`)."""
    found = list(measured_blocks(model, corpora, "validation", spec["validation_tokens"], cost))
    result = summary({domain: float(losses.mean()) for domain, losses, _ in found})
    if spec.get("blocks"):
        result["blocks"] = {domain: losses.round(9).tolist() for domain, losses, _ in found}
        result["block_tokens"] = model.shape.context
    return result


def states_of(recorder: Recorder, folder: Path, every: str) -> States:
    """Return the states of a job's run: beside its outputs, tied to its spec and to its inputs' bytes."""
    digests = [recorder.digest(path) for path in recorder.inputs]
    return States(folder / "states", [recorder.stage, dict(recorder.spec), digests], Every.parse(every))


def clock(recorder: Recorder) -> Carried:
    """Make the seconds that a job has taken part of its run's state."""
    return Carried(recorder.elapsed, recorder.go_on_from)


def finish(run: Training, recorder: Recorder, out: Path, tokenizer: Path, eot: int) -> None:
    """Write a run's files and enter it in its record."""
    save_run(run, out, tokenizer, eot)
    recorder.outputs += [out / name for name in ("model", "training.csv", "mixture.json")]
    recorder.cost.add(run.cost.tokens, run.cost.flops)
    recorder.extra["parameters"] = run.shape.parameters
    recorder.extra["engine"] = asdict(run.engine) | run.model.form | run.spread
    recorder.extra["effective_epochs"] = {d: round(x, 6) for d, x in run.sampler.effective_epochs().items()}
