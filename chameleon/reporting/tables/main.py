"""The main table: per method the quality of its base models against uniform's, and what the weights cost.

What a reader needs to choose a method, in at most eight columns; table `details` has the rest.
"""

from collections.abc import Mapping

import pandas as pd

from chameleon.reporting.records.missing import NONE, Gaps
from chameleon.reporting.records.tidy import (
    YARDSTICK,
    Frames,
    method_order,
    shots,
    tested_domains,
    unseen_domains,
)
from chameleon.reporting.statistics.comparisons import (
    base_cost,
    mean_over_seeds,
    same_mixture,
    seed_noise,
    to_uniform,
    weighting_cost,
)
from chameleon.reporting.statistics.documents import METRIC, Compared
from chameleon.reporting.statistics.ranking import ranks
from chameleon.reporting.statistics.stats import Estimate
from chameleon.reporting.tables.fewshot import accuracy_cell, by_guessing, normalised, scores_missing
from chameleon.reporting.tables.losses import against_uniform, covered
from chameleon.reporting.tables.parts import (
    Cell,
    Table,
    against,
    by_method,
    number,
    over_seeds,
    plus_minus,
    ranged,
    single,
)
from chameleon.reporting.tables.perplexity import ALONE


def main(scenario: str, frames: Frames) -> Table:
    """One row per method: perplexity and losses against uniform, one few-shot accuracy, cost, mean rank."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    domains = tested_domains(metrics)
    same = same_mixture(frames["weights"])
    rank = ranks(metrics, domains, same)
    compared = against_uniform(frames, gaps)

    def cells_of(method: str) -> list[Cell]:
        # A seed in which any method is missing has no ranks: that is said below the table.
        place = rank.get(method)
        shown = gaps.cell(ranged(place, 2), place.n, method) if place else gaps.word(method)
        return [
            *_perplexity(metrics, method, gaps, compared.get(method)),
            *_fewshot(frames, method, gaps),
            _cost(frames, method, gaps),
            Cell("mean rank", "mean_rank", place, "rank", shown),
        ]

    def label(method: str) -> str:
        alike = f", same mixture as {same[method]}" if method in same else ""
        return gaps.label(method) + alike

    csv, body = by_method(scenario, gaps, cells_of, label)
    caption = (
        f"Main results of scenario `{scenario}`, {len(domains)} domains; differences to uniform are paired "
        "by seed, negative is better, bold where the interval excludes zero; "
        f"{over_seeds(metrics, gaps)}. Table `details` has what else was measured."
    )
    return Table(csv, caption, f"{body}\n\n{_notes(frames, compared)}{_ranked(frames, gaps, rank)}")


def _perplexity(metrics: pd.DataFrame, method: str, gaps: Gaps, mean_loss: Compared | None) -> list[Cell]:
    """Return the mean perplexity, and what differs from uniform: it, the mean loss, that on unseen text."""
    estimate = mean_over_seeds(metrics, method, "mean_perplexity")
    text = plus_minus(estimate, 2, missing=gaps.word(method))
    cells = [Cell("mean perplexity", "mean_perplexity", estimate, "perplexity", text)]
    compared = [
        ("mean_perplexity", "against uniform (%)", "%", 2),
        (METRIC, "mean log-perplexity against uniform (nats/token)", "nats/token", 4),
    ]
    if unseen_domains(metrics):
        heading = "loss on unseen text against uniform (nats/token)"
        compared.append(("mean_unseen_loss", heading, "nats/token", 4))
    for metric, heading, unit, digits in compared:
        apart = None if method == YARDSTICK else to_uniform(metrics, method, "mean", metric)
        if metric == METRIC:
            apart = mean_loss and mean_loss.estimate
        text = NONE if method == YARDSTICK else against(apart, digits, gaps, method)
        cells.append(Cell(heading, f"{metric}_to_uniform", apart, unit, text))
    return cells


def _fewshot(frames: Frames, method: str, gaps: Gaps) -> list[Cell]:
    """Return the accuracy at the most shots, normalised by length where all tasks have that."""
    metrics = frames["metrics"]
    counts = shots(metrics)
    if not counts:
        return scores_missing(method, gaps)
    metric = "acc_norm" if normalised(metrics, counts[-1]) else "acc"
    return [accuracy_cell(frames, method, metric, counts[-1], gaps)]


def _cost(frames: Frames, method: str, gaps: Gaps) -> Cell:
    costs = frames["costs"]
    base = base_cost(costs, method)
    price = 100 * weighting_cost(costs, method) / base if base else None
    estimate = single(price, costs[costs["method"] == method]["seed"].nunique())
    text = "0" if price == 0 else gaps.word(method) if price is None else number(price, 1)
    return Cell("cost of the weights (% of base FLOPs)", "weights_flops_percent_of_base", estimate, "%", text)


def _notes(frames: Frames, compared: Mapping[str, Compared]) -> str:
    """Return what the columns are, for below the table."""
    metrics = frames["metrics"]
    far = ""
    if unseen_domains(metrics):
        far = "Unseen text: domains that no base model, proxy or weight was made from. "
    text = covered(compared, "The interval of mean log-perplexity against uniform")
    text = text and f"{text} Those of all other differences are over seeds. "
    counts = shots(metrics)
    chance = by_guessing(frames, bool(counts) and normalised(metrics, counts[-1]))
    few = chance and (
        f"Few-shot accuracy: unweighted mean over tasks, ± covers other seeds and other items; {chance}. "
    )
    return (
        f"Means over domains are unweighted. {text}{far}{few}Mean rank: the rank among the distinct mixtures "
        "on each domain, averaged over the domains (methods of the same mixture share its rank), per seed, "
        "then averaged over seeds (interval in brackets). Nothing is corrected for the number of methods: "
        f"{ALONE}.{_floor(frames)}"
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
    """Return over which seeds and methods ranks are, where some are missing."""
    if not gaps:
        return ""
    ranked = method_order(frames["metrics"]["method"])
    n = next((place.n for place in rank.values()), 0)
    others = [method for method in gaps.methods if method not in ranked]
    left_out = f", among the methods that have results (not ranked: {', '.join(others)})" if others else ""
    return (
        f" Ranks are over complete seeds only, those in which every ranked method has its run{left_out}: "
        f"{gaps.over(n)}."
    )
