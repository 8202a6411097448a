"""Specs of the jobs from text to tokens."""

from chameleon.core.versions import STAGES
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec


def fetch(cfg: Config, corpus: str) -> Spec:
    """Which packages to download for a corpus."""
    return {"corpus": corpus, "entry": cfg.raw["corpora"][corpus], "domains": cfg.domains_of(corpus)}


def prepare(cfg: Config, corpus: str) -> Spec:
    """Cleaning, splitting and deduplication of a corpus."""
    return {**fetch(cfg, corpus), "data": cfg.data(corpus), "version": STAGES["corpora"]}


def tokenizer(cfg: Config) -> Spec:
    """The tokenizer of the experiment, and the domains it is trained on."""
    domains = {corpus: cfg.domains_of(corpus) for corpus in cfg.tokenizer_corpora}
    given = {key: value for key, value in cfg.raw["tokenizer"].items() if key != "corpora"}
    return {**given, "domains": domains, "version": STAGES["tokenizer"]}


def tokens(cfg: Config, corpus: str) -> Spec:
    """Token shards of a corpus."""
    return {
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "shard_tokens": cfg.raw["data"]["shard_tokens"],
        "version": STAGES["tokens"],
    }
