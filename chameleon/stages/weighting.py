"""The jobs that ask a method: for its weights, and for what it expects of others'.

Reads token manifests, embedding files and the results of a method's extra runs; writes
`results/weights/{scenario}/{method}/seed{seed}.json`. Needs no torch unless its method does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.data.tokens import TokenCorpus
from chameleon.mixing import registry
from chameleon.mixing.method import Method
from chameleon.mixing.types import MethodInputs
from chameleon.stages.inputs import Spec, method_inputs, open_corpora, result_files


def weights(
    spec: Spec,
    manifests: list[Path],
    embeddings: list[Path],
    runs: list[Path],
    out: Path,
    threads: int,
    others: Sequence[Path] = (),
    played: Sequence[Path] = (),
) -> None:
    """Ask a method for its weights and write them with everything they depend on."""
    given = [Path(file) for file in registry.get(spec["registered"]).files(spec["params"])]
    inputs_read = [*manifests, *embeddings, *result_files(runs), *others, *played, *given]
    recorder = Recorder("weights", spec, inputs_read, threads=threads, seeds=dict(spec["seeds"]))
    corpora = open_corpora(manifests, spec["domains"])
    method: Method = registry.get(spec["registered"])
    inputs = method_inputs(spec, corpora, embeddings, runs, others, played)
    result = method.weights(measuring(inputs, spec, corpora, recorder, threads))
    if set(result.schedule.domains) != set(spec["domains"]):
        raise ValueError(
            f"method {method.name} answered for {result.schedule.domains}, not for {list(spec['domains'])}"
        )
    first = next(iter(corpora.values()))
    about = ("scenario", "method", "registered", "method_version", "params", "seed")
    recorder.deliver(
        out,
        {
            **{key: spec[key] for key in about},
            "domains": list(spec["domains"]),
            "online": method.online,
            "stages": [{"start_step": s.start_step, "weights": s.weights} for s in result.schedule.stages],
            "diagnostics": result.diagnostics,
            "tokenizer_sha256": first.tokenizer_sha256,
            "tokenizer_fingerprint": spec["tokenizer_fingerprint"],
            "corpora_sha256": {c.corpus: c.sha256 for c in corpora.values()},
        },
        schema="weights",
    )


def measuring(
    inputs: MethodInputs, spec: Spec, corpora: Mapping[str, TokenCorpus], recorder: Recorder, threads: int
) -> MethodInputs:
    """Let the method measure models, where it asked for that; passes are entered in the record's cost."""
    if "validation_tokens" not in spec:
        return inputs
    from chameleon.stages.common import split_losses
    from chameleon.training.device import pick_device, setup_torch

    recorder.device = setup_torch(threads)

    def losses(model: Any, domains: Collection[str] | None = None) -> dict[str, float]:
        model = model.to(pick_device())
        asked = {d: corpus for d, corpus in corpora.items() if domains is None or d in domains}
        return split_losses(model, asked, "validation", spec["validation_tokens"], recorder.cost)

    return replace(inputs, validation_losses=losses)


def forecast(
    spec: Spec, manifests: list[Path], runs: list[Path], out: Path, threads: int, others: Sequence[Path]
) -> None:
    """Ask a method what base models on other mixtures will come to; `others` are their weights files."""
    read = [*manifests, *result_files(runs), *others]
    recorder = Recorder("forecast", spec, read, threads=threads, seeds=dict(spec["seeds"]))
    corpora = open_corpora(manifests, spec["domains"])
    inputs = method_inputs(spec, corpora, [], runs, others)
    inputs = measuring(inputs, spec, corpora, recorder, threads)
    found = registry.get(spec["registered"]).foretell(inputs, inputs.others)
    about = {key: spec[key] for key in ("scenario", "method", "seed")}
    recorder.deliver(out, {**about, "loss": found}, "forecast")
