"""What must hold across a config's keys; checked before the DAG is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.errors import UserError, choices
from chameleon.embedding.encoders import check_encoder
from chameleon.evaluation.items import SETS
from chameleon.evaluation.own_items import check_own_file
from chameleon.experiment import checkpoints, names
from chameleon.experiment.config import Config
from chameleon.experiment.specs.tasks import EXAMPLES, MAX_ANSWER_BYTES, SPLIT_SEED
from chameleon.experiment.specs.training import extra_runs
from chameleon.experiment.study_settings import check as check_study
from chameleon.mixing.parameters import check_word


def check_across(cfg: Config) -> None:
    """Check a config across its keys; each alone is checked by the schema.

    Raises:
        UserError: one line with the key, the value and the valid choices.
    """
    for scenario in cfg.raw["run"]:
        check_word("run", scenario, cfg.raw["scenarios"])
    # All corpora first: the tokenizer's identity, which methods may check, spans the scenarios.
    for name in cfg.scenarios:
        _check_links(cfg, name)
    domains = {name: _check_corpora(cfg, name) for name in cfg.needed}
    for name in cfg.needed:
        _check_unseen(cfg, name)
    names.check_results(cfg)
    for name in cfg.needed:
        _check_scenario(cfg, name, domains[name])
    names.check_embedders(cfg)
    for label in cfg.raw.get("method_params", {}):
        cfg.method(label)
    _check_tokenizer(cfg)
    check_study(cfg.raw)
    if cfg.raw["evaluation"].get("fewshot") is not None:
        check_fewshot(cfg.raw["evaluation"]["fewshot"])
    for corpus in cfg.raw["data"].get("per_corpus") or {}:
        check_word("data.per_corpus", corpus, cfg.raw["corpora"])
    for scale, of in cfg.raw["scales"].items():
        if of["train"].get("shard") and of["train"]["optimizer"] == "muon":
            said = "optimizer muon works on whole matrices; shards are adamw's"
            raise UserError(f"scales.{scale}.train.shard: {said}")


def _check_tokenizer(cfg: Config) -> None:
    given = cfg.raw["tokenizer"]
    if given["kind"] == "bpe":
        for key in ("vocab_size", "bytes_per_domain", "seed"):
            if key not in given:
                raise UserError(f"tokenizer.{key}: missing; kind 'bpe' needs it")
        if given.get("path") is not None:
            raise UserError(f"tokenizer.path: {given['path']!r}: only kind gpt2 or hf takes one")
    elif given["kind"] == "hf" and given.get("path") is None:
        raise UserError("tokenizer.path: missing; kind 'hf' takes a folder or a name on the hub")
    elif given.get("path") is not None:
        path = Path(given["path"])
        # What is no folder is a name on the hub, of one part or two.
        local = path.exists() or path.is_absolute() or len(path.parts) > 2 or given["path"].startswith(".")
        if local and not path.is_dir():
            raise UserError(f"tokenizer.path: no such folder: {given['path']!r}")
    for corpus in given.get("corpora") or []:
        check_word("tokenizer.corpora", corpus, cfg.corpora)


def _check_links(cfg: Config, name: str) -> None:
    """Check which other scenario a scenario builds on, before anything asks for it."""
    scenario, where = cfg.raw["scenarios"][name], f"scenarios.{name}"
    kind = scenario.get("kind", "pretrain")
    proxy, base = scenario["proxy"], scenario["base"]
    checkpoints.check_links(cfg, name)
    for role, given in (("proxy", proxy), ("base", base)):
        if "of" in given:
            if role == "base" and kind != "finetune":
                raise UserError(f"{where}.base.of: only for kind finetune, not {kind}")
            check_word(f"{where}.{role}.of", given["of"], cfg.raw["scenarios"])
            other = cfg.raw["scenarios"][given["of"]]
            if "of" in other["proxy"] or "of" in other["base"]:
                raise UserError(f"{where}.{role}.of: {given['of']} builds on a scenario itself")
    # What a checkpoint is finetuned beside may be its own: there is no pretraining to take a proxy from.
    if kind != "pretrain" and "of" not in proxy and not (kind == "finetune" and "checkpoint" in base):
        raise UserError(f"{where}.proxy.of: missing; kind {kind} takes another's proxy")
    if "of" in proxy and ("scale" in proxy or "steps" in proxy):
        raise UserError(f"{where}.proxy: give either of, or scale (and steps)")
    if "of" not in proxy and "scale" not in proxy:
        raise UserError(f"{where}.proxy.scale: missing")
    if kind == "finetune" and "checkpoint" not in base:
        for key in ("of", "method"):
            if key not in base:
                raise UserError(f"{where}.base.{key}: missing; kind finetune needs it, or a checkpoint")
        check_word(f"{where}.base.method", base["method"], cfg.raw["scenarios"][base["of"]]["methods"])
    if scenario.get("embed_with", "proxy") == "base" and kind != "finetune":
        raise UserError(f"{where}.embed_with: 'base' is for kind finetune")


def _check_corpora(cfg: Config, name: str) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for corpus in cfg.raw["scenarios"][name]["corpora"]:
        _add_domains(cfg, corpus, f"scenarios.{name}.corpora", seen)
    own = tuple(seen)
    for corpus in cfg.kept(name):
        _add_domains(cfg, corpus, f"scenarios.{name}.base.kept", seen)
    return own


def _add_domains(cfg: Config, corpus: str, where: str, seen: dict[str, str]) -> None:
    """Add a corpus's domains to `seen` (domain -> corpus), none of which may be there."""
    check_word(where, corpus, cfg.raw["corpora"])
    domains = cfg.domains_of(corpus)
    names.check_domains(corpus, domains)
    for domain in domains:
        if domain in seen:
            raise UserError(f"{where}: domain {domain!r} is in {seen[domain]} and {corpus}")
        seen[domain] = corpus


def _check_unseen(cfg: Config, name: str) -> None:
    """Refuse corpora for unseen losses that the scenario sees, or that have a domain of the same name."""
    where, trained = f"scenarios.{name}.unseen", cfg.seen(name)
    asked = cfg.raw["scenarios"][name].get("unseen")
    if isinstance(asked, str) and asked != "transfer":
        hint = f"for a corpus write [{asked}]"
        raise UserError(f"{where}: {asked!r} is not one of transfer; {hint}")
    seen = {domain: corpus for corpus in trained for domain in cfg.domains_of(corpus)}
    others = [corpus for corpus in cfg.raw["corpora"] if corpus not in trained]
    for corpus in cfg.unseen(name):
        if corpus not in others:
            why = ": the scenario trains on it" if corpus in trained else ""
            raise UserError(f"{where}: {choices(corpus, others)}{why}")
        _add_domains(cfg, corpus, where, seen)


def _check_scenario(cfg: Config, name: str, domains: tuple[str, ...]) -> None:
    scenario, where = cfg.raw["scenarios"][name], f"scenarios.{name}"
    for role, given in (("proxy", cfg.proxy_role(name)), ("base", scenario["base"])):
        check_word(f"{where}.{role}.scale", given["scale"], cfg.raw["scales"])
        _check_heads(cfg, given["scale"])
    base_model = cfg.raw["scales"][scenario["base"]["scale"]]["model"]
    proxy_model = cfg.raw["scales"][cfg.proxy_role(name)["scale"]]["model"]
    if cfg.kind(name) == "finetune" and "of" in scenario["base"]:
        origin = scenario["base"]["of"]
        if cfg.evaluation(name)["test_tokens"] != cfg.evaluation(origin)["test_tokens"]:
            raise UserError(
                f"{where}.evaluation.test_tokens: forgetting compares with {origin}, "
                f"which is tested on {cfg.evaluation(origin)['test_tokens']} tokens a domain"
            )
        start = cfg.raw["scenarios"][origin]["base"]["scale"]
        if cfg.raw["scales"][start]["model"] != base_model:
            raise UserError(
                f"{where}.base.scale: {scenario['base']['scale']} has another model than "
                f"{start}, from which finetuning starts"
            )
    layer, length = (cfg.raw["embeddings"][key] for key in ("layer", "window_length"))
    for label in scenario["methods"]:
        method, params = cfg.method(label, f"{where}.methods")
        here = f"{where}.methods: {label}"
        try:
            method.check(params, domains, {"tokenizer_fingerprint": cfg.tokenizer_fingerprint})
        except UserError as error:
            raise UserError(f"{here}: {error}") from error
        _check_runs(cfg, name, label, here)
        for other in [*method.uses(params), *method.follows(params), *method.reads(params)]:
            check_word(f"{here} uses", other, scenario["methods"])
        _check_uses(cfg, label, here)
        if cfg.embed_with(name, label) == "base" and cfg.kind(name) != "finetune":
            raise UserError(
                f"method_params.{label}.embed_with: 'base' is for kind finetune, "
                f"but {name} is of kind {cfg.kind(name)}"
            )
        if cfg.embed_with(name, label) == "sentences":
            check_encoder(cfg.sentences["encoder"], "sentences.encoder")
        model = base_model if cfg.embed_with(name, label) == "base" else proxy_model
        depth, context = model["n_layer"], model["context"]
        if layer is not None and layer > depth:
            raise UserError(f"embeddings.layer: {layer} is deeper than the proxy's {depth} blocks")
        if length is not None and length > context:
            raise UserError(
                f"embeddings.window_length: {length} is longer than the proxy's context {context}"
            )
    window = max(proxy_model["context"], base_model["context"])
    for key in ("test_tokens", "validation_tokens", "controller_tokens", "curve_tokens"):
        if (value := cfg.evaluation(name).get(key)) is not None and value < window:
            raise UserError(f"evaluation.{key}: {value} is less than a context of {window}")


def _check_heads(cfg: Config, scale: str) -> None:
    """Refuse heads of no whole width; those of transformers may be wider or narrower than the model."""
    model = cfg.raw["scales"][scale]["model"]
    width, heads = model["d_model"], model["n_head"]
    if width % heads and "kind" not in model:
        raise UserError(f"scales.{scale}.model: d_model {width} is not divisible by n_head {heads}")


def _check_runs(cfg: Config, name: str, label: str, where: str) -> None:
    """Check the runs that a method asks for: their scales exist, and a swarm is of one kind."""
    try:
        # Drawn once: planning asks for the same ones.
        runs = [run for seed in cfg.seeds for run in extra_runs(cfg, name, label, seed)]
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    checkpoints.check_method(cfg, name, label, runs)
    if odd := [run.scale for run in runs if not isinstance(run.scale, str | None)]:
        raise UserError(f"{where}: scale: {odd[0]!r} is not the name of a scale")
    for scale in dict.fromkeys(run.scale for run in runs if run.scale is not None):
        check_word(f"{where}: scale", scale, cfg.raw["scales"])
        _check_heads(cfg, scale)
        context = cfg.raw["scales"][scale]["model"]["context"]
        if (value := cfg.evaluation(name)["validation_tokens"]) < context:
            least = f"a context of {context} of scale {scale}"
            raise UserError(f"evaluation.validation_tokens: {value} is less than {least}")
    swarm = [run for run in runs if run.swarm]
    if any(run.after or run.objective or run.weights is None for run in swarm):
        raise UserError(f"{where}: a swarm's runs wait for nothing and have fixed weights")
    if len({run.blocks for run in swarm}) > 1:
        raise UserError(f"{where}: of a swarm's runs, all or none keep their losses by block")
    if odd := [run.start for run in runs if run.start is not None and run.start not in run.after]:
        raise UserError(f"{where}: a run starts from {odd[0]!r}, but does not wait for it")


def _check_uses(cfg: Config, label: str, where: str) -> None:
    """Refuse methods that build on each other's weights or runs in a circle."""
    seen, waiting = set[str](), [label]
    while waiting:
        method, params = cfg.method(waiting.pop())
        for other in [*method.uses(params), *method.follows(params), *method.reads(params)]:
            if other == label:
                raise UserError(f"{where}: builds on its own weights, by its parameters")
            if other not in seen:
                seen.add(other)
                waiting.append(other)


def check_fewshot(fewshot: Mapping[str, Any]) -> None:
    """Refuse sets of items that do not exist, own files that are malformed, and more shots than examples."""
    where = "evaluation.fewshot"
    path = fewshot.get("path")
    if fewshot["source"] == "lm_eval":
        if path is not None:
            raise UserError(f"{where}.path: {path!r}: only source 'items' reads files")
        return
    for name in fewshot["tasks"]:
        if path is None and name not in SETS:
            raise UserError(f"{where}.tasks: {choices(name, SETS)}")
        if path is not None and not (Path(path) / f"{name}.jsonl").is_file():
            raise UserError(f"{where}.tasks: {Path(path) / f'{name}.jsonl'}: no such file")
    shots = max(fewshot["shots"])
    if shots > EXAMPLES:
        raise UserError(f"{where}.shots: {shots} is more than the {EXAMPLES} examples")
    if path is None:
        return
    for name in fewshot["tasks"]:
        # The job would find it too, hours later perhaps, and be tried again.
        file = Path(path) / f"{name}.jsonl"
        try:
            examples = check_own_file(file, MAX_ANSWER_BYTES, EXAMPLES, SPLIT_SEED)
        except UserError as error:
            raise UserError(f"{where}.tasks: {error}") from error
        if shots > examples:
            raise UserError(f"{where}.shots: {shots} is more than the {examples} examples of {file}")
