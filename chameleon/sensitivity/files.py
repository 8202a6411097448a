"""The study's tidy files: their columns, and how they are read back as tables and figures need them."""

from pathlib import Path

import pandas as pd

from chameleon.core.errors import UserError

#: File stem -> columns, in order.
COLUMNS = {
    "sensitivity": ("factor", "setting", "proxy_seed", "window_seed", "domain", "weight"),
    "sensitivity_distances": ("factor", "setting", "default", "quantity", "mean", "low", "high", "minimum",
                              "maximum", "n"),
    "sensitivity_variance": ("domain", "component", "sd", "share", "repetition", "proxies", "draws"),
    "sensitivity_averaging": ("recipe", "proxies", "steps", "total_steps", "windows", "repetition", "shift",
                              "how"),
    "sensitivity_eigenvalues": ("factor", "setting", "proxy_seed", "rank", "eigenvalue", "k_lambda"),
}  # fmt: skip
TEXT = ("factor", "setting", "quantity", "domain", "component", "recipe", "how", "default")


def read(results: Path, name: str) -> pd.DataFrame:
    """Return `results/<name>.csv`: names as text, `default` as bool, the rest as numbers (empty: NaN).

    Raises:
        UserError: no such file, or other columns.
    """
    path = Path(results) / f"{name}.csv"
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    if tuple(frame.columns) != COLUMNS[name]:
        raise UserError(f"{path}: columns {', '.join(frame.columns)}; expected {', '.join(COLUMNS[name])}")
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
