"""Specs of the jobs from text to tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.versions import STAGES
from chameleon.data.corpora.base import text_digest
from chameleon.data.corpora.digest import digest
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec

#: What tokenizers are read from; a folder may hold a model of gigabytes beside them.
TOKENIZER_FILES = (".json", ".txt", ".model")


def fetch(cfg: Config, corpus: str) -> Spec:
    """Which packages to download for a corpus, and what is in the user's own files."""
    entry, domains = cfg.raw["corpora"][corpus], cfg.domains_of(corpus)
    text = text_digest(entry, domains)
    return {"corpus": corpus, "entry": entry, "domains": domains, **({"text": text} if text else {})}


def prepare(cfg: Config, corpus: str) -> Spec:
    """Cleaning, splitting and deduplication of a corpus."""
    return {**fetch(cfg, corpus), "data": cfg.data(corpus), "version": STAGES["corpora"]}


def part_of_text(cfg: Config, corpus: str, part: int) -> Spec:
    """Reading of one part of a corpus, and gathering of one."""
    return {**prepare(cfg, corpus), "part": part, "parts": cfg.raw["data"]["parts"]}


def part_of_tokens(cfg: Config, corpus: str, part: int) -> Spec:
    """Tokens of one part of a corpus."""
    return {**tokens(cfg, corpus), "part": part, "parts": cfg.raw["data"]["parts"]}


def tokenizer(cfg: Config) -> Spec:
    """The tokenizer of the experiment, and the domains it is trained on."""
    domains = {corpus: cfg.domains_of(corpus) for corpus in cfg.tokenizer_corpora}
    given = {key: value for key, value in cfg.raw["tokenizer"].items() if key != "corpora"}
    if given["kind"] == "hf":
        # The job's word for a tokenizer that is given, whoever made it.
        given["kind"] = "gpt2"
    return {**given, "domains": domains, **_own_tokenizer(given), "version": STAGES["tokenizer"]}


def _own_tokenizer(given: Mapping[str, Any]) -> Spec:
    """Return the identity of a tokenizer in a folder of the user's, so that another one there is seen."""
    root = Path(given.get("path") or "")
    if given["kind"] == "bpe" or not given.get("path") or not root.is_dir():
        return {}
    found = [path for path in root.iterdir() if path.suffix in TOKENIZER_FILES and path.is_file()]
    return {"files": digest(root, sorted(found))}


def tokens(cfg: Config, corpus: str) -> Spec:
    """Token shards of a corpus."""
    return {
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "shard_tokens": cfg.raw["data"]["shard_tokens"],
        "version": STAGES["tokens"],
    }
