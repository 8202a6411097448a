"""The main table: per method the quality of its base models, what the weights cost, and how sure it is."""

from typing import NamedTuple

import pandas as pd

from chameleon.reporting.records.missing import FEWSHOT, NONE, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, markdown, method_order, shots, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import (
    accuracy,
    base_cost,
    differences,
    guessing,
    ranks,
    same_mixture,
    seed_noise,
    series,
    to_uniform,
    weighting_cost,
    wins,
)
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.tables.fewshot import percent
from chameleon.reporting.tables.parts import Table, against, frame, number, over_seeds, plus_minus, ranged
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
    metrics, gaps = frames["metrics"], Gaps(frames)
    domains = tested_domains(metrics)
    same = same_mixture(frames["weights"])
    rank = ranks(metrics, domains, same)
    rows, body = [], []
    header: list[str] = []
    for method in gaps.methods:
        cells = [
            *_perplexity(metrics, method, gaps),
            *_fewshot(frames, method, gaps),
            _cost(frames, method, gaps),
            *_against_uniform(metrics, method, domains, rank, gaps),
        ]
        header = ["method", *(cell.heading for cell in cells)]
        alike = f", same mixture as {same[method]}" if method in same else ""
        body.append([gaps.label(method) + alike, *(cell.text for cell in cells)])
        for cell in cells:
            if cell.estimate is not None:
                decided = cell.estimate.excludes_zero if cell.quantity.endswith("_to_uniform") else None
                rows.append({
                    "scenario": scenario, "method": method, "quantity": cell.quantity,
                    **cell.estimate._asdict(), "unit": cell.unit, "excludes_zero": decided,
                })  # fmt: skip
    text = f"{markdown(header, body)}\n\n{_notes(frames)}{_ranked(frames, gaps, rank)}"
    return Table(frame(rows, COLUMNS), _caption(scenario, frames, domains, gaps), text)


def _single(value: float | None, n: int) -> Estimate | None:
    """Return a number that is no mean over seeds, or whose spread is not asked for."""
    return None if value is None else Estimate(value, None, None, None, n)


def _perplexity(metrics: pd.DataFrame, method: str, gaps: Gaps) -> list[Cell]:
    cells = []
    for metric, name, unit, moved, digits in (
        ("mean_perplexity", "mean perplexity", "perplexity", "%", 2),
        ("mean_log_perplexity", "mean log-perplexity (nats/token)", "nats/token", "nats/token", 4),
    ):
        values = series(metrics, method, "mean", metric)
        estimate = stats.mean_interval(list(values.values())) if values else None
        apart = None if method == YARDSTICK else to_uniform(metrics, method, "mean", metric)
        text = plus_minus(estimate, digits, missing=gaps.word(method))
        cells.append(Cell(name, metric, estimate, unit, text))
        cells.append(Cell(f"against uniform ({moved})", f"{metric}_to_uniform", apart, moved,
                          NONE if method == YARDSTICK else against(apart, digits, gaps, method)))  # fmt: skip
    return cells


def _fewshot(frames: Frames, method: str, gaps: Gaps) -> list[Cell]:
    metrics = frames["metrics"]
    missing = gaps.word(method, part=FEWSHOT)
    cells = []
    if not shots(metrics) and any(gaps.lost(m, FEWSHOT) for m in gaps.methods):
        return [Cell("few-shot accuracy (%)", "accuracy", None, "accuracy", missing)]
    for n in shots(metrics):
        found = accuracy(frames, method, "mean", "acc", n)
        text = gaps.cell(percent(found, missing), found and found.n, method)
        cells.append(Cell(f"accuracy, {n} shots (%)", f"accuracy_{n}shot", found, "accuracy", text))
    for n in shots(metrics):
        values = series(metrics, method, "mean", f"bits_per_byte_{n}shot")
        estimate = stats.mean_interval(list(values.values())) if values else None
        text = gaps.cell(plus_minus(estimate, 3, missing=missing), estimate and estimate.n, method)
        cells.append(Cell(f"bits per byte, {n} shots", f"bits_per_byte_{n}shot", estimate, "bits/byte", text))
    return cells


def _cost(frames: Frames, method: str, gaps: Gaps) -> Cell:
    costs = frames["costs"]
    base = base_cost(costs, method)
    price = 100 * weighting_cost(costs, method) / base if base else None
    estimate = _single(price, costs[costs["method"] == method]["seed"].nunique())
    text = "0" if price == 0 else gaps.word(method) if price is None else number(price, 1)
    return Cell("cost of the weights (% of base FLOPs)", "weights_flops_percent_of_base", estimate, "%", text)


def _against_uniform(
    metrics: pd.DataFrame, method: str, domains: list[str], rank: dict[str, Estimate], gaps: Gaps
) -> list[Cell]:
    own = method == YARDSTICK
    won = None if own else wins(metrics, method, domains)
    values = [] if own else differences(metrics, method, YARDSTICK, "mean", "mean_perplexity")
    p = stats.probability_below(values) if values else None
    share = stats.share_below(values) if values else None
    seen = "–" if share is None else f"{share * len(values):g} of {len(values)}"
    place, none = rank.get(method), NONE if own else gaps.apart(method)
    # A seed in which any method is missing has no ranks: that is said below the table.
    ranked = gaps.cell(ranged(place, 2), place.n, method) if place else gaps.word(method)
    rate = ranged(won, 2) if won else none
    sure = probability(p) if values else none
    return [
        Cell("mean rank", "mean_rank", place, "rank", ranked),
        Cell("win rate", "win_rate_against_uniform", won, "share of domains",
             gaps.cell(rate, won and won.n, method)),
        Cell("P(beats uniform)", "p_beats_uniform", _single(p, len(values)), "probability",
             gaps.cell(sure, len(values), method)),
        Cell("seeds better", "share_of_seeds_better", _single(share, len(values)), "share of seeds",
             seen if values else none),
    ]  # fmt: skip


def probability(value: float | None) -> str:
    """Return a probability with three digits, and no certainty that nobody has."""
    if value is None:
        return "–"
    return "> 0.999" if value > 0.999 else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _caption(scenario: str, frames: Frames, domains: list[str], gaps: Gaps) -> str:
    return (
        f"Main results of scenario `{scenario}`, {len(domains)} domains; differences to uniform are paired "
        "by seed, negative is better, bold where the interval excludes zero; "
        f"{over_seeds(frames['metrics'], gaps)}."
    )


def _notes(frames: Frames) -> str:
    """Return what the columns are, for below the table."""
    chance = guessing(frames).get("mean", (None,))[0]
    few = "" if chance is None else (
        f"Few-shot: accuracy (guessing: {100 * chance:.1f} %; ± covers other seeds and other items) and bits "
        "per byte of the right answer (lower is better), unweighted means over tasks. "
    )  # fmt: skip
    return (
        f"Means over domains are unweighted. {few}Mean rank: the rank among the distinct mixtures on each "
        "domain, averaged over the domains (methods of the same mixture share its rank); win rate: the share "
        "of domains with a lower perplexity than uniform; both per seed, then averaged over seeds (interval "
        "in brackets). P(beats uniform): probability of a true mean difference of mean perplexity below zero "
        "under the t model; beside it the seeds in which it was below. Nothing is corrected for the number "
        f"of methods: {ALONE}.{_floor(frames)}"
    )


def _floor(frames: Frames) -> str:
    """Return the noise floor as a sentence; empty with a single seed of uniform."""
    apart = seed_noise(frames["metrics"])
    if not apart:
        return ""
    pairs = "one pair" if len(apart) == 1 else f"{len(apart)} pairs, at most {max(apart):.4f}"
    return (
        f" Noise floor: {YARDSTICK} of one seed against another differs by {sum(apart) / len(apart):.4f} "
        f"nats/token in mean log-perplexity (mean of {pairs}); differences to {YARDSTICK} are paired by "
        "seed, which takes out what both runs of a seed share."
    )


def _ranked(frames: Frames, gaps: Gaps, rank: dict[str, Estimate]) -> str:
    """Return over which seeds and methods ranks and win rates are, where some are missing."""
    if not gaps:
        return ""
    ranked = method_order(frames["metrics"]["method"])
    n = next((place.n for place in rank.values()), 0)
    others = [method for method in gaps.methods if method not in ranked]
    left_out = f", among the methods that have results (not ranked: {', '.join(others)})" if others else ""
    return (
        f" Ranks are over complete seeds only, those in which every ranked method has its run{left_out}: "
        f"{gaps.over(n)}. Win rates are over the seeds that a method and uniform both have."
    )
