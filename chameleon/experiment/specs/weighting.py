"""Specs of domain embeddings and of a method's weights."""

from chameleon.core.seeds import derive
from chameleon.core.versions import STAGES
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec
from chameleon.experiment.specs.training import method_seed, ordered_tokens, reads, training


def embedders(cfg: Config) -> dict[str, tuple[str, str, str]]:
    """Return the models that embed domains: name -> `Config.embedding_model`; a sentence encoder is none."""
    asked = [(scenario, label) for scenario in cfg.needed for label in cfg.methods(scenario)]
    found = {cfg.embedder(*one): cfg.embedding_model(*one) for one in asked}
    return {name: model for name, model in found.items() if name != "sentences"}


def embed(cfg: Config, embedder: str, corpus: str, seed: int) -> Spec:
    """Domain embeddings of a corpus under one model; with a seed `init`, under its initial weights."""
    untrained = {"init": derive(seed, "init", "proxy")} if embedder.startswith("untrained_") else {}
    return {
        "embedder": embedder,
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "seed": seed,
        "seeds": {"windows": derive(seed, "windows")} | untrained,
        **cfg.raw["embeddings"],
        "version": STAGES["embeddings"],
    }


def encoder(cfg: Config) -> Spec:
    """The sentence encoder."""
    return {"encoder": cfg.sentences["encoder"], "version": STAGES["sentences"]}


def sentences(cfg: Config, corpus: str, seed: int) -> Spec:
    """Domain embeddings of a corpus by the sentence encoder."""
    return {
        "corpus": corpus,
        "domains": cfg.domains_of(corpus),
        "seed": seed,
        "seeds": {"windows": derive(seed, "windows")},
        **cfg.sentences,
        "version": STAGES["sentences"],
    }


def weights(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """A method's weights."""
    method, params = cfg.method(label)
    base = training(cfg, scenario, seed, "base")
    return {
        "scenario": scenario,
        "method": label,
        "registered": method.name,
        "method_version": method.version,
        "params": params,
        "seed": seed,
        "seeds": {"method": method_seed(scenario, label, seed)},
        "domains": cfg.domains(scenario),
        "total_steps": base["train"]["steps"],
        "token_budget": _tokens(base),
        "tokenizer_fingerprint": cfg.tokenizer_fingerprint,
        "version": STAGES["weights"],
        **reads(cfg, label),
        **{key: True for key in ("histograms", "validation_histograms") if key in method.requires},
        **({"validation_tokens": ordered_tokens(cfg, scenario)} if "validation" in method.requires else {}),
    }


def _tokens(spec: Spec) -> int:
    return int(spec["train"]["steps"] * spec["train"]["batch_size"] * spec["model"]["context"])


def needs_embeddings(cfg: Config, label: str) -> bool:
    return "embeddings" in cfg.method(label)[0].requires


def foretelling(cfg: Config, scenario: str) -> list[str]:
    """Return the labels of a scenario that say what other mixtures will come to."""
    return [label for label in cfg.methods(scenario) if cfg.method(label)[0].foretells]


def forecast(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """What a method expects of the mixtures of its scenario: of all that do not move."""
    static = [other for other in cfg.methods(scenario) if not cfg.method(other)[0].online]
    return {**weights(cfg, scenario, label, seed), "mixtures": static, "version": STAGES["forecast"]}


def used_methods(cfg: Config, label: str) -> list[str]:
    """Return the labels whose weights a method builds on, directly or through others, each once."""
    found: list[str] = []
    waiting = [label]
    while waiting:
        method, params = cfg.method(waiting.pop())
        new = [other for other in method.uses(params) if other not in found]
        found += new
        waiting += new
    return found
