"""What all tables are made of: the type, rows of methods, the csv, and numbers as people read them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from chameleon.core.artifacts import write_csv, write_text
from chameleon.reporting.pages import page
from chameleon.reporting.records.missing import NONE, RUN, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, markdown
from chameleon.reporting.statistics.stats import Estimate, mean_interval

#: Columns of the csv of a table with a row per method.
BY_METHOD = "scenario method quantity mean low high sd n unit excludes_zero"


class Table(NamedTuple):
    """One table: tidy rows for the csv, and the same for people (a sentence, and Markdown)."""

    csv: pd.DataFrame
    caption: str
    body: str


def write(stem: Path, table: Table) -> None:
    """Write `stem`.csv, and .md and .html with the sentence and the table for people."""
    write_csv(f"{stem}.csv", table.csv)
    text = f"{table.caption}\n\n{table.body}\n"
    write_text(f"{stem}.md", text)
    write_text(f"{stem}.html", page(stem.name.replace("_", " "), text))


def frame(rows: Iterable[dict[str, Any]], columns: str) -> pd.DataFrame:
    """Return the rows under `columns` (separated by spaces), also if there are none."""
    return pd.DataFrame(list(rows), columns=columns.split())


def over_values(values: Sequence[float]) -> dict[str, Any]:
    """Return what a csv says of one number a seed: its mean, spread and ends, and how many there are."""
    found = mean_interval(values)
    return {"mean": found.mean, "sd": found.sd, "min": min(values), "max": max(values), "n": found.n}


class Cell(NamedTuple):
    """One number of a method: its column, its row in the csv (no estimate, no row), its text."""

    heading: str
    quantity: str
    estimate: Estimate | None
    unit: str
    text: str


def by_method(
    scenario: str, gaps: Gaps, cells_of: Callable[[str], list[Cell]], label: Callable[[str], str]
) -> tuple[pd.DataFrame, str]:
    """Return a table with a row per method: the rows of its csv, and its Markdown.

    Args:
        scenario: of all rows.
        gaps: has the methods.
        cells_of: a method's cells, of the same columns for every method.
        label: what stands in a method's first cell.
    """
    rows, body = [], []
    header: list[str] = []
    for method in gaps.methods:
        cells = cells_of(method)
        header = ["method", *(cell.heading for cell in cells)]
        body.append([label(method), *(cell.text for cell in cells)])
        for cell in cells:
            if cell.estimate is not None:
                decided = cell.estimate.excludes_zero if cell.quantity.endswith("_to_uniform") else None
                rows.append({
                    "scenario": scenario, "method": method, "quantity": cell.quantity,
                    **cell.estimate._asdict(), "unit": cell.unit, "excludes_zero": decided,
                })  # fmt: skip
    return frame(rows, BY_METHOD), markdown(header, body)


def single(value: float | None, n: int) -> Estimate | None:
    """Return a number that is no mean over seeds, or whose spread is not asked for."""
    return None if value is None else Estimate(value, None, None, None, n)


def empty(columns: str, what: str, why: str) -> Table:
    """Return a table without rows that says why."""
    return Table(frame([], columns), f"{what}: {why}, so this table is empty.", "")


def nothing_to_compare(gaps: Gaps) -> str | None:
    """Return why no difference to uniform can be given, or None if it can."""
    methods = set(gaps.methods)
    if YARDSTICK in gaps.gone():
        return f"all runs of {YARDSTICK} are missing"
    if YARDSTICK not in methods:
        return f"{YARDSTICK} is not among its methods"
    return None if len(methods) > 1 else f"{YARDSTICK} is its only method"


def seeds(rows: pd.DataFrame, gaps: Gaps) -> str:
    """Return how many seeds the rows have, in words."""
    n = rows["seed"].nunique()
    return gaps.fewer(n) or ("one seed" if n == 1 else f"{n} seeds")


def over_seeds(metrics: pd.DataFrame, gaps: Gaps) -> str:
    """Return what stands behind ±."""
    if metrics["seed"].nunique() == 1:
        return f"{seeds(metrics, gaps)}, so no intervals can be given"
    return f"mean ± half the 95 % t interval over {seeds(metrics, gaps)}"


def number(value: float | None, decimals: int, sign: bool = False) -> str:
    """Return a rounded number with a real minus, or a dash for none."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    return f"{0:.{decimals}f}" if float(text) == 0 else text.replace("-", "−")


def plus_minus(estimate: Estimate | None, decimals: int, sign: bool = False, missing: str = NONE) -> str:
    """Return mean ± half the interval; `missing` stands where there is none."""
    if estimate is None:
        return missing
    text = number(estimate.mean, decimals, sign)
    return text if estimate.half_width is None else f"{text} ± {estimate.half_width:.{decimals}f}"


def marked(estimate: Estimate | None, decimals: int) -> str:
    """Return a signed difference, bold where its interval excludes zero."""
    text = plus_minus(estimate, decimals, sign=True)
    return f"**{text}**" if estimate is not None and estimate.excludes_zero else text


def against(estimate: Estimate | None, decimals: int, gaps: Gaps, method: str, part: str = RUN) -> str:
    """Return a method's marked difference to uniform with its number of seeds, or what is missing for it."""
    if estimate is None:
        return gaps.apart(method, part)
    return gaps.cell(marked(estimate, decimals), estimate.n, method, part=part)


def ranged(estimate: Estimate | None, decimals: int) -> str:
    """Return the mean and its interval from end to end: for bounded numbers, whose interval may be cut."""
    if estimate is None:
        return "–"
    text = number(estimate.mean, decimals)
    if estimate.low is None:
        return text
    return f"{text} ({number(estimate.low, decimals)} to {number(estimate.high, decimals)})"


def probability(value: float | None) -> str:
    """Return a probability with three digits, and no certainty that nobody has."""
    if value is None:
        return NONE
    return "> 0.999" if value > 0.999 else "< 0.001" if value < 0.001 else f"{value:.3f}"


def amount(value: float, unit: str) -> str:
    """Return seconds, FLOPs or tokens with the digits that matter."""
    if unit == "seconds":
        return f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return "0" if value == 0 else f"{value:.2e}" if unit == "flops" else f"{value / 1e6:.2f}M"
