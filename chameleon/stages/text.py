"""The jobs that turn text into what models read, with records: corpora, tokenizer, shards, tasks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import write_json
from chameleon.core.handover import expand
from chameleon.core.provenance import Recorder

Spec = Mapping[str, Any]


def prepare(spec: Spec, out: Path, threads: int) -> None:
    """Clean, split and deduplicate a corpus."""
    from chameleon.data.corpora.prepare import prepare as work

    recorder = Recorder("prepare", spec, [out / "sources.json"], threads=threads)
    work(spec, out, threads)
    recorder.outputs = [out / "report.json", *(out / f"{domain}.parquet" for domain in spec["domains"])]
    recorder.write(out / "run.json")


def tokenizer(spec: Spec, corpora: Path, out: Path) -> None:
    """Train the experiment's tokenizer on the prepared corpora in `corpora`."""
    from chameleon.data.tokenizer import train_tokenizer

    documents = [
        (corpus, domain, corpora / corpus / f"{domain}.parquet")
        for corpus, domains in spec["domains"].items()
        for domain in domains
    ]
    recorder = Recorder("tokenizer", spec, [path for _, _, path in documents])
    train_tokenizer(dict(spec), documents, out)
    recorder.outputs = sorted(path for path in out.glob("*.json") if path.name != "run.json")
    recorder.write(out / "run.json")


def tokens(
    spec: Spec, corpus: Path, tokenizer: Path, out: Path, threads: int, asked: Mapping[str, Any] | None = None
) -> None:
    """Write a corpus's token shards.

    Args:
        spec: as `specs.tokens` makes it.
        asked: as `specs.asked` makes it: what the splits must hold.
    """
    # Read once by the tokenizer's library, which takes every core otherwise.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from chameleon.data.tokens import tokenize

    texts = [corpus / f"{domain}.parquet" for domain in spec["domains"]]
    recorder = Recorder("tokens", spec, [*texts, tokenizer / "tokenizer.json"], threads=threads)
    tokenize(dict(spec), corpus, tokenizer, out, asked or {})
    # The manifest has the digests of the shards.
    recorder.outputs = [out / "manifest.json", *(p for d in spec["domains"] for p in out.glob(f"{d}/*.npy"))]
    recorder.write(out / "run.json")


def encoder(spec: Spec, out: Path) -> None:
    """Download the sentence encoder into the cache and write where it comes from."""
    from chameleon.embedding.encoders import provide

    write_json(out, provide(spec["encoder"]))


def items(spec: Spec, out: Path) -> None:
    """Write the few-shot tasks."""
    from chameleon.evaluation.task_files import write_tasks

    recorder = Recorder("items", spec)
    recorder.inputs = write_tasks(spec, out)
    recorder.outputs = [path for path in expand([out]) if path.name != "run.json"]
    recorder.write(out / "run.json")
