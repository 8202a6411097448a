"""The jobs that turn text into what models read, with records: corpora, tokenizer, shards, tasks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder

Spec = Mapping[str, Any]


def prepare(spec: Spec, out: Path, threads: int) -> None:
    """Clean, split and deduplicate a corpus."""
    from chameleon.data.corpora.prepare import prepare as work

    recorder = Recorder("prepare", spec, [out / "sources.json"], threads=threads)
    work(spec, out, threads)
    recorder.write(out / "run.json")


def tokenizer(spec: Spec, corpora: Path, out: Path) -> None:
    """Train the experiment's tokenizer on the prepared corpora in `corpora`."""
    from chameleon.data.tokenizer import train_tokenizer

    recorder = Recorder("tokenizer", spec)
    documents = [
        (corpus, domain, corpora / corpus / f"{domain}.parquet")
        for corpus, domains in spec["domains"].items()
        for domain in domains
    ]
    recorder.inputs = [path for _, _, path in documents]
    train_tokenizer(dict(spec), documents, out)
    recorder.write(out / "run.json")


def tokens(spec: Spec, corpus: Path, tokenizer: Path, out: Path, threads: int) -> None:
    """Write a corpus's token shards."""
    # Read once by the tokenizer's library, which takes every core otherwise.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from chameleon.data.tokens import tokenize

    recorder = Recorder("tokens", spec, threads=threads)
    recorder.inputs = [corpus / f"{d}.parquet" for d in spec["domains"]]
    recorder.inputs.append(tokenizer / "tokenizer.json")
    tokenize(dict(spec), corpus, tokenizer, out)
    recorder.write(out / "run.json")


def items(spec: Spec, out: Path) -> None:
    """Write the few-shot tasks."""
    from chameleon.evaluation.task_files import write_tasks

    recorder = Recorder("items", spec)
    recorder.inputs = write_tasks(spec, out)
    recorder.write(out / "run.json")
