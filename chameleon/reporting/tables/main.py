"""The main table: per method the quality of its base models, what the weights cost, and how sure it is."""

from typing import NamedTuple

import pandas as pd

from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, method_order, shots, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import (
    accuracy,
    base_cost,
    differences,
    guessing,
    ranks,
    series,
    to_uniform,
    weighting_cost,
    wins,
)
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.tables.fewshot import percent
from chameleon.reporting.tables.parts import Table, frame, marked, number, over_seeds, plus_minus, ranged
from chameleon.reporting.tables.perplexity import ALONE

COLUMNS = "scenario method quantity mean low high sd n unit excludes_zero"


class Cell(NamedTuple):
    """One number of a method: its column, its row in the csv (no estimate, no row), its text."""

    heading: str
    quantity: str
    estimate: Estimate | None
    unit: str
    text: str


def main(scenario: str, frames: Frames) -> Table:
    """One row per method: perplexity, few-shot, cost, mean rank, win rate, probability to beat uniform."""
    metrics = frames["metrics"]
    domains = tested_domains(metrics)
    rank = ranks(metrics, domains)
    rows, body = [], []
    header: list[str] = []
    for method in method_order(metrics["method"]):
        cells = [
            *_perplexity(metrics, method),
            *_fewshot(frames, method),
            _cost(frames, method),
            *_against_uniform(metrics, method, domains, rank),
        ]
        header = ["method", *(cell.heading for cell in cells)]
        body.append([method, *(cell.text for cell in cells)])
        for cell in cells:
            if cell.estimate is not None:
                decided = cell.estimate.excludes_zero if cell.quantity.endswith("_to_uniform") else None
                rows.append({
                    "scenario": scenario, "method": method, "quantity": cell.quantity,
                    **cell.estimate._asdict(), "unit": cell.unit, "excludes_zero": decided,
                })  # fmt: skip
    text = f"{markdown(header, body)}\n\n{_notes(frames)}"
    return Table(frame(rows, COLUMNS), _caption(scenario, frames, domains), text)


def _single(value: float | None, n: int) -> Estimate | None:
    """Return a number that is no mean over seeds, or whose spread is not asked for."""
    return None if value is None else Estimate(value, None, None, None, n)


def _perplexity(metrics: pd.DataFrame, method: str) -> list[Cell]:
    cells = []
    for metric, name, unit, moved, digits in (
        ("mean_perplexity", "mean perplexity", "perplexity", "%", 2),
        ("mean_log_perplexity", "mean log-perplexity (nats/token)", "nats/token", "nats/token", 4),
    ):
        values = series(metrics, method, "mean", metric)
        estimate = stats.mean_interval(list(values.values())) if values else None
        against = None if method == YARDSTICK else to_uniform(metrics, method, "mean", metric)
        cells.append(Cell(name, metric, estimate, unit, plus_minus(estimate, digits)))
        cells.append(Cell(f"against uniform ({moved})", f"{metric}_to_uniform", against, moved,
                          marked(against, digits)))  # fmt: skip
    return cells


def _fewshot(frames: Frames, method: str) -> list[Cell]:
    metrics = frames["metrics"]
    cells = []
    for n in shots(metrics):
        found = accuracy(frames, method, "mean", "acc", n)
        cells.append(Cell(f"accuracy, {n} shots (%)", f"accuracy_{n}shot", found, "accuracy", percent(found)))
    for n in shots(metrics):
        values = series(metrics, method, "mean", f"bits_per_byte_{n}shot")
        estimate = stats.mean_interval(list(values.values())) if values else None
        cells.append(Cell(f"bits per byte, {n} shots", f"bits_per_byte_{n}shot", estimate, "bits/byte",
                          plus_minus(estimate, 3)))  # fmt: skip
    return cells


def _cost(frames: Frames, method: str) -> Cell:
    costs = frames["costs"]
    base = base_cost(costs, method)
    price = 100 * weighting_cost(costs, method) / base if base else None
    estimate = _single(price, costs[costs["method"] == method]["seed"].nunique())
    text = "0" if price == 0 else number(price, 1)
    return Cell("cost of the weights (% of base FLOPs)", "weights_flops_percent_of_base", estimate, "%", text)


def _against_uniform(
    metrics: pd.DataFrame, method: str, domains: list[str], rank: dict[str, Estimate]
) -> list[Cell]:
    own = method == YARDSTICK
    won = None if own else wins(metrics, method, domains)
    values = [] if own else differences(metrics, method, YARDSTICK, "mean", "mean_perplexity")
    p = stats.probability_below(values) if values else None
    share = stats.share_below(values) if values else None
    seen = "–" if share is None else f"{share * len(values):g} of {len(values)}"
    return [
        Cell("mean rank", "mean_rank", rank.get(method), "rank", ranged(rank.get(method), 2)),
        Cell("win rate", "win_rate_against_uniform", won, "share of domains", ranged(won, 2)),
        Cell("P(beats uniform)", "p_beats_uniform", _single(p, len(values)), "probability", probability(p)),
        Cell("seeds better", "share_of_seeds_better", _single(share, len(values)), "share of seeds", seen),
    ]


def probability(value: float | None) -> str:
    """Return a probability with three digits, and no certainty that nobody has."""
    if value is None:
        return "–"
    return "> 0.999" if value > 0.999 else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _caption(scenario: str, frames: Frames, domains: list[str]) -> str:
    return (
        f"Main results of scenario `{scenario}`, {len(domains)} domains; differences to uniform are paired "
        "by seed, negative is better, bold where the interval excludes zero; "
        f"{over_seeds(frames['metrics'])}."
    )


def _notes(frames: Frames) -> str:
    """Return what the columns are, for below the table."""
    chance = guessing(frames).get("mean", (None,))[0]
    few = "" if chance is None else (
        f"Few-shot: accuracy (guessing: {100 * chance:.1f} %; ± covers other seeds and other items) and bits "
        "per byte of the right answer (lower is better), unweighted means over tasks. "
    )  # fmt: skip
    return (
        f"Means over domains are unweighted. {few}Mean rank: the rank among the methods on each domain, "
        "averaged over the domains; win rate: the share of domains with a lower perplexity than uniform; "
        "both per seed, then averaged over seeds (interval in brackets). P(beats uniform): probability of a "
        "true mean difference of mean perplexity below zero under the t model; beside it the seeds in which "
        f"it was below. Nothing is corrected for the number of methods: {ALONE}."
    )
