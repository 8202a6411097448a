"""The jobs that gather and show results, with their run records: tidy files, tables, figures, first page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.reporting.catalogue import TIDY

Spec = Mapping[str, Any]


def _tidy(results: Path) -> list[Path]:
    return [results / f"{name}.csv" for name in TIDY]


def collect(spec: Spec, results: Path) -> None:
    """Gather results into tidy files."""
    from chameleon.reporting.records.collect import collect as work

    recorder = Recorder("collect", spec)
    work(spec, results)
    recorder.write(results / "run.json")


def tables(spec: Spec, results: Path, out: Path) -> None:
    """Make tables from the tidy files."""
    from chameleon.reporting.tables import make_tables

    recorder = Recorder("tables", spec, _tidy(results))
    make_tables(results, out, spec["scenarios"])
    recorder.write(out / "run.json")


def figures(spec: Spec, results: Path, out: Path) -> None:
    """Make figures from the tidy files."""
    from chameleon.reporting.figures import make_figures

    recorder = Recorder("figures", spec, _tidy(results))
    make_figures(results, out, spec["scenarios"])
    recorder.write(out / "run.json")


def summary(spec: Spec, results: Path) -> None:
    """Write the report's first page from the tidy files."""
    from chameleon.reporting.summary import make_summary

    recorder = Recorder("summary", spec, _tidy(results))
    make_summary(results, spec["scenarios"])
    recorder.write(results / "summary.run.json")
