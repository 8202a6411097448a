"""Read the tidy result files, and the fixed order of methods and domains in tables and figures.

Reads metrics.csv, weights.csv, costs.csv and diagnostics.csv; used by tables and figures only.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from chameleon import stats
from chameleon.errors import UserError, choices
from chameleon.stats import Estimate

#: Columns of each tidy file, in order.
COLUMNS = {
    "metrics": ("scenario", "corpus", "scale", "method", "seed", "domain_or_task", "metric", "value", "unit"),
    "weights": ("scenario", "method", "seed", "step", "domain", "weight"),
    "costs": ("scenario", "method", "seed", "stage", "tokens", "flops", "seconds", "device"),
    "diagnostics": ("scenario", "method", "seed", "quantity", "domain", "other", "value"),
}
NUMBERS = ("value", "weight", "tokens", "flops", "seconds")
#: Reading order: the yardstick, the free baselines, the learned ones, ours last; others follow by name.
METHODS = ("uniform", "natural", "temperature", "unimax", "fixed", "doremi", "doge", "regmix", "aioli",
           "chameleon")  # fmt: skip
YARDSTICK = "uniform"


def read(results: Path, name: str) -> pd.DataFrame:
    """Return `results/<name>.csv` with names as text, seed and step as int, the rest as float.

    Raises:
        UserError: no such file, other columns, or a cell that is no number where one belongs.
    """
    path = Path(results) / f"{name}.csv"
    # Every cell as text first: pandas would read a domain called "null" or "NA" as missing.
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table: {' '.join(str(error).split())}") from error
    if tuple(frame.columns) != COLUMNS[name]:
        raise UserError(f"{path}: columns {', '.join(frame.columns)}; expected {', '.join(COLUMNS[name])}")
    for column in frame.columns:
        if column in NUMBERS or column in ("seed", "step"):
            try:
                frame[column] = pd.to_numeric(frame[column]).astype(float if column in NUMBERS else int)
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}: column {column}: {error}") from error
    return frame


def of_scenario(results: Path, scenario: str) -> dict[str, pd.DataFrame]:
    """Return the rows of one scenario in every tidy file.

    Raises:
        UserError: metrics.csv has no row of it; the message lists the scenarios there are.
    """
    frames = {name: read(results, name) for name in COLUMNS}
    known = sorted(set(frames["metrics"]["scenario"]))
    if scenario not in known:
        raise UserError(f"{Path(results) / 'metrics.csv'}: scenario {choices(scenario, known)}")
    return {name: f[f["scenario"] == scenario].reset_index(drop=True) for name, f in frames.items()}


def method_order(methods: Iterable[str]) -> list[str]:
    """Return the methods in the order of every table and figure."""
    return sorted(set(methods), key=lambda m: (METHODS.index(m) if m in METHODS else len(METHODS), m))


def first_seen(values: Iterable[Any]) -> list[Any]:
    """Return the distinct values in the order of their first appearance (the config's, for domains)."""
    return list(dict.fromkeys(values))


def series(metrics: pd.DataFrame, method: str, domain: str, metric: str) -> dict[int, float]:
    """Return {seed: value} of one method, domain and metric; empty if there is none."""
    rows = metrics[(metrics["method"] == method) & (metrics["metric"] == metric)]
    rows = rows[rows["domain_or_task"] == domain]
    return dict(zip(rows["seed"].tolist(), rows["value"].tolist(), strict=True))


def to_uniform(metrics: pd.DataFrame, method: str, domain: str, metric: str) -> Estimate | None:
    """Return a method's difference to uniform, paired over the seeds that both have.

    In percent of uniform's value for perplexities, in nats/token for `mean_log_perplexity`; negative is
    better. None if they share no seed.
    """
    mine, uniform = (series(metrics, m, domain, metric) for m in (method, YARDSTICK))
    seeds = sorted(set(mine) & set(uniform))
    if not seeds:
        return None
    compare = stats.paired_difference if metric == "mean_log_perplexity" else stats.relative_difference
    return compare([mine[s] for s in seeds], [uniform[s] for s in seeds])


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return a Markdown table: the first `text_columns` columns to the left, the others to the right."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    rule = "|".join([":--"] * text_columns + ["--:"] * (len(header) - text_columns))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])
