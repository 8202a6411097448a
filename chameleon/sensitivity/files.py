"""The study's tidy files: how they are read back as tables and figures need them."""

from pathlib import Path

import pandas as pd

from chameleon.core.errors import UserError
from chameleon.reporting.records.tidy import read_cells
from chameleon.sensitivity.catalogue import COLUMNS

TEXT = ("factor", "setting", "quantity", "domain", "component", "recipe", "how", "default")


def read(results: Path, name: str) -> pd.DataFrame:
    """Return `results/<name>.csv`: names as text, `default` as bool, the rest as numbers (empty: NaN).

    Raises:
        UserError: no such file, or other columns.
    """
    path = Path(results) / f"{name}.csv"
    frame = read_cells(path, COLUMNS[name])
    for column in frame.columns:
        if column not in TEXT:
            try:
                frame[column] = [float(cell) if cell else float("nan") for cell in frame[column]]
            except ValueError as error:
                raise UserError(f"{path}: column {column}: {error}") from error
    if "default" in frame:
        frame["default"] = frame["default"] == "True"
    return frame


def read_all(results: Path) -> dict[str, pd.DataFrame]:
    """Return every tidy file of the study by its stem."""
    return {name: read(results, name) for name in COLUMNS}
