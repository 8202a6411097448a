"""The jobs that turn text into what models read, with records: corpora, tokenizer, shards, tasks."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon.core import store
from chameleon.core.artifacts import fingerprint, read_json, write_json
from chameleon.core.handover import expand
from chameleon.core.provenance import Recorder
from chameleon.data.corpora.base import domain_sources, pinned

Spec = Mapping[str, Any]


def read(spec: Spec, out: Path) -> None:
    """Read and clean a part of a corpus; the spec says which."""
    from chameleon.data.corpora.prepare import read_part

    with whole(out) as folder:
        if not _prepared(spec):
            read_part(spec, spec["part"], spec["parts"], folder)


def gather(spec: Spec, reads: Sequence[Path], out: Path) -> None:
    """Gather a part of what was read, by hash; the spec says which."""
    from chameleon.data.corpora.prepare import gather_part

    with whole(out) as folder:
        if not _prepared(spec):
            gather_part(spec, spec["part"], spec["parts"], reads, folder)


def prepare(
    spec: Spec, out: Path, threads: int, reads: Sequence[Path] = (), gathers: Sequence[Path] = ()
) -> None:
    """Clean, split and deduplicate a corpus, or finish what the jobs for its parts have done of that."""
    from chameleon.data.corpora import prepare as work

    recorder = Recorder("prepare", spec, [out / "sources.json"], threads=threads)
    recorder.outputs = [out / "report.json", *(out / f"{domain}.parquet" for domain in spec["domains"])]
    key = _key(spec)
    if not (key and store.take(key, out)):
        if gathers and all(any(folder.iterdir()) for folder in (*reads, *gathers)):
            with work.workers(threads) as each:
                work.finish(spec, reads, gathers, out, each)
        else:
            # Also where the parts relied on a store that has lost the corpus since.
            work.prepare(spec, out, threads)
        if key:
            store.put(key, out, recorder.outputs)
    recorder.write(out / "run.json")


def _key(spec: Spec) -> str | None:
    """Return a prepared corpus's key in the store; None where its text may change without notice."""
    if not os.environ.get(store.VARIABLE) or not (pinned(spec["entry"]) or "text" in spec):
        return None
    # The user's own files are known by their digest; pinned ones by what their set says of them.
    text = spec.get("text") or [domain_sources(spec["entry"], domain) for domain in spec["domains"]]
    own = {k: v for k, v in spec.items() if k not in ("part", "parts")}
    return fingerprint(["prepared", own, text])


def _prepared(spec: Spec) -> bool:
    key = _key(spec)
    return key is not None and store.holds(key)


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
        key = _tokens_key(spec, corpus, tokenizer)
        if not (key and store.holds(key)):
            work(dict(spec), corpus, tokenizer, folder, spec["part"], spec["parts"])


def _tokens_key(spec: Spec, corpus: Path, tokenizer: Path) -> str | None:
    """Return the key in the store of a corpus's token shards; None where there is no store."""
    if not os.environ.get(store.VARIABLE):
        return None
    from chameleon.data.tokenizer import tokenizer_sha256

    text = read_json(corpus / "report.json")["sha256"]
    own = {k: v for k, v in spec.items() if k not in ("part", "parts")}
    return fingerprint(["tokens", own, text, tokenizer_sha256(tokenizer)])


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
    from chameleon.data.lengths import check_lengths
    from chameleon.data.tokenizing import assemble, tokenize

    texts = [corpus / f"{domain}.parquet" for domain in spec["domains"]]
    recorder = Recorder("tokens", spec, [*texts, tokenizer / "tokenizer.json"], threads=threads)
    key = _tokens_key(spec, corpus, tokenizer)
    if key and store.take(key, out):
        manifest = read_json(out / "manifest.json", "tokens")
        check_lengths(f"corpus {spec['corpus']}", manifest["domains"], asked or {})
    elif encoded and all(any(folder.iterdir()) for folder in encoded):
        assemble(dict(spec), encoded, tokenizer, out, asked or {})
    else:
        tokenize(dict(spec), corpus, tokenizer, out, asked or {})
    if key and not store.holds(key):
        files = [
            p for d in spec["domains"] for end in ("bin", "npy") for p in sorted(out.glob(f"{d}/*.{end}"))
        ]
        store.put(key, out, [out / "manifest.json", *files])
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
