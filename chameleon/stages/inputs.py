"""What several jobs read: tokens of domains, results of a method's runs, weights files.

Weights are refused for other domains or another tokenizer than those they were computed with.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.tokens import TokenCorpus, TokenStream
from chameleon.embedding import files as embedding_files
from chameleon.mixing.schedule import MixtureSchedule, Stage
from chameleon.mixing.types import MethodInputs, RunResult

Spec = Mapping[str, Any]


def open_corpora(manifests: list[Path], domains: Mapping[str, str]) -> dict[str, TokenCorpus]:
    """Return domain -> its opened corpus.

    Raises:
        UserError: a domain is in no manifest, or the manifests come from different tokenizers.
    """
    opened = [TokenCorpus(p) for p in manifests]
    if len({c.tokenizer_sha256 for c in opened}) > 1:
        raise UserError(f"{', '.join(map(str, manifests))}: made with different tokenizers")
    by_name = {c.corpus: c for c in opened}
    for domain, corpus in domains.items():
        if corpus not in by_name or domain not in by_name[corpus].domains:
            raise UserError(f"{', '.join(map(str, manifests))}: no domain {domain!r} of corpus {corpus!r}")
    return {domain: by_name[corpus] for domain, corpus in domains.items()}


def streams(corpora: Mapping[str, TokenCorpus], split: str) -> dict[str, TokenStream]:
    """Return domain -> token stream of a split."""
    return {domain: corpus.stream(domain, split) for domain, corpus in corpora.items()}


def result_files(runs: Sequence[Path]) -> list[Path]:
    """Return the result file of each extra run's folder; a swarm's part is a file already."""
    return [path / "result.json" if path.suffix != ".json" else path for path in runs]


def run_results(runs: Sequence[Path]) -> dict[str, RunResult]:
    """Return the results of a method's extra runs by run id: folders of single runs, files of swarm parts."""
    results = {}
    for path, file in zip(runs, result_files(runs), strict=True):
        found = read_json(file)
        if path.suffix == ".json":
            for name, one in found["runs"].items():
                results[name] = RunResult(one["weights"], one["loss"], None, **_kept(one))
        else:
            results[path.name] = RunResult(found["weights"], found["loss"], path / "model", **_kept(found))
    return results


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("outcome", "blocks", "block_tokens", "moved") if key in found}


def method_inputs(
    spec: Spec,
    corpora: Mapping[str, TokenCorpus],
    embeddings: Sequence[Path],
    runs: Sequence[Path],
    others: Sequence[Path],
    played: Sequence[Path] = (),
) -> MethodInputs:
    """Return what a method may look at, read from its files.

    Args:
        spec: `domains`, `params`, `seeds.method`, `histograms` and `validation_histograms` if required, and
            `total_steps` with `token_budget` or the model and recipe from which they follow.
        corpora: domain -> its tokens.
        embeddings: embedding files, one per corpus; empty unless required.
        runs: folders of extra runs and files of swarm parts, those that `reads` in the spec names among them.
        others: weights files of the methods that this one uses.
        played: mixture files of the base runs that this one follows.
    """
    domains = tuple(spec["domains"])
    if "total_steps" in spec:
        steps, budget = spec["total_steps"], spec["token_budget"]
    else:
        steps = spec["train"]["steps"]
        budget = steps * spec["train"]["batch_size"] * spec["model"]["context"]
    train = streams(corpora, "train")
    weights = {}
    for path in others:
        found = read_json(path, "weights")
        weights[found["method"]] = _schedule(path, found).stages[0].weights
    return MethodInputs(
        domains=domains,
        token_counts={d: len(s) for d, s in train.items()},
        params=spec["params"],
        seed=spec["seeds"]["method"],
        total_steps=steps,
        token_budget=budget,
        embeddings=embedding_files.load(list(embeddings), domains) if embeddings else None,
        histograms=_histograms(corpora, domains, "train") if spec.get("histograms") else None,
        validation_histograms=(
            _histograms(corpora, domains, "validation") if spec.get("validation_histograms") else None
        ),
        runs=run_results([path for path in runs if _owner(path) not in spec.get("reads", ())]),
        read={
            label: run_results([path for path in runs if _owner(path) == label])
            for label in spec.get("reads", ())
        },
        others=weights,
        # results/runs/<scenario>/<label>/seed<n>/mixture.json
        played={path.parents[1].name: shares_played(path) for path in played},
    )


def _histograms(corpora: Mapping[str, TokenCorpus], domains: Sequence[str], split: str) -> np.ndarray:
    of = streams(corpora, split)
    return np.stack([of[d].histogram(corpora[d].vocab_size) for d in domains])


def _owner(path: Path) -> str:
    """Return the label whose run this is: .../<label>/seed<n>/{extra/<run>, swarm/<part>.json}."""
    return path.parent.parent.parent.name


def shares_played(path: Path) -> dict[str, float]:
    """Return which part of a run's blocks came from each domain."""
    blocks: dict[str, int] = {}
    for segment in read_json(path)["segments"]:
        for domain, count in segment["blocks"].items():
            blocks[domain] = blocks.get(domain, 0) + count
    total = sum(blocks.values())
    return {domain: count / total for domain, count in blocks.items()}


def read_weights(path: Path, corpora: Mapping[str, TokenCorpus]) -> MixtureSchedule:
    """Return the schedule in a weights file.

    Raises:
        UserError: the weights are for other domains, were computed with another tokenizer, or are no schedule
            of mixtures.
    """
    found = read_json(path, "weights")
    if set(found["domains"]) != set(corpora):
        raise UserError(
            f"{path}: weights for {sorted(found['domains'])}, but the corpus has {sorted(corpora)}"
        )
    tokenizer = next(iter(corpora.values())).tokenizer_sha256
    if found["tokenizer_sha256"] != tokenizer:
        raise UserError(
            f"{path}: tokenizer_sha256 {found['tokenizer_sha256'][:12]}, the corpus has {tokenizer[:12]}: "
            "weights belong to the tokenizer they were computed with"
        )
    return _schedule(path, found)


def _schedule(path: Path, found: Mapping[str, Any]) -> MixtureSchedule:
    """Return the schedule of a weights file's contents."""
    try:
        schedule = MixtureSchedule(tuple(Stage(s["start_step"], s["weights"]) for s in found["stages"]))
    except ValueError as error:
        raise UserError(f"{path}: stages: {error}") from error
    if set(schedule.domains) != set(found["domains"]):
        odd = sorted(set(schedule.domains) ^ set(found["domains"]))[0]
        raise UserError(f"{path}: stages: domain {odd!r} is not in both domains and weights")
    return schedule
