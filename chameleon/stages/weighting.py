"""The jobs that ask a method: for its weights, and for what it expects of others'.

Reads token manifests, embedding files and the results of a method's extra runs; writes
`results/weights/{scenario}/{method}/seed{seed}.json`. Needs no torch unless its method does.
"""

from collections.abc import Sequence
from pathlib import Path

from chameleon.core.artifacts import write_json
from chameleon.core.provenance import Recorder, cpu_name
from chameleon.mixing import registry
from chameleon.mixing.method import Method
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
    recorder.device = cpu_name()
    corpora = open_corpora(manifests, spec["domains"])
    method: Method = registry.get(spec["registered"])
    result = method.weights(method_inputs(spec, corpora, embeddings, runs, list(others), played))
    if set(result.schedule.domains) != set(spec["domains"]):
        raise ValueError(
            f"method {method.name} answered for {result.schedule.domains}, not for {list(spec['domains'])}"
        )
    first = next(iter(corpora.values()))
    write_json(
        out,
        {
            "scenario": spec["scenario"],
            "method": spec["method"],
            "registered": spec["registered"],
            "method_version": spec["method_version"],
            "params": spec["params"],
            "seed": spec["seed"],
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
    recorder.outputs = [out]
    recorder.write(out.with_suffix(".run.json"))


def forecast(
    spec: Spec, manifests: list[Path], runs: list[Path], out: Path, threads: int, others: Sequence[Path]
) -> None:
    """Ask a method what base models on other mixtures will come to; `others` are their weights files."""
    recorder = Recorder("forecast", spec, [*manifests, *result_files(runs), *others], threads=threads)
    recorder.seeds, recorder.device = dict(spec["seeds"]), cpu_name()
    inputs = method_inputs(spec, open_corpora(manifests, spec["domains"]), [], runs, list(others))
    found = registry.get(spec["registered"]).foretell(inputs, inputs.others)
    about = {key: spec[key] for key in ("scenario", "method", "seed")}
    write_json(out, {**about, "loss": found}, schema="forecast")
    recorder.outputs = [out]
    recorder.write(out.with_suffix(".run.json"))
