"""Gathers what the jobs left into tidy files that anyone can load.

Reads weights, metrics, learning curves, embeddings, few-shot results and run records below a results folder;
writes `metrics.csv`, `documents.csv`, `weights.csv`, `curves.csv`, `costs.csv` and `diagnostics.csv`. Tables
and figures read these files and nothing else (and the corpora's reports).
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chameleon.core.artifacts import write_csv
from chameleon.evaluation.fewshot_rows import rows as fewshot_rows
from chameleon.reporting.records.components import principal_components
from chameleon.reporting.records.reading import read_json
from chameleon.reporting.records.tidy import COLUMNS

Spec = Mapping[str, Any]
Row = tuple[Any, ...]
#: Stages whose cost is the price of a method's weights, in order; then the run that all methods pay.
WEIGHTING = ("proxy", "embed", "reference", "extra", "swarm", "weights", "followed", "validation")
#: Those of them that are runs which another method may read.
RUNS = ("reference", "extra", "swarm")


class Part(NamedTuple):
    """Rows of one tidy file that come from the same few files, which are read as the rows are asked for."""

    tidy: str
    #: Scenario, method, seed; None: of all.
    key: tuple[str, str | None, int | None]
    rows: Iterator[Row]


def collect(spec: Spec, results: Path) -> None:
    """Write the tidy files of all scenarios in `spec` (as `specs.collect` makes it)."""
    rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    for part in parts(spec, results):
        rows[part.tidy] += part.rows
    for name, found in rows.items():
        write_csv(results / f"{name}.csv", frame(name, found))


def frame(name: str, rows: list[Row]) -> pd.DataFrame:
    """Return a tidy file's rows under its columns."""
    return pd.DataFrame(rows, columns=list(COLUMNS[name]))


def parts(spec: Spec, results: Path) -> Iterator[Part]:
    """Yield the rows of all tidy files, those of one file in its order."""
    for scenario, what in spec["scenarios"].items():
        for method, needs in what["methods"].items():
            for seed in spec["seeds"]:
                paths = Paths(results, scenario, method, seed, needs["embedder"])
                yield from cell(paths, what, bool(needs.get("foretells")))
        if what["fewshot"]:
            yield Part("metrics", (scenario, None, None), fewshot_metrics(results, scenario))
            yield Part("costs", (scenario, None, None), fewshot_costs(results, scenario))


def cell(paths: "Paths", what: Mapping[str, Any], told: bool, forgetting: bool = True) -> Iterator[Part]:
    """Yield the rows of one (scenario, method, seed); where it foretells losses (`told`), those too."""
    yield Part("metrics", paths.key, metrics(paths, what, forgetting))
    yield Part("weights", paths.key, weights(paths))
    yield Part("costs", paths.key, costs(paths, what["methods"]))
    yield Part("diagnostics", paths.key, diagnostics(paths, what["domains"]))
    if told:
        yield Part("diagnostics", paths.key, foretold(paths))
    yield Part("curves", paths.key, curves(paths))
    yield Part("documents", paths.key, documents(paths, what))


class Paths:
    """Where the files of one (scenario, method, seed) lie; `embedder` made its embeddings, if it has any."""

    def __init__(self, results: Path, scenario: str, method: str, seed: int, embedder: str | None) -> None:
        self.key = (scenario, method, seed)
        name = f"seed{seed}"
        self.results, self.name = results, name
        self.proxy = results / "proxies" / scenario / name
        self.embeddings = None if embedder is None else results / "embeddings" / embedder / name
        self.weights = results / "weights" / scenario / method / f"{name}.json"
        self.run = results / "runs" / scenario / method / name
        self.metrics = results / "metrics" / scenario / method / f"{name}.json"
        self.forecast = results / "forecasts" / scenario / method / f"{name}.json"


MEANS = {"mean_perplexity": "perplexity", "mean_log_perplexity": "nats/token"}


def metrics(paths: Paths, what: Mapping[str, Any], forgetting: bool = True) -> Iterator[Row]:
    """Yield the rows of metrics.csv: loss and perplexity per domain, then the means.

    Of a finetuned model also what it kept: `kept_*` on the domains that it was pretrained on, and
    `forgetting`, the loss there minus that of the model it started from (left out where that has no results).
    `unseen_loss` is on domains that nothing of the scenario saw.
    """
    found = read_json(paths.metrics, "metrics")
    scenario, method, seed = paths.key
    start = (scenario, found["scale"], method, seed)

    def row(corpus: str, domain: str, metric: str, value: float, unit: str) -> Row:
        return (start[0], corpus, *start[1:], domain, metric, value, unit)

    for domain, corpus in what["domains"].items():
        yield row(corpus, domain, "loss", found["loss"][domain], "nats/token")
        yield row(corpus, domain, "perplexity", found["perplexity"][domain], "perplexity")
    for name, means in {"mean": found, **found["groups"]}.items():
        for metric, unit in MEANS.items():
            yield row("all", name, metric, means[metric], unit)
    if what["kept"]:
        kept, lost = found["kept"], {}
        if forgetting:
            before = read_json(start_file(paths, what), "metrics")["loss"]
            lost = {d: kept["loss"][d] - before[d] for d in what["kept"]}
        for domain, corpus in what["kept"].items():
            yield row(corpus, domain, "kept_loss", kept["loss"][domain], "nats/token")
            yield row(corpus, domain, "kept_perplexity", kept["perplexity"][domain], "perplexity")
            if forgetting:
                yield row(corpus, domain, "forgetting", round(lost[domain], 9), "nats/token")
        for metric, unit in MEANS.items():
            yield row("all", "mean", f"kept_{metric}", kept[metric], unit)
        if forgetting:
            mean = math.fsum(lost.values()) / len(lost)
            yield row("all", "mean", "mean_forgetting", round(mean, 9), "nats/token")
    if what["unseen"]:
        for domain, corpus in what["unseen"].items():
            yield row(corpus, domain, "unseen_loss", found["unseen"]["loss"][domain], "nats/token")
        yield row("all", "mean", "mean_unseen_loss", found["unseen"]["mean_log_perplexity"], "nats/token")


def documents(paths: Paths, what: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of documents.csv: of each document of the test text, in its order, the mean test loss.

    `blocks` is how many blocks of the test begin in it. Only of the scenario's own domains.
    """
    found = read_json(paths.metrics, "metrics")["documents"]
    for domain in what["domains"]:
        counted = zip(found[domain]["blocks"], found[domain]["loss"], strict=True)
        for document, (blocks, loss) in enumerate(counted):
            yield (*paths.key, domain, document, blocks, loss)


def start_file(paths: Paths, what: Mapping[str, Any]) -> Path:
    """Return the test results of the model that a finetuned one started from."""
    of, origin = what["start"]
    return paths.results / "metrics" / of / origin / f"{paths.name}.json"


def weights(paths: Paths) -> Iterator[Row]:
    """Yield the rows of weights.csv: what was asked for, or for an online method what was played."""
    found = read_json(paths.weights, "weights")
    stages = found["stages"]
    if found["online"]:
        stages = read_json(paths.run / "mixture.json")["segments"]
    for stage in stages:
        for domain in found["domains"]:
            yield (*paths.key, stage["start_step"], domain, stage["weights"][domain])


def curves(paths: Paths) -> Iterator[Row]:
    """Yield the rows of curves.csv: test loss per domain along a base run (a part of the test split)."""
    per_step = None
    segments = read_json(paths.run / "mixture.json")
    for point in read_json(paths.run / "curve.json")["points"]:
        if per_step is None:
            blocks = sum(sum(s["blocks"].values()) for s in segments["segments"])
            per_step = blocks * segments["block_tokens"] / sum(s["steps"] for s in segments["segments"])
        step = round(point["tokens"] / per_step)
        for domain, loss in point["loss"].items():
            yield (*paths.key, step, point["tokens"], domain, loss)


def costs(paths: Paths, methods: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of costs.csv. What methods share is counted in full under each that needs it.

    A method that builds on another's weights is charged for them too, one that reads another's extra runs for
    those, one that waits for another's base run for that run, its validation passes included (their seconds
    are the run's). Not counted: a proxy, and embeddings of the domains it was trained on, that another
    scenario left (`charged_proxy`, `charged_corpora`); transfer and finetuning are about reusing them.
    """
    scenario, method, seed = key = paths.key
    # Stage -> files; a file that two of them need is paid once.
    records: dict[str, dict[Path, None]] = {stage: {} for stage in WEIGHTING}
    builds_on = (method, *methods[method]["uses"])
    charged: list[tuple[str, tuple[str, ...]]] = [(label, WEIGHTING) for label in builds_on]
    # Of a method whose runs are read, the runs, but not what it makes of them.
    charged += [(other, RUNS) for label in builds_on for other in methods[label]["reads"]]
    for label, stages in charged:
        own = Paths(paths.results, scenario, label, seed, methods[label]["embedder"])
        for stage, files in weighting_records(own, methods[label]).items():
            paid = {file for found in records.values() for file in found}
            wanted = files if stage in stages else []
            records[stage] |= dict.fromkeys(file for file in wanted if file not in paid)
    run = read_json(paths.run / "run.json", "run")
    ordered = run.get("validation_cost", {"tokens": 0, "flops": 0, "seconds": 0})
    for stage, found in records.items():
        if stage == "validation" and ordered["tokens"]:
            yield _cost(key, stage, ordered, run["device"])
        if found:
            yield _summed(key, stage, [read_json(file, "run") for file in found])
    curve = run.get("curve_cost", {"seconds": 0})
    # Passes that an online method ordered, and points of the learning curve, are not training.
    spent = {**run["cost"], "seconds": run["cost"]["seconds"] - ordered["seconds"] - curve["seconds"]}
    yield _cost(key, "base", spent, run["device"])
    yield _summed(key, "evaluate", [read_json(paths.metrics.with_suffix(".run.json"), "run")])


def weighting_records(paths: Paths, needs: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the run records of everything that a method's own weights took, by stage."""
    seed = str(paths.key[2])
    records: dict[str, list[Path]] = {}
    if needs["charged_proxy"]:
        records["proxy"] = [paths.proxy / "run.json"]
    if paths.embeddings is not None:
        records["embed"] = [paths.embeddings / f"{c}.run.json" for c in needs["charged_corpora"]]
    if needs["reference"]:
        records["reference"] = [paths.proxy / "run.json"]
    records["extra"] = [paths.run / "extra" / r / "run.json" for r in needs["runs"][seed]]
    records["swarm"] = [paths.run / "swarm" / f"{part}.run.json" for part in needs["swarm"][seed]]
    records["weights"] = [paths.weights.with_suffix(".run.json")]
    scenario, _, own = paths.key
    followed = [Paths(paths.results, scenario, label, own, None) for label in needs.get("follows", ())]
    records["followed"] = [other.run / "run.json" for other in followed]
    return records


def _summed(key: tuple[str, str, int], stage: str, records: list[dict[str, Any]]) -> Row:
    total = {k: math.fsum(r["cost"][k] for r in records) for k in ("tokens", "flops", "seconds")}
    for k in ("tokens", "flops"):
        total[k] += math.fsum(r["validation_cost"][k] for r in records if "validation_cost" in r)
    return _cost(key, stage, total, "; ".join(dict.fromkeys(r["device"] for r in records)))


def _cost(key: tuple[str, str, int], stage: str, total: Mapping[str, float], device: str) -> Row:
    return (*key, stage, int(total["tokens"]), total["flops"], round(total["seconds"], 3), device)


def fewshot_metrics(results: Path, scenario: str) -> Iterator[Row]:
    """Yield the few-shot rows of metrics.csv."""
    yield from fewshot_rows(read_json(results / "fewshot" / f"{scenario}.json", "fewshot"))


def fewshot_costs(results: Path, scenario: str) -> Iterator[Row]:
    """Yield the few-shot rows of costs.csv, one per model."""
    record = read_json(results / "fewshot" / f"{scenario}.run.json", "run")
    for one in record["models"]:
        yield _cost((scenario, one["method"], one["seed"]), "fewshot", one["cost"], record["device"])


def diagnostics(paths: Paths, domains: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of diagnostics.csv: KRLS quantities, a map of the embeddings, effective epochs."""
    yield from reasons(paths, domains)
    order = read_json(paths.weights, "weights")["domains"]
    epochs = read_json(paths.run / "mixture.json")["effective_epochs"]
    for domain in order:
        yield (*paths.key, "effective_epochs", domain, "", epochs[domain])


def reasons(paths: Paths, domains: Mapping[str, str]) -> Iterator[Row]:
    """Yield why the weights are what they are: KRLS quantities, and a map of the embeddings."""
    found = read_json(paths.weights, "weights")
    order, said = found["domains"], found["diagnostics"]
    for i, a in enumerate(order if "affinity" in said else []):
        for j, b in enumerate(order):
            yield (*paths.key, "affinity", a, b, said["affinity"][i][j])
    for domain in order if "scores" in said else []:
        yield (*paths.key, "score", domain, "", said["scores"][domain])
    for i, value in enumerate(said.get("eigenvalues", [])):
        yield (*paths.key, "eigenvalue", "", str(i), value)
    # Single numbers: kλ, RegMix's held-out rank correlation, ...
    for name, value in said.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*paths.key, name, "", "", float(value))
    for domain, path in said.get("trajectory", {}).get("weights", {}).items():
        for step, value in zip(said["trajectory"]["steps"], path, strict=True):
            yield (*paths.key, "trajectory", domain, str(step), value)
    if paths.embeddings is not None:
        files = [paths.embeddings / f"{c}.json" for c in dict.fromkeys(domains.values())]
        rows = {d: r for f in files for d, r in read_json(f, "embeddings")["rows"].items()}
        points, shares = principal_components(np.array([rows[d] for d in domains]))
        for axis in range(points.shape[1]):
            for domain, value in zip(domains, points[:, axis], strict=True):
                yield (*paths.key, "embedding_pc", domain, str(axis + 1), float(value))
            yield (*paths.key, "embedding_pc_share", "", str(axis + 1), float(shares[axis]))


def foretold(paths: Paths) -> Iterator[Row]:
    """Yield what a method expects of its scenario's mixtures."""
    for label, value in read_json(paths.forecast, "forecast")["loss"].items():
        yield (*paths.key, "foretold_loss", "", label, value)
