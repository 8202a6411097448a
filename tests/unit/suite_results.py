"""Tidy results of a whole run as large as the default's: four scenarios, nine methods, 7 and 15 domains.

Drawn from a fixed generator, with a built-in truth per method; for tests of layout, verdicts and summary.
"""

import math

import numpy as np

from chameleon.reporting.records.tidy import COLUMNS

KINDS = {"pretrain": "pretrain", "transfer": "transfer", "finetune_languages": "finetune",
         "finetune_code": "finetune"}  # fmt: skip
OLD = ("papers", "books", "news", "messy_web", "code", "qa", "wiki")
NEW = ("recipes", "law", "patents", "verses", "dictionary", "factbook", "cloud_docs", "commit_logs")
LANGUAGES = ("german", "french", "italian", "spanish", "portuguese", "finnish", "japanese")
PROGRAMS = ("python", "javascript", "rust", "haskell", "shell", "css", "fortran")
DOMAINS = {"pretrain": OLD, "transfer": (*OLD, *NEW), "finetune_languages": LANGUAGES,
           "finetune_code": PROGRAMS}  # fmt: skip
LEARNED = ("uniform", "natural", "temperature", "unimax", "doremi", "doge", "regmix", "aioli", "chameleon")
METHODS = {"pretrain": LEARNED, "transfer": (*LEARNED, "chameleon_retrained"),
           "finetune_languages": ("uniform", "natural", "chameleon_pt", "chameleon_ft"),
           "finetune_code": ("uniform", "natural", "chameleon_pt", "chameleon_ft")}  # fmt: skip
#: Truth: mean shift of log-perplexity against uniform, and its spread over domains.
SHIFT = {"uniform": 0.0, "natural": 0.01, "temperature": 0.0, "unimax": 0.012, "doremi": 0.04, "doge": -0.02,
         "regmix": -0.012, "aioli": -0.006, "chameleon": 0.12, "chameleon_retrained": 0.1,
         "chameleon_pt": 0.06, "chameleon_ft": -0.015}  # fmt: skip
SPREAD = {"uniform": 0.0, "natural": 0.05, "temperature": 0.02, "unimax": 0.06, "doremi": 0.2, "doge": 0.06,
          "regmix": 0.12, "aioli": 0.03, "chameleon": 0.35, "chameleon_retrained": 0.32, "chameleon_pt": 0.2,
          "chameleon_ft": 0.008}  # fmt: skip
#: FLOPs of the weights by stage, as shares of a base run.
COST = {"doremi": {"reference": 0.65, "extra": 0.9}, "doge": {"extra": 0.81}, "regmix": {"swarm": 2.4},
        "aioli": {"validation": 0.6}, "chameleon": {"proxy": 0.65, "embed": 0.04},
        "chameleon_retrained": {"proxy": 0.65, "embed": 0.08}, "chameleon_ft": {"embed": 0.05},
        "chameleon_pt": {"embed": 0.05}}  # fmt: skip
TASKS = {"piqa": 0.5, "siqa": 0.333, "openbookqa": 0.25, "commonsense_qa": 0.2, "logiqa": 0.25,
         "boolq": 0.5}  # fmt: skip


def suite(seeds=(0, 1, 2)) -> dict[str, list[dict]]:
    """Return the rows of all tidy files."""
    rows: dict[str, list[dict]] = {k: [] for k in COLUMNS}
    for scenario in KINDS:
        for seed in seeds:
            shared = np.random.default_rng([len(scenario), seed])
            level = {d: 4.2 + 0.1 * i % 0.7 + 0.01 * shared.normal() for i, d in enumerate(DOMAINS[scenario])}
            for method in METHODS[scenario]:
                _run(rows, scenario, method, seed, level)
    return rows


def _run(rows: dict[str, list[dict]], scenario: str, method: str, seed: int, level: dict[str, float]) -> None:
    domains = DOMAINS[scenario]
    head = {"scenario": scenario, "method": method, "seed": seed}
    truth = np.random.default_rng([len(method), sum(map(ord, method)), len(domains)])
    own = np.random.default_rng([sum(map(ord, method)), seed, len(scenario)])
    lean = truth.normal(size=len(domains))
    lean -= lean.mean()
    shift = (
        SHIFT[method] + SPREAD[method] * lean + (method != "uniform") * 0.004 * own.normal(size=len(domains))
    )
    loss = {d: level[d] + s for d, s in zip(domains, shift, strict=True)}

    def metric(corpus: str, where: str, name: str, value: float, unit: str) -> None:
        row = {"corpus": corpus, "scale": "cpu", "domain_or_task": where, "metric": name}
        rows["metrics"].append({**head, **row, "value": float(value), "unit": unit})

    for d in domains:
        metric("slim", d, "loss", loss[d], "nats/token")
        metric("slim", d, "perplexity", math.exp(loss[d]), "perplexity")
    text = np.random.default_rng([sum(map(ord, method)), seed, len(domains)])
    for d in domains:
        # Three documents of as many blocks; what is beside the domain's loss adds up to nothing.
        beside = 0.02 * text.normal(size=3)
        rows["documents"] += [{**head, "domain": d, "document": i, "blocks": 2, "loss": loss[d] + x}
                              for i, x in enumerate(beside - beside.mean())]  # fmt: skip
    groups = {"mean": domains}
    if scenario == "transfer":
        groups |= {"mean_old": OLD, "mean_new": NEW}
    for group, members in groups.items():
        values = [loss[d] for d in members]
        metric("all", group, "mean_perplexity", np.mean(np.exp(values)), "perplexity")
        metric("all", group, "mean_log_perplexity", np.mean(values), "nats/token")
    if scenario == "pretrain":
        apart = np.random.default_rng([sum(map(ord, method)), seed])
        far = {d: 5 + 0.1 * i + SHIFT[method] + 0.01 * apart.normal() for i, d in enumerate(NEW)}
        for d, value in far.items():
            metric("slim", d, "unseen_loss", value, "nats/token")
        metric("all", "mean", "mean_unseen_loss", np.mean(list(far.values())), "nats/token")
    if scenario.startswith("finetune"):
        forgot = {d: 0.8 + 0.1 * i + SHIFT[method] * 2 + 0.01 * own.normal() for i, d in enumerate(OLD)}
        for d, value in forgot.items():
            metric("slim", d, "kept_loss", 4.4 + value, "nats/token")
            metric("slim", d, "kept_perplexity", math.exp(4.4 + value), "perplexity")
            metric("slim", d, "forgetting", value, "nats/token")
        kept = [4.4 + v for v in forgot.values()]
        metric("all", "mean", "kept_mean_perplexity", np.mean(np.exp(kept)), "perplexity")
        metric("all", "mean", "kept_mean_log_perplexity", np.mean(kept), "nats/token")
        metric("all", "mean", "mean_forgetting", np.mean(list(forgot.values())), "nats/token")
    else:
        _fewshot(metric, method, own)
    _others(rows, head, scenario, domains, shift, own)


def _fewshot(metric, method: str, own: np.random.Generator) -> None:
    for shots in (0, 5):
        means: dict[str, float] = {}
        for i, (task, chance) in enumerate(TASKS.items()):
            found = {"acc": chance + (i == 0) * 0.06 + 0.01 * own.normal(), "acc_norm": chance,
                     "bits_per_byte": 1.9 + 0.1 * i + 0.5 * SHIFT[method] + 0.01 * own.normal()}  # fmt: skip
            for name, value in found.items():
                unit = "bits/byte" if name == "bits_per_byte" else "accuracy"
                metric("fewshot", task, f"{name}_{shots}shot", value, unit)
                means[name] = means.get(name, 0) + value / len(TASKS)
            for name in ("acc", "acc_norm"):
                metric(
                    "fewshot",
                    task,
                    f"{name}_stderr_{shots}shot",
                    math.sqrt(chance * (1 - chance) / 500),
                    "accuracy",
                )
            if not shots:
                metric("fewshot", task, "chance", chance, "accuracy")
                metric("fewshot", task, "items", 500, "items")
                if task == "boolq":
                    metric("fewshot", task, "constant", 0.62, "accuracy")
        for name in ("acc", "acc_norm"):
            metric("fewshot", "mean", f"{name}_stderr_{shots}shot", 0.008, "accuracy")
        for name, value in means.items():
            metric("fewshot", "mean", f"{name}_{shots}shot", value,
                   "bits/byte" if name == "bits_per_byte" else "accuracy")  # fmt: skip


def _others(rows, head, scenario, domains, shift, own) -> None:
    method = head["method"]
    raw = np.exp(-3 * shift) if method != "uniform" else np.ones(len(domains))
    steps = (0,) if method != "aioli" else tuple(range(0, 1000, 25))
    for step in steps:
        moved = raw * np.exp((0.3 * own.normal(size=len(domains))) if method == "aioli" else 0.0)
        for d, w in zip(domains, moved / moved.sum(), strict=True):
            rows["weights"].append({**head, "step": step, "domain": d, "weight": float(w)})
    costs = dict(COST.get(method, {}))
    if scenario == "transfer" and method == "chameleon":
        costs = {"embed": 0.04}
    stages = {"weights": 0.0, **costs, "base": 1.0, "evaluate": 0.2}
    if not scenario.startswith("finetune"):
        stages["fewshot"] = 0.4
    for stage, share in stages.items():
        rows["costs"].append({**head, "stage": stage, "tokens": int(1_024_000 * share), "flops": 4e12 * share,
                              "seconds": round(70 * share + 0.1, 3), "device": "CPU"})  # fmt: skip
    for i, d in enumerate(domains):
        rows["diagnostics"].append(
            {**head, "quantity": "effective_epochs", "domain": d, "other": "", "value": 0.1 * i}
        )
    if method in ("doremi", "doge"):
        for step in range(0, 1001, 100):
            path = raw ** (step / 1000) * np.exp(0.03 * own.normal(size=len(domains)))
            for d, w in zip(domains, path / path.sum(), strict=True):
                row = {"quantity": "trajectory", "domain": d, "other": str(step), "value": float(w)}
                rows["diagnostics"].append({**head, **row})
    if method == "regmix":
        found = {"heldout_spearman": {"": 0.8 + 0.01 * own.normal()},
                 "foretold_loss": {m: 6.0 + SHIFT[m] + 0.02 * own.normal() for m in LEARNED}}  # fmt: skip
        for quantity, values in found.items():
            for other, value in values.items():
                row = {"quantity": quantity, "domain": "", "other": other, "value": float(value)}
                rows["diagnostics"].append({**head, **row})
    if method.startswith("chameleon"):
        x = own.normal(size=(len(domains), 5)) * 0.2 + np.random.default_rng(len(domains)).normal(
            size=(len(domains), 5)
        ) * [9, 6, 3, 2, 1]
        x = x - x.mean(0)
        k = x @ x.T
        u, s, _ = np.linalg.svd(x, full_matrices=False)

        def say(quantity, domain, other, value):
            rows["diagnostics"].append(
                {**head, "quantity": quantity, "domain": domain, "other": other, "value": float(value)}
            )

        for i, a in enumerate(domains):
            say("score", a, "", 1 / len(domains) + 0.0002 * i)
            for j, b in enumerate(domains):
                say("affinity", a, b, k[i, j])
            for axis in (0, 1):
                say("embedding_pc", a, str(axis + 1), (u * s)[i, axis])
        for i, value in enumerate(np.linalg.eigvalsh(k)[::-1]):
            say("eigenvalue", "", str(i), max(value, 0))
        say("k_lambda", "", "", 10 * len(domains))
        for axis in (0, 1):
            say("embedding_pc_share", "", str(axis + 1), s[axis] ** 2 / (s**2).sum())
    for t in range(1, 9):
        for d, s in zip(domains, shift, strict=True):
            rows["curves"].append({**head, "step": 125 * t, "tokens": 128_000 * t, "domain": d,
                                   "loss": 7.5 - 3 * t / 8 + s * (t / 8) ** 1.5
                                   + 0.002 * own.normal()})  # fmt: skip
