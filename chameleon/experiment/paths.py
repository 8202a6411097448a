"""Which files every rule of the workflow reads: pure functions of the config.

Paths begin with `<results>`, the workflow's name for the results folder. Wildcards come as arguments, seeds
as the strings that they are in paths.
"""

from collections.abc import Sequence
from pathlib import Path

from chameleon.embedding.encoders import FILES, PACKAGED
from chameleon.experiment import specs
from chameleon.experiment.config import Config
from chameleon.experiment.specs import study
from chameleon.mixing import REFERENCE


def _manifest(corpus: str) -> str:
    return f"<results>/tokens/{corpus}/manifest.json"


def _run(scenario: str, method: str, seed: str | int) -> str:
    return f"<results>/runs/{scenario}/{method}/seed{seed}"


def _weights(scenario: str, method: str, seed: str | int) -> str:
    return f"<results>/weights/{scenario}/{method}/seed{seed}.json"


def _checkpoint(name: str) -> str:
    return f"<results>/checkpoints/{name}/model"


def manifests(cfg: Config, scenario: str) -> list[str]:
    """Token manifests of a scenario's corpora."""
    return [_manifest(corpus) for corpus in cfg.raw["scenarios"][scenario]["corpora"]]


def tested_manifests(cfg: Config, scenario: str) -> list[str]:
    """The same, those of the corpora that a finetuned model was pretrained on, and those of unseen ones."""
    others = (*specs.kept_domains(cfg, scenario).values(), *cfg.unseen(scenario))
    return list(dict.fromkeys([*manifests(cfg, scenario), *map(_manifest, others)]))


def embedding_files(cfg: Config, scenario: str, method: str, seed: str) -> list[str]:
    """Embeddings that a method asked for: none, or one file per corpus of the scenario."""
    if not specs.needs_embeddings(cfg, method):
        return []
    folder = f"<results>/embeddings/{cfg.embedder(scenario, method)}/seed{seed}"
    return [f"{folder}/{corpus}.json" for corpus in cfg.raw["scenarios"][scenario]["corpora"]]


def encoder_files(cfg: Config) -> list[str]:
    """The files of an encoder of the user's own."""
    chosen = cfg.sentences["encoder"]
    return [] if chosen in PACKAGED else [f"{chosen}/{name}" for name in FILES]


def embedder_model(cfg: Config, embedder: str, seed: str) -> str:
    """The model behind an embedder's name: a scenario's proxy, a base model, or a checkpoint."""
    kind, scenario, method = specs.embedders(cfg)[embedder]
    if kind == "checkpoint":
        return _checkpoint(scenario)
    if kind != "base":
        return f"<results>/proxies/{scenario}/seed{seed}/model"
    return f"{_run(scenario, method, seed)}/model"


def start_model(cfg: Config, scenario: str, seed: str) -> str | list[str]:
    """The checkpoint that a base run goes on from: none, or the model to be finetuned."""
    base = cfg.raw["scenarios"][scenario]["base"]
    if "checkpoint" in base:
        return checkpoint_model(cfg, scenario)
    return f"{_run(base['of'], base['method'], seed)}/model" if "of" in base else []


def checkpoint_model(cfg: Config, scenario: str) -> str | list[str]:
    """The checkpoint that a scenario finetunes, if it does."""
    name = cfg.checkpoint_name(scenario, "base")
    return [] if name is None else _checkpoint(name)


def is_online(cfg: Config, method: str) -> bool:
    """Whether a method's weights move while the base model trains."""
    return cfg.method(method)[0].online


def user_files(cfg: Config, method: str) -> list[str]:
    """The user's own files that a method reads."""
    registered, params = cfg.method(method)
    return registered.files(params)


def others(cfg: Config, scenario: str, method: str, seed: str) -> list[str]:
    """Weights of the methods that a method builds on."""
    registered, params = cfg.method(method)
    return [_weights(scenario, label, seed) for label in registered.uses(params)]


def foretold(cfg: Config, scenario: str, method: str, seed: str) -> list[str]:
    """Weights whose outcome a method foretells."""
    labels = specs.forecast(cfg, scenario, method, int(seed))["mixtures"]
    return [_weights(scenario, label, seed) for label in labels]


def forecasts(cfg: Config) -> list[str]:
    """What the methods that foretell expect of the mixtures of their scenarios."""
    runs = [(s, m, n) for s in cfg.scenarios for m in specs.foretelling(cfg, s) for n in cfg.seeds]
    return [f"<results>/forecasts/{s}/{m}/seed{n}.json" for s, m, n in runs]


def played(cfg: Config, scenario: str, method: str, seed: str) -> list[str]:
    """What the base runs of the methods that a method follows have played."""
    registered, params = cfg.method(method)
    return [f"{_run(scenario, label, seed)}/mixture.json" for label in registered.follows(params)]


def extra_results(cfg: Config, scenario: str, method: str, seed: str) -> list[str]:
    """Results of the runs that a method needs before it can answer, those of others that it reads last.

    Of each method single ones come first, then parts of a swarm.
    """
    registered, params = cfg.method(method)
    found = []
    for label in (method, *registered.reads(params)):
        of, folder = (cfg, scenario, label, int(seed)), _run(scenario, label, seed)
        found += [f"{folder}/extra/{run.run_id}/result.json" for run in specs.single_runs(*of)]
        found += [f"{folder}/swarm/{group}.json" for group in specs.swarm_groups(*of)]
    return found


def after_results(cfg: Config, scenario: str, method: str, seed: str, run: str) -> list[str]:
    """Results of the runs that an extra run waits for."""
    waited = specs.after(cfg, scenario, method, int(seed), run)
    folder = f"{_run(scenario, method, seed)}/extra"
    return [f"{folder}/{name}/result.json" for name in waited if name != REFERENCE]


def reference_record(cfg: Config, scenario: str, method: str, seed: str, run: str) -> str | list[str]:
    """The scenario's own uniform proxy, for an extra run that asked for it."""
    if REFERENCE not in specs.after(cfg, scenario, method, int(seed), run):
        return []
    return f"<results>/proxies/{scenario}/seed{seed}/run.json"


def run_folders(files: Sequence[str]) -> list[str]:
    """From results: folders of extra runs (their names are the run ids), files of a swarm as they are."""
    return [str(p.parent if p.name == "result.json" else p) for p in map(Path, files)]


def models(cfg: Config, scenario: str) -> list[str]:
    """All base models of a scenario."""
    return [f"{_run(scenario, m, n)}/model" for m in cfg.methods(scenario) for n in cfg.seeds]


def metrics(cfg: Config) -> list[str]:
    """Test results of all base models."""
    runs = [(s, m, n) for s in cfg.scenarios for m in cfg.methods(s) for n in cfg.seeds]
    return [f"<results>/metrics/{s}/{m}/seed{n}.json" for s, m, n in runs]


def start_metrics(cfg: Config) -> list[str]:
    """What forgetting is measured against: the models that finetuning starts from, run or not."""
    starts = [start for s in cfg.scenarios if (start := specs.start_of(cfg, s)) is not None]
    return [f"<results>/metrics/{s}/{m}/seed{n}.json" for s, m in starts for n in cfg.seeds]


def study_manifests(cfg: Config) -> list[str]:
    """Token manifests of the scenario that the sensitivity study looks at."""
    return manifests(cfg, study.chosen(cfg).scenario)


def study_model(cfg: Config, variant: str, seed: str) -> str:
    """A variant's proxy: the experiment's own where it has one, else one trained for the study."""
    return f"<results>/{study.model_folder(cfg, variant, int(seed))}/model"
