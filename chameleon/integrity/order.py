"""The order of scenarios, methods and domains, which records once lost: found again in metrics.csv.

Records older than their list of outputs have their spec's keys sorted. The order decides that of rows.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Spec = Mapping[str, Any]
Lines = list[dict[str, str]]


def in_order(stage: str, spec: Spec, results: Path) -> Spec:
    """Return the spec of a job that gathers or shows results, with its keys in the order of metrics.csv."""
    if stage not in ("collect", "tables", "figures", "summary", "page"):
        return spec
    lines = _lines(results / "metrics.csv")
    scenarios = _sorted(spec["scenarios"], (line["scenario"] for line in lines))
    if stage == "collect":
        of = {name: [line for line in lines if line["scenario"] == name] for name in scenarios}
        scenarios = {name: _scenario(what, of[name]) for name, what in scenarios.items()}
    return {**spec, "scenarios": scenarios}


def _scenario(what: Mapping[str, Any], lines: Lines) -> dict[str, Any]:
    measured = {"domains": "loss", "kept": "kept_loss", "unseen": "unseen_loss"}
    domains = {name: [line["domain_or_task"] for line in lines if line["metric"] == metric]
               for name, metric in measured.items() if name in what}  # fmt: skip
    return {
        **what,
        "methods": _sorted(what["methods"], (line["method"] for line in lines)),
        **{name: _sorted(what[name], order) for name, order in domains.items()},
    }


def _sorted(mapping: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """Return a mapping with its keys as they first come in `order`; unknown ones last."""
    places: dict[str, int] = {}
    for name in order:
        places.setdefault(name, len(places))
    return dict(sorted(mapping.items(), key=lambda item: places.get(item[0], len(places))))


def _lines(path: Path) -> Lines:
    """Return the rows of metrics.csv; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [line for line in csv.DictReader(file) if None not in line.values()]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
