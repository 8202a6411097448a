"""Small tidy result files with known answers, for the tests of tables and figures."""

import json
import math
from pathlib import Path

import pandas as pd

from chameleon.reporting.records.tidy import COLUMNS, Frames, of_scenarios

DOMAINS = ("papers", "books", "code")
SEEDS = (0, 1, 2)
#: Perplexity of uniform by domain, plus one per seed step; every other method is a known factor of it.
BASE = {"papers": 20.0, "books": 40.0, "code": 10.0}
#: natural: 2 % better on papers, the same on books, code noisy around nothing.
FACTORS = {
    "uniform": {"papers": (1, 1, 1), "books": (1, 1, 1), "code": (1, 1, 1)},
    "natural": {"papers": (0.98, 0.98, 0.98), "books": (1, 1, 1), "code": (0.98, 1.0, 1.02)},
    "chameleon": {"papers": (1.05, 1.06, 1.04), "books": (0.9, 0.91, 0.92), "code": (1, 1.01, 1)},
}
#: Tokens at which the toy base runs are tested.
POINTS = (250_000, 500_000, 750_000, 1_000_000)
#: Few-shot tasks with the accuracy of guessing, and accuracies in points above it by method and seed.
TASKS = {"piqa": 0.5, "boolq": 0.4}
ABOVE = {"uniform": (0.0, 0.01, -0.01), "natural": (0.02, 0.03, 0.01), "chameleon": (0.2, 0.21, 0.19)}
SCORES = {"papers": (0.5, 0.6, 0.4), "books": (0.2, 0.1, 0.3), "code": (0.3, 0.3, 0.3)}


#: Test documents of every domain: blocks that begin in each, its loss beside the domain's, and how much of a
#: method's lean (nats/token) is in it. Over all blocks both are nothing.
BLOCKS, BESIDE, LEANS = (1, 2, 1), (0.3, -0.2, 0.1), (1, 0, -1)
LEAN = {"uniform": 0.0, "natural": 0.02, "chameleon": 0.04}
#: Domains that nothing saw, with the loss of uniform; others lie above it, by a hundredth more each seed.
UNSEEN = {"law": 5.0, "recipes": 4.0}
FAR = {"uniform": (0, 0), "natural": (-0.1, 0.3), "chameleon": (0.2, 0.1)}


def unseen(method: str, domain: str, seed: int) -> float:
    """Return the loss in nats/token on an unseen domain."""
    away = FAR[method][list(UNSEEN).index(domain)]
    return UNSEEN[domain] + away + (0.01 * seed if method != "uniform" else 0)


def perplexity(method: str, domain: str, seed: int) -> float:
    return (BASE[domain] + seed) * FACTORS[method][domain][seed]


def frames(methods=tuple(FACTORS), seeds=SEEDS, scenario: str = "toy") -> dict[str, list[dict]]:
    """Return the rows of the tidy files."""
    metrics, weights, costs, diagnostics, curves, documents = [], [], [], [], [], []
    for method in methods:
        for seed in seeds:
            head = {"scenario": scenario, "method": method, "seed": seed}
            values = {d: perplexity(method, d, seed) for d in DOMAINS}
            losses = [math.log(v) for v in values.values()]
            rows = [("slim", d, "loss", math.log(v), "nats/token") for d, v in values.items()]
            rows += [("slim", d, "perplexity", v, "perplexity") for d, v in values.items()]
            rows.append(("all", "mean", "mean_perplexity", sum(values.values()) / 3, "perplexity"))
            rows.append(("all", "mean", "mean_log_perplexity", sum(losses) / 3, "nats/token"))
            rows += [("slim", d, "unseen_loss", unseen(method, d, seed), "nats/token") for d in UNSEEN]
            mean = sum(unseen(method, d, seed) for d in UNSEEN) / len(UNSEEN)
            rows.append(("all", "mean", "mean_unseen_loss", mean, "nats/token"))
            rows += _fewshot(method, seed)
            metrics += [{**head, "corpus": c, "scale": "cpu", "domain_or_task": d, "metric": m, "value": v,
                         "unit": u} for c, d, m, v, u in rows]  # fmt: skip
            share = {"uniform": (1 / 3, 1 / 3, 1 / 3), "natural": (0.5, 0.3, 0.2),
                     "chameleon": (0.2 + 0.1 * seed, 0.5 - 0.1 * seed, 0.3)}[method]  # fmt: skip
            by_domain = list(zip(DOMAINS, share, strict=True))
            weights += [{**head, "step": 0, "domain": d, "weight": w} for d, w in by_domain]
            stages = [("base", 1e6, 6e12, 100.0), ("evaluate", 2e5, 4e11, 5.0)]
            if method == "chameleon":
                stages += [("proxy", 1e5, 6e11, 8.0), ("embed", 5e4, 1e11, 1.5), ("weights", 0, 0, 0.5)]
            costs += [{**head, "stage": s, "tokens": t, "flops": f, "seconds": x, "device": "cpu"}
                      for s, t, f, x in stages]  # fmt: skip
            diagnostics += [{**head, "quantity": "effective_epochs", "domain": d, "other": "", "value": 3 * w}
                            for d, w in by_domain]  # fmt: skip
            # The distance to uniform grows with the tokens: zero at the start, all of it at the end.
            for tokens in POINTS:
                for d in DOMAINS:
                    away = math.log(values[d] / perplexity("uniform", d, seed)) * tokens / 1e6
                    curves.append({**head, "step": tokens // 1000, "tokens": tokens, "domain": d,
                                   "loss": 9 - 5 * tokens / 1e6 + away})  # fmt: skip
            documents += [{**head, "domain": d, "document": i, "blocks": n,
                           "loss": math.log(values[d]) + BESIDE[i] + LEAN[method] * LEANS[i]}
                          for d in DOMAINS for i, n in enumerate(BLOCKS)]  # fmt: skip
            if method == "chameleon":
                diagnostics += [{**head, **row} for row in _krls(seed)]
    return {"metrics": metrics, "weights": weights, "costs": costs, "diagnostics": diagnostics,
            "curves": curves, "documents": documents}  # fmt: skip


def _fewshot(method: str, seed: int) -> list[tuple]:
    """Rows of metrics.csv of two tasks at 0 and 5 shots; five shots add a point, bits fall with accuracy."""
    rows = []
    for shots in (0, 5):
        means = {"acc": 0.0, "acc_norm": 0.0, "bits_per_byte": 0.0}
        for task, chance in TASKS.items():
            found = {"acc": chance + ABOVE[method][seed] + 0.002 * shots, "acc_norm": chance,
                     "bits_per_byte": 2.0 - ABOVE[method][seed]}  # fmt: skip
            for name, value in found.items():
                unit = "bits/byte" if name == "bits_per_byte" else "accuracy"
                rows.append(("fewshot", task, f"{name}_{shots}shot", value, unit))
                means[name] += value / 2
            rows += [
                ("fewshot", task, f"{name}_stderr_{shots}shot", 0.02, "accuracy")
                for name in ("acc", "acc_norm")
            ]
            if shots == 0:
                rows += [
                    ("fewshot", task, "chance", chance, "accuracy"),
                    ("fewshot", task, "items", 500, "items"),
                ]
                # Half the answers of this one are the same: more than a guess finds.
                rows += [("fewshot", task, "constant", 0.5, "accuracy")] if task == "boolq" else []
        rows += [
            ("fewshot", "mean", f"{n}_stderr_{shots}shot", 0.02 / math.sqrt(2), "accuracy")
            for n in ("acc", "acc_norm")
        ]
        for name, value in means.items():
            unit = "bits/byte" if name == "bits_per_byte" else "accuracy"
            rows.append(("fewshot", "mean", f"{name}_{shots}shot", value, unit))
    return rows


def _krls(seed: int) -> list[dict]:
    def row(quantity, domain, other, value):
        return {"quantity": quantity, "domain": domain, "other": other, "value": value}

    rows = [row("score", d, "", SCORES[d][seed]) for d in DOMAINS]
    rows += [row("k_lambda", "", "", 30.0)]
    rows += [row("eigenvalue", "", str(i), v) for i, v in enumerate((90.0 + seed, 12.0, 0.0))]
    rows += [row("affinity", a, b, 10.0 * ((a == b) * 3 - 1)) for a in DOMAINS for b in DOMAINS]
    sign = -1 if seed % 2 else 1
    points = {"papers": (3.0, 1.0), "books": (-2.0, 1.5), "code": (-1.0, -2.5)}
    for domain, (x, y) in points.items():
        rows += [row("embedding_pc", domain, "1", sign * x), row("embedding_pc", domain, "2", y)]
    return [*rows, row("embedding_pc_share", "", "1", 0.7), row("embedding_pc_share", "", "2", 0.3)]


def write(results: Path, tables: dict[str, list[dict]] | None = None) -> Path:
    """Write the tidy files and the corpus report below `results`."""
    for name, rows in (tables or frames()).items():
        results.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=COLUMNS[name]).to_csv(results / f"{name}.csv", index=False)
    source = {"registry": "pypi", "package": "some-books", "version": "1.2", "file": "b.whl", "bytes": 1,
              "sha256": "ab" * 32, "licence": "CC0 | public", "redistributable": True}  # fmt: skip
    domain = {
        "title": "Novels", "stands_for": "Books", "differs": "Fewer.", "sha256": "0" * 64,
        "counts": {"raw": 1500, "too_short": 3, "cut_pieces": 20, "capped": 0, "exact_duplicates": 4,
                   "near_duplicates": 5, "cross_split_duplicates": 6},
        "splits": {split: {"documents": n, "bytes": n * 2000}
                   for split, n in (("train", 1200), ("validation", 60), ("test", 70))},
        "sources": [source, {**source, "package": "more", "sha256": None, "redistributable": False}],
    }  # fmt: skip
    report = {"corpus": "slim", "order": list(DOMAINS), "domains": dict.fromkeys(DOMAINS, domain)}
    path = results / "corpora" / "slim" / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return results


def of_scenario(results: Path, scenario: str) -> Frames:
    return of_scenarios(results, [scenario])[scenario]


def row(frame, **where):
    """Return the only row with these values."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1, where
    return frame.iloc[0]


def cells(markdown: str, first: str) -> list[str]:
    """Return the cells of the row that begins with `first`."""
    (line,) = [x for x in markdown.splitlines() if x.startswith(f"| {first} |")]
    return [c.strip() for c in line.strip("|").split(" | ")]
