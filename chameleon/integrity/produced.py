"""What each stage writes, and the order of its spec: for records too old to say it, and for unreadable ones.

Records older than their list of outputs have their spec's keys sorted. The order of scenarios, methods and
domains decides that of rows; it is found again in metrics.csv.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chameleon.core.handover import RECORD, expand, is_record
from chameleon.reporting import catalogue
from chameleon.sensitivity import catalogue as study

MODEL = ("model/model.safetensors", "model/config.json", "training.csv", "mixture.json")
#: Stage -> files in the record's folder.
BESIDE: dict[str, tuple[str, ...]] = {
    "tokenizer": ("tokenizer.json",),
    "tokens": ("manifest.json",),
    "items": ("items.json",),
    "checkpoint": MODEL[:2],
    "proxy": MODEL,
    "sensitivity_proxy": MODEL,
    "extra": (*MODEL, "result.json"),
    "base": (*MODEL, "curve.json"),
}
TABLE, FIGURE = ("csv", "md", "html"), ("png", "pdf")
SUMMARY = ("summary.md", "summary.html")
PAGE = ("page.html",)
Lines = list[dict[str, str]]


def produced(results: Path, record: Path, stage: str, spec: Mapping[str, Any]) -> list[Path]:
    """Return the files that a job wrote, the record left out."""
    folder = record.parent
    if stage in BESIDE:
        return [folder / name for name in BESIDE[stage]]
    if stage == "prepare":
        return [folder / "report.json", *(folder / f"{domain}.parquet" for domain in spec["domains"])]
    if stage == "tables":
        return _pages(results, "tables", catalogue.table_stems(spec["scenarios"], spec.get("unseen", ())))
    if stage == "figures":
        return _pages(results, "figures", catalogue.figure_stems(spec["scenarios"]))
    if stage in ("collect", "sensitivity"):
        return _tidy(results, catalogue.TIDY if stage == "collect" else study.TIDY)
    if stage == "sensitivity_report":
        return study.pages(results)
    if stage in ("summary", "page"):
        return [results / name for name in (SUMMARY if stage == "summary" else PAGE)]
    return [record.with_name(f"{record.name.removesuffix(f'.{RECORD}')}.json")]


def _tidy(results: Path, names: tuple[str, ...]) -> list[Path]:
    return [results / f"{name}.csv" for name in names]


def _pages(results: Path, folder: str, stems: Mapping[str, Any]) -> list[Path]:
    kinds = TABLE if folder == "tables" else FIGURE
    return [results / folder / f"{stem}.{kind}" for stem in stems for kind in kinds]


def guessed(results: Path, record: Path) -> Iterator[Path]:
    """Yield the files that the job of an unreadable record wrote, as far as their places say."""
    folder, name = record.parent, record.name
    here = folder.relative_to(results).as_posix()
    if folder == results:
        shown = PAGE if name.startswith("page.") else SUMMARY
        wrote = _tidy(results, catalogue.TIDY) if name == RECORD else [results / one for one in shown]
    elif here == "sensitivity":
        wrote = _tidy(results, study.TIDY) if name == RECORD else study.pages(results)
    elif here in ("tables", "figures"):
        wrote = sorted(path for path in folder.iterdir() if not path.name.startswith("sensitivity_"))
    elif name == RECORD:
        # Folders below with a record of their own are other jobs': the runs that a method needed.
        parts = [p for p in folder.iterdir() if p.is_file() or p.name not in ("extra", "swarm", "states")]
        wrote = list(expand(sorted(parts)))
    else:
        wrote = [record.with_name(f"{name.removesuffix(f'.{RECORD}')}.json")]
    yield from (path for path in wrote if path.is_file() and not is_record(path))


def in_order(stage: str, spec: Mapping[str, Any], results: Path) -> Mapping[str, Any]:
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
