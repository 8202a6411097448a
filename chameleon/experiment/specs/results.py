"""Specs of what is measured and shown: test losses, tidy files, tables, figures."""

from chameleon.core.versions import STAGES
from chameleon.experiment.checkpoints import START
from chameleon.experiment.config import Config
from chameleon.experiment.specs.base import Spec
from chameleon.experiment.specs.training import extra_runs, single_runs, start_of, swarm_groups
from chameleon.experiment.specs.weighting import needs_embeddings, used_methods
from chameleon.mixing.types import REFERENCE


def kept_domains(cfg: Config, scenario: str) -> dict[str, str]:
    """Return the domains that a finetuned model was pretrained on: domain -> corpus; else none.

    Of a checkpoint those of the corpora in `base.kept`.
    """
    if cfg.kind(scenario) != "finetune":
        return {}
    if cfg.checkpoint(scenario, "base") is not None:
        before = {d: c for c in cfg.kept(scenario) for d in cfg.domains_of(c)}
    else:
        before = cfg.domains(cfg.raw["scenarios"][scenario]["base"]["of"])
    return {d: c for d, c in before.items() if d not in cfg.domains(scenario)}


def unseen_domains(cfg: Config, scenario: str) -> dict[str, str]:
    """Return the domains that base models are tested on and nothing else sees: domain -> corpus."""
    return {d: c for c in cfg.unseen(scenario) for d in cfg.domains_of(c)}


def groups(cfg: Config, scenario: str) -> dict[str, list[str]]:
    """Return the groups of domains that get means of their own, beside the mean over all."""
    if cfg.kind(scenario) != "transfer":
        return {}
    before = cfg.domains(cfg.proxy_of(scenario))
    domains = cfg.domains(scenario)
    old, new = ([d for d in domains if (d in before) is known] for known in (True, False))
    # A transfer to a set that shares no domain (or all) has one mean only, that over all.
    return {"mean_old": old, "mean_new": new} if old and new else {}


def evaluate(cfg: Config, scenario: str, label: str, seed: int) -> Spec:
    """Test loss and perplexity of a base model on every domain, on those of its pretraining, on unseen ones.

    Of all specs before the tidy files' only this one has unseen domains: no weights may depend on them.
    """
    return {
        "scenario": scenario,
        "scale": cfg.raw["scenarios"][scenario]["base"]["scale"],
        "method": label,
        "seed": seed,
        "domains": cfg.domains(scenario),
        "groups": groups(cfg, scenario),
        "kept": kept_domains(cfg, scenario),
        "unseen": unseen_domains(cfg, scenario),
        "test_tokens": cfg.evaluation(scenario)["test_tokens"],
        "version": STAGES["evaluate"],
    }


def start(cfg: Config, scenario: str) -> Spec:
    """Test loss of the checkpoint that a scenario finetunes, before that; the same for every seed.

    The domains of `base.kept` are domains like the others here, as those of a pretrained model are.
    """
    spec = evaluate(cfg, scenario, START, cfg.seeds[0])
    del spec["seed"]
    domains = {**spec["domains"], **spec["kept"]}
    return {**spec, "domains": domains, "kept": {}, "of_seeds": cfg.seeds}


def _sources(cfg: Config, scenario: str, label: str) -> Spec:
    """Where one method's files lie, and what its weights are charged for, seed by seed the same."""
    method, params = cfg.method(label)
    embedder = cfg.embedder(scenario, label) if needs_embeddings(cfg, label) else None
    corpora = list(dict.fromkeys(cfg.domains(scenario).values()))
    # A proxy of another scenario exists already, and so do its embeddings of the domains it knows: a method
    # that reuses them is charged for what it adds. A model that is to be finetuned is there in any case.
    reused = embedder not in (
        None,
        f"proxy_{scenario}",
        *(f"base_{name}" for name in cfg.checkpoints),
    ) and cfg.embed_with(scenario, label) not in ("untrained", "sentences")
    known = cfg.raw["scenarios"][cfg.proxy_of(scenario)]["corpora"] if reused else []
    new = [c for c in corpora if c not in known]
    return {
        "embedder": embedder,
        "charged_proxy": embedder == f"proxy_{scenario}",
        "charged_corpora": new if embedder else [],
        "online": method.online,
        "foretells": method.foretells,
        "reference": any(REFERENCE in r.after for r in extra_runs(cfg, scenario, label, cfg.seeds[0])),
        "runs": {str(s): [r.run_id for r in single_runs(cfg, scenario, label, s)] for s in cfg.seeds},
        "swarm": {str(s): list(swarm_groups(cfg, scenario, label, s)) for s in cfg.seeds},
        "uses": used_methods(cfg, label),
        "follows": method.follows(params),
        "reads": method.reads(params),
    }


def has_fewshot(cfg: Config, scenario: str) -> bool:
    """Return whether a scenario's base models take the few-shot tasks."""
    wanted = cfg.raw["scenarios"][scenario].get("fewshot", cfg.kind(scenario) != "finetune")
    return bool(wanted) and cfg.raw["evaluation"].get("fewshot") is not None


def collect(cfg: Config) -> Spec:
    """Everything that the tidy files gather."""
    scenarios = {}
    for name in cfg.scenarios:
        before = start_of(cfg, name)
        scenarios[name] = {
            "kind": cfg.kind(name),
            "domains": cfg.domains(name),
            "groups": groups(cfg, name),
            "kept": kept_domains(cfg, name),
            "unseen": unseen_domains(cfg, name),
            "start": list(before) if before is not None else None,
            "fewshot": has_fewshot(cfg, name),
            "methods": {label: _sources(cfg, name, label) for label in cfg.methods(name)},
        }
    return {"scenarios": scenarios, "seeds": cfg.seeds, "version": STAGES["collect"]}


def kinds(cfg: Config) -> dict[str, str]:
    """Return scenario -> kind of what is run, in order."""
    return {name: cfg.kind(name) for name in cfg.scenarios}


def with_unseen(cfg: Config) -> list[str]:
    """Return the scenarios that are run and have losses on unseen domains."""
    return [name for name in cfg.scenarios if cfg.unseen(name)]


def tables(cfg: Config) -> Spec:
    shown = [c for s in cfg.scenarios for c in (*cfg.raw["scenarios"][s]["corpora"], *cfg.unseen(s))]
    return {
        "scenarios": kinds(cfg),
        "unseen": with_unseen(cfg),
        "corpora": list(dict.fromkeys(shown)),
        "version": STAGES["tables"],
    }


def figures(cfg: Config) -> Spec:
    return {"scenarios": kinds(cfg), "version": STAGES["figures"]}


def page(cfg: Config) -> Spec:
    return {"scenarios": kinds(cfg), "version": STAGES["page"]}
