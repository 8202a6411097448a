"""What the sensitivity study shows: its tables, the advice drawn from them, its figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chameleon.core.provenance import Recorder
from chameleon.sensitivity.catalogue import TIDY, pages


def report(spec: Mapping[str, Any], results: Path) -> None:
    """The job: make the study's tables and figures from its tidy files."""
    from chameleon.sensitivity.report.figures import make_figures
    from chameleon.sensitivity.report.tables import make_tables

    read, records = [results / f"{name}.csv" for name in TIDY], [results / "sensitivity" / "run.json"]
    recorder = Recorder("sensitivity_report", spec, read, records=records)
    make_tables(spec, results)
    make_figures(spec, results)
    recorder.outputs = pages(results)
    recorder.write(results / "sensitivity" / "report.run.json")
