"""Sets what the papers print beside what this suite measured, never one mixed into the other.

Reads tidy frames (metrics, costs) and the published tables; pure functions, used by the stage of tables.
Only a scenario on seven domains in the roles of SlimPajama's has printed counterparts: the tables of the
paper's other experiments could not be recovered.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from chameleon.published.tables import PublishedTable, table
from chameleon.reporting.records.tidy import YARDSTICK, first_seen
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import paired, series, to_uniform, weighting_cost

Frames = Mapping[str, pd.DataFrame]
COLUMNS = ("scenario", "quantity", "method", "item", "printed_item", "printed_in", "confidence", "printed",
           "printed_relative", "ours", "ours_relative", "ours_low", "ours_high", "n", "unit",
           "unit_relative")  # fmt: skip
#: SlimPajama's domains as the perplexity table prints them: the domain that stands for each in the corpus
#: slim7, and its name in the corpus slimpajama_6b.
ROLES = {
    "ArXiv": ("papers", "arxiv"),
    "Book": ("books", "book"),
    "CC": ("messy_web", "cc"),
    "C4": ("news", "c4"),
    "Github": ("code", "github"),
    "StackExchange": ("qa", "stackexchange"),
    "Wikipedia": ("wiki", "wikipedia"),
}
#: Our labels of the methods as the tables print them.
METHODS = {"uniform": "Uniform", "doremi": "DoReMi", "doge": "DoGE", "regmix": "RegMix", "aioli": "Aioli",
           "chameleon": "Chameleon"}  # fmt: skip


def counterparts(domains: Iterable[str]) -> dict[str, str]:
    """Return {our domain: SlimPajama's} if the domains are the seven, one for each; else nothing."""
    listed = list(domains)
    roles = {ours: printed for printed, names in ROLES.items() for ours in names}
    found = {d: roles[d] for d in listed if d in roles}
    complete = len(listed) == len(found) == len(ROLES) and set(found.values()) == set(ROLES)
    return found if complete else {}


def comparison(frames: Frames, scenario: str) -> pd.DataFrame:
    """Return printed numbers and ours in columns of their own, one row per quantity, method and item.

    Quantities: `perplexity` per domain and for the mean (relative difference to uniform in percent),
    `perplexity_160M` (the mean in the Aioli paper's models), `weighting_flops` (FLOPs; relative: times
    Chameleon's), and `accuracy` (percent; relative: difference to uniform in points). `unit_relative` says
    which. `ours` is a mean over n seeds; low and high belong to `ours_relative`. Cells are empty where
    either side has nothing; an empty frame for a scenario without printed counterpart.
    """
    metrics = frames["metrics"]
    per_domain = metrics[(metrics["metric"] == "perplexity") & (metrics["corpus"] != "all")]
    names = counterparts(first_seen(per_domain["domain_or_task"]))
    if not names:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [*_perplexity(metrics, names), *_perplexity_160m(metrics), *_flops(frames["costs"]),
            *_accuracy(metrics)]  # fmt: skip
    return pd.DataFrame([{"scenario": scenario, **row} for row in rows], columns=list(COLUMNS))


def _source(printed: PublishedTable) -> dict[str, Any]:
    return {"printed_in": printed.printed_in, "confidence": printed.confidence}


def _both(printed: Collection[str]) -> list[str]:
    """Return the methods whose printed names are among these."""
    return [method for method, name in METHODS.items() if name in printed]


def _ours(metrics: pd.DataFrame, method: str, item: str, metric: str) -> dict[str, Any]:
    """Return our mean, and our relative difference to uniform with its interval, for a perplexity."""
    mine = series(metrics, method, item, metric)
    apart = None if method == YARDSTICK else to_uniform(metrics, method, item, metric)
    return {"ours": np.mean(list(mine.values())) if mine else None, "n": len(mine), **_interval(apart)}


def _interval(estimate: stats.Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {}
    return {"ours_relative": estimate.mean, "ours_low": estimate.low, "ours_high": estimate.high}


def _perplexity(metrics: pd.DataFrame, names: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    printed = table("chameleon_perplexity")
    uniform = printed.column(METHODS[YARDSTICK])
    items = [(d, p, "perplexity") for d, p in names.items()] + [("mean", "Average", "mean_perplexity")]
    for method in _both(printed.columns):
        value = printed.column(METHODS[method])
        for item, printed_item, metric in items:
            to_yardstick = 100 * (value[printed_item] / uniform[printed_item] - 1)
            yield {
                "quantity": "perplexity", "method": method, "item": item, "printed_item": printed_item,
                **_source(printed), "printed": value[printed_item],
                "printed_relative": None if method == YARDSTICK else to_yardstick,
                **_ours(metrics, method, item, metric), "unit": "perplexity", "unit_relative": "%",
            }  # fmt: skip


def _perplexity_160m(metrics: pd.DataFrame) -> Iterable[dict[str, Any]]:
    printed = table("aioli_perplexity")
    column = printed.column("SlimPajama")
    stratified = column["Stratified"]
    for method in _both(column):
        yield {
            "quantity": "perplexity_160M", "method": method, "item": "mean", "printed_item": "SlimPajama",
            **_source(printed), "printed": stratified + column[METHODS[method]],
            "printed_relative": 100 * column[METHODS[method]] / stratified,
            **_ours(metrics, method, "mean", "mean_perplexity"), "unit": "perplexity", "unit_relative": "%",
        }  # fmt: skip


def _flops(costs: pd.DataFrame) -> Iterable[dict[str, Any]]:
    printed = table("chameleon_weighting_flops")
    value = printed.column("FLOPs")
    spent = {method: weighting_cost(costs, method) for method in first_seen(costs["method"])}
    ours_unit = spent.get("chameleon", 0.0)
    for method in _both(value):
        mine = spent.get(method)
        yield {
            "quantity": "weighting_flops", "method": method, "item": "weights", "printed_item": "FLOPs",
            **_source(printed), "printed": value[METHODS[method]],
            "printed_relative": value[METHODS[method]] / value["Chameleon"], "ours": mine,
            "ours_relative": None if mine is None or not ours_unit else mine / ours_unit,
            "n": costs[costs["method"] == method]["seed"].nunique(), "unit": "FLOPs",
            "unit_relative": "ratio to chameleon",
        }  # fmt: skip


def _accuracy(metrics: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Tasks that both sides have, and the means, each over a list of tasks of its own."""
    printed = table("chameleon_downstream")
    values = {row[0]: dict(zip(printed.columns[1:], row[1:], strict=True)) for row in printed.rows}
    few = metrics[(metrics["corpus"] == "fewshot") & metrics["metric"].str.fullmatch(r"acc_\d+shot")]
    tasks = {t: _printed_task(t, printed.columns[1:]) for t in first_seen(few["domain_or_task"])}
    for method in _both(values):
        for task, column in [(t, c) for t, c in tasks.items() if c is not None]:
            for metric in first_seen(few[few["domain_or_task"] == task]["metric"]):
                mine = series(metrics, method, task, metric)
                both = paired(metrics, method, YARDSTICK, task, metric).values()
                points = None
                if both and method != YARDSTICK:
                    points = stats.mean_interval([100 * x - 100 * y for x, y in both])
                yield {
                    "quantity": "accuracy", "method": method, "item": f"{task}, {metric[4:-4]} shots",
                    "printed_item": column, **_source(printed), "printed": values[METHODS[method]][column],
                    "printed_relative": None if method == YARDSTICK
                    else values[METHODS[method]][column] - values["Uniform"][column],
                    "ours": 100 * sum(mine.values()) / len(mine) if mine else None, **_interval(points),
                    "n": len(mine), "unit": "%", "unit_relative": "points",
                }  # fmt: skip


def _printed_task(task: str, columns: Iterable[str]) -> str | None:
    """Return the column of a task of ours: `piqa`, or a name that ends in it after a separator."""
    if task == "mean":
        return "average of 13"
    last = re.split(r"[_\-:]", task.lower())[-1]
    return next((c for c in columns if c.lower() == last), None)
