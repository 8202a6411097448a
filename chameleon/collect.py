"""Gathers what the jobs left into tidy files that anyone can load.

Reads weights, metrics, embeddings and run records below a results folder; writes `metrics.csv`,
`weights.csv`, `costs.csv` and `diagnostics.csv`. Tables and figures read these files and nothing else (and
the corpora's reports).
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chameleon.artifacts import read_json, write_csv
from chameleon.tidy import COLUMNS

Spec = Mapping[str, Any]
Row = tuple[Any, ...]
#: Stages whose cost is the price of a method's weights, in order; then the run that all methods pay.
WEIGHTING = ("proxy", "embed", "extra", "weights")


def collect(spec: Spec, results: Path) -> None:
    """Write the tidy files of all scenarios in `spec` (as `plan.collect` makes it)."""
    rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    for scenario, what in spec["scenarios"].items():
        for method, needs in what["methods"].items():
            for seed in spec["seeds"]:
                paths = Paths(results, scenario, method, seed)
                rows["metrics"] += metrics(paths, what["domains"])
                rows["weights"] += weights(paths)
                rows["costs"] += costs(paths, what["domains"], needs["embeddings"], needs["runs"][str(seed)])
                rows["diagnostics"] += diagnostics(paths, what["domains"], needs["embeddings"])
    for name, columns in COLUMNS.items():
        write_csv(results / f"{name}.csv", pd.DataFrame(rows[name], columns=list(columns)))


class Paths:
    """Where the files of one (scenario, method, seed) lie."""

    def __init__(self, results: Path, scenario: str, method: str, seed: int) -> None:
        self.key = (scenario, method, seed)
        name = f"seed{seed}"
        self.proxy = results / "proxies" / scenario / name
        self.embeddings = results / "embeddings" / scenario / name
        self.weights = results / "weights" / scenario / method / f"{name}.json"
        self.run = results / "runs" / scenario / method / name
        self.metrics = results / "metrics" / scenario / method / f"{name}.json"


def metrics(paths: Paths, domains: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows of metrics.csv: loss and perplexity per domain, then the two means."""
    found = read_json(paths.metrics, "metrics")
    scenario, method, seed = paths.key
    for domain, corpus in domains.items():
        head = (scenario, corpus, found["scale"], method, seed, domain)
        yield (*head, "loss", found["loss"][domain], "nats/token")
        yield (*head, "perplexity", found["perplexity"][domain], "perplexity")
    head = (scenario, "all", found["scale"], method, seed, "mean")
    yield (*head, "mean_perplexity", found["mean_perplexity"], "perplexity")
    yield (*head, "mean_log_perplexity", found["mean_log_perplexity"], "nats/token")


def weights(paths: Paths) -> Iterator[Row]:
    """Yield the rows of weights.csv: what was asked for, or for an online method what was played."""
    found = read_json(paths.weights, "weights")
    stages = found["stages"]
    if found["online"]:
        stages = read_json(paths.run / "mixture.json")["segments"]
    for stage in stages:
        for domain in found["domains"]:
            yield (*paths.key, stage["start_step"], domain, stage["weights"][domain])


def costs(paths: Paths, domains: Mapping[str, str], embeddings: bool, runs: list[str]) -> Iterator[Row]:
    """Yield the rows of costs.csv. A proxy shared by methods is counted under each that needs it."""
    records: dict[str, list[Path]] = {stage: [] for stage in WEIGHTING}
    if embeddings:
        records["proxy"] = [paths.proxy / "run.json"]
        records["embed"] = [paths.embeddings / f"{c}.run.json" for c in dict.fromkeys(domains.values())]
    records["extra"] = [paths.run / "extra" / run / "run.json" for run in runs]
    records["weights"] = [paths.weights.with_suffix(".run.json")]
    records["base"] = [paths.run / "run.json"]
    records["evaluate"] = [paths.metrics.with_suffix(".run.json")]
    for stage, files in records.items():
        found = [read_json(f, "run") for f in files]
        if found:
            total = {k: math.fsum(r["cost"][k] for r in found) for k in ("tokens", "flops", "seconds")}
            device = "; ".join(dict.fromkeys(r["device"] for r in found))
            yield (
                *paths.key,
                stage,
                int(total["tokens"]),
                total["flops"],
                round(total["seconds"], 3),
                device,
            )


def diagnostics(paths: Paths, domains: Mapping[str, str], embeddings: bool) -> Iterator[Row]:
    """Yield the rows of diagnostics.csv: KRLS quantities, a map of the embeddings, effective epochs."""
    found = read_json(paths.weights, "weights")
    order, said = found["domains"], found["diagnostics"]
    for i, a in enumerate(order if "affinity" in said else []):
        for j, b in enumerate(order):
            yield (*paths.key, "affinity", a, b, said["affinity"][i][j])
    for domain in order if "scores" in said else []:
        yield (*paths.key, "score", domain, "", said["scores"][domain])
    for i, value in enumerate(said.get("eigenvalues", [])):
        yield (*paths.key, "eigenvalue", "", str(i), value)
    if "k_lambda" in said:
        yield (*paths.key, "k_lambda", "", "", said["k_lambda"])
    if embeddings:
        files = [paths.embeddings / f"{c}.json" for c in dict.fromkeys(domains.values())]
        rows = {d: r for f in files for d, r in read_json(f, "embeddings")["rows"].items()}
        points, shares = principal_components(np.array([rows[d] for d in domains]))
        for axis in range(points.shape[1]):
            for domain, value in zip(domains, points[:, axis], strict=True):
                yield (*paths.key, "embedding_pc", domain, str(axis + 1), float(value))
            yield (*paths.key, "embedding_pc_share", "", str(axis + 1), float(shares[axis]))
    epochs = read_json(paths.run / "mixture.json")["effective_epochs"]
    for domain in order:
        yield (*paths.key, "effective_epochs", domain, "", epochs[domain])


def principal_components(embeddings: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the centred embeddings' first principal coordinates and their shares of the variance.

    Args:
        embeddings: k x d.

    Returns:
        k x count coordinates (zero where there are fewer than `count` directions), and `count` shares. The
        sign of an axis is fixed: its largest coordinate is positive.
    """
    centred = embeddings - embeddings.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(embeddings), count))
    shares = np.zeros(count)
    total = float((s**2).sum())
    for axis in range(min(count, len(s))):
        column = u[:, axis] * s[axis]
        points[:, axis] = column * (np.sign(column[np.abs(column).argmax()]) or 1.0)
        shares[axis] = s[axis] ** 2 / total if total > 0 else 0.0
    return np.round(points, 9), np.round(shares, 9)
