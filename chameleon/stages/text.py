"""The jobs that turn text into what models read, with records: corpora, tokenizer, shards, tasks."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon.core.artifacts import write_json
from chameleon.core.handover import expand
from chameleon.core.provenance import Recorder

Spec = Mapping[str, Any]


def read(spec: Spec, out: Path) -> None:
    """Read and clean a part of a corpus; the spec says which."""
    from chameleon.data.corpora.prepare import read_part

    with whole(out) as folder:
        read_part(spec, spec["part"], spec["parts"], folder)


def gather(spec: Spec, reads: Sequence[Path], out: Path) -> None:
    """Gather a part of what was read, by hash; the spec says which."""
    from chameleon.data.corpora.prepare import gather_part

    with whole(out) as folder:
        gather_part(spec, spec["part"], spec["parts"], reads, folder)


def prepare(
    spec: Spec, out: Path, threads: int, reads: Sequence[Path] = (), gathers: Sequence[Path] = ()
) -> None:
    """Clean, split and deduplicate a corpus, or finish what the jobs for its parts have done of that."""
    from chameleon.data.corpora import prepare as work

    recorder = Recorder("prepare", spec, [out / "sources.json"], threads=threads)
    if gathers:
        with work.workers(threads) as each:
            work.finish(spec, reads, gathers, out, each)
    else:
        work.prepare(spec, out, threads)
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


def encode(spec: Spec, corpus: Path, tokenizer: Path, out: Path, threads: int) -> None:
    """Tokenise a part of a corpus; the spec says which."""
    # Read once by the tokenizer's library, which takes every core otherwise.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from chameleon.data.tokenizing import encode as work

    with whole(out) as folder:
        work(dict(spec), corpus, tokenizer, folder, threads, spec["part"], spec["parts"])


def tokens(
    spec: Spec,
    corpus: Path,
    tokenizer: Path,
    out: Path,
    threads: int,
    asked: Mapping[str, Any] | None = None,
    encoded: Sequence[Path] = (),
) -> None:
    """Write a corpus's token shards.

    Args:
        spec: as `specs.tokens` makes it.
        asked: as `specs.asked` makes it: what the splits must hold.
        encoded: what the jobs for its parts have tokenised; none: all is done here.
    """
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from chameleon.data.tokenizing import assemble, tokenize

    texts = [corpus / f"{domain}.parquet" for domain in spec["domains"]]
    recorder = Recorder("tokens", spec, [*texts, tokenizer / "tokenizer.json"], threads=threads)
    if encoded:
        assemble(dict(spec), encoded, tokenizer, out, asked or {})
    else:
        tokenize(dict(spec), corpus, tokenizer, out, asked or {}, threads)
    # The manifest has the digests of the shards.
    recorder.outputs = [out / "manifest.json", *(p for d in spec["domains"] for p in out.glob(f"{d}/*.npy"))]
    recorder.write(out / "run.json")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `out` when all is written."""
    temporary = out.with_name(f".{out.name}.tmp")
    for old in (out, temporary):
        shutil.rmtree(old, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    temporary.rename(out)


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
