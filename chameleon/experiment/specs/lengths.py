"""How many tokens each domain's splits must hold for everything that will be asked of them.

The `tokens` job refuses a split that is shorter, long before the first base model would be tested on it. No
part of a spec: it decides no token, and asking for more must not write all shards again.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from chameleon.core.artifacts import read_json
from chameleon.core.errors import UserError
from chameleon.data.lengths import check_lengths
from chameleon.experiment import study_settings
from chameleon.experiment.config import Config
from chameleon.experiment.specs import text
from chameleon.experiment.specs.base import Spec, dump
from chameleon.experiment.specs.results import kept_domains, unseen_domains
from chameleon.experiment.specs.training import curve_steps, extra_runs, training

#: Split, tokens, key that asks for them.
Need = tuple[str, int, str]


def asked(cfg: Config, corpus: str) -> dict[str, tuple[int, str]]:
    """Return split -> (tokens, key): the most that is asked of every domain of a corpus."""
    found: dict[str, tuple[int, str]] = {}
    for scenario in cfg.needed:
        own = corpus in cfg.raw["scenarios"][scenario]["corpora"]
        needs: list[Need] = []
        if own or corpus in kept_domains(cfg, scenario).values():
            needs += _tested(cfg, scenario)
        elif corpus in unseen_domains(cfg, scenario).values():
            needs += [_need(cfg, scenario, "test", "test_tokens", _base(cfg, scenario))]
        for split, tokens, key in (*needs, *(_trained(cfg, scenario) if own else ())):
            found[split] = max(found.get(split, (0, "")), (tokens, key))
    return found


def _base(cfg: Config, scenario: str) -> Spec:
    """Return the training of a scenario's base models, of any seed."""
    return training(cfg, scenario, cfg.seeds[0], "base")


def _tested(cfg: Config, scenario: str) -> Iterator[Need]:
    """Yield what testing the base models asks for."""
    base = _base(cfg, scenario)
    yield _need(cfg, scenario, "test", "test_tokens", base)
    if curve_steps(cfg, scenario, base["train"]["steps"]) and "curve_tokens" in cfg.evaluation(scenario):
        yield _need(cfg, scenario, "test", "curve_tokens", base)


def _trained(cfg: Config, scenario: str) -> Iterator[Need]:
    """Yield what training asks for: a block of every domain, and losses that methods look at."""
    seed = cfg.seeds[0]
    base = _base(cfg, scenario)
    models = [base, training(cfg, scenario, seed, "proxy")]
    for label in cfg.methods(scenario):
        runs = dict.fromkeys(run.scale for run in extra_runs(cfg, scenario, label, seed))
        extra = [training(cfg, scenario, seed, "proxy", scale) for scale in runs]
        for spec in extra:
            yield _need(cfg, scenario, "validation", "validation_tokens", spec)
        models += extra
        method, _ = cfg.method(label)
        if method.online or "validation" in method.requires:
            given = "controller_tokens" in cfg.evaluation(scenario)
            yield _need(
                cfg, scenario, "validation", f"{'controller' if given else 'validation'}_tokens", base
            )
    study = study_settings.read(cfg.raw)
    scales = [spec["scale"] for spec in models]
    scales += study.proxy_scales if study is not None and study.scenario == scenario else []
    for scale in scales:
        yield "train", cfg.raw["scales"][scale]["model"]["context"] + 1, f"scales.{scale}.model.context"


def _need(cfg: Config, scenario: str, split: str, name: str, spec: Spec) -> Need:
    """Return what a pass over whole blocks needs: one token more than they have."""
    context = spec["model"]["context"]
    own = name in cfg.raw["scenarios"][scenario].get("evaluation", {})
    key = f"scenarios.{scenario}.evaluation.{name}" if own else f"evaluation.{name}"
    return split, max(1, cfg.evaluation(scenario)[name] // context) * context + 1, key


def check_finished(cfg: Config) -> None:
    """Refuse a config that asks more of the tokens of an earlier run than they have.

    Only of those that are up to date; the others will be made again, and then their own job looks.

    Raises:
        UserError: see `chameleon.data.lengths`.
    """
    results = Path(cfg.results)
    for corpus in cfg.corpora:
        manifest = results / "tokens" / corpus / "manifest.json"
        if (
            manifest.is_file()
            and _is(manifest.parent, text.tokens(cfg, corpus))
            and _is(results / "tokenizer", text.tokenizer(cfg))
            and _is(results / "corpora" / corpus, text.prepare(cfg, corpus))
        ):
            check_lengths(str(manifest), read_json(manifest, "tokens")["domains"], asked(cfg, corpus))


def _is(folder: Path, spec: Spec) -> bool:
    """Whether the job that wrote a folder had this spec."""
    try:
        return bool(read_json(folder / "run.json")["spec"] == json.loads(dump(spec)))
    except (UserError, KeyError, TypeError):
        return False
