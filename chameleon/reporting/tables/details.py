"""What the main table leaves out, per method: losses as measured, few-shot scores, how sure it is."""

import pandas as pd

from chameleon.reporting.records.missing import NONE, Gaps
from chameleon.reporting.records.tidy import YARDSTICK, Frames, shots, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import differences, mean_over_seeds, wins
from chameleon.reporting.tables.fewshot import (
    accuracy_cell,
    bits_cell,
    by_guessing,
    normalised,
    scores_missing,
)
from chameleon.reporting.tables.parts import (
    Cell,
    Table,
    by_method,
    over_seeds,
    plus_minus,
    probability,
    ranged,
    single,
)


def details(scenario: str, frames: Frames) -> Table:
    """One row per method: mean log-perplexity, few-shot at every number of shots, wins against uniform."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    domains = tested_domains(metrics)

    def cells_of(method: str) -> list[Cell]:
        return [
            _loss(metrics, method, gaps),
            *_fewshot(frames, method, gaps),
            *_against_uniform(metrics, method, domains, gaps),
        ]

    csv, body = by_method(scenario, gaps, cells_of, gaps.label)
    few = "few-shot scores at every number of shots, " if shots(metrics) else ""
    caption = (
        f"Details to the main results of scenario `{scenario}`, {len(domains)} domains: the mean "
        f"log-perplexity as measured, {few}and how often and how surely a method beats uniform; "
        f"{over_seeds(metrics, gaps)}."
    )
    return Table(csv, caption, f"{body}\n\n{_notes(frames, gaps)}")


def _loss(metrics: pd.DataFrame, method: str, gaps: Gaps) -> Cell:
    estimate = mean_over_seeds(metrics, method, "mean_log_perplexity")
    text = plus_minus(estimate, 4, missing=gaps.word(method))
    return Cell("mean log-perplexity (nats/token)", "mean_log_perplexity", estimate, "nats/token", text)


def _fewshot(frames: Frames, method: str, gaps: Gaps) -> list[Cell]:
    metrics = frames["metrics"]
    counts = shots(metrics)
    if not counts:
        return scores_missing(method, gaps)
    with_length = [n for n in counts if normalised(metrics, n)]
    return [
        *(accuracy_cell(frames, method, "acc", n, gaps) for n in counts),
        *(accuracy_cell(frames, method, "acc_norm", n, gaps) for n in with_length),
        *(bits_cell(metrics, method, n, gaps) for n in counts),
    ]


def _against_uniform(metrics: pd.DataFrame, method: str, domains: list[str], gaps: Gaps) -> list[Cell]:
    own = method == YARDSTICK
    won = None if own else wins(metrics, method, domains)
    moved = {} if own else differences(metrics, method, YARDSTICK, "mean", "mean_perplexity")
    values = list(moved.values())
    p = stats.probability_below(values) if values else None
    share = stats.share_below(values) if values else None
    seen = NONE if share is None else f"{share * len(values):g} of {len(values)}"
    none = NONE if own else gaps.apart(method)
    rate = ranged(won, 2) if won else none
    sure = probability(p) if values else none
    return [
        Cell("win rate", "win_rate_against_uniform", won, "share of domains",
             gaps.cell(rate, won and won.n, method)),
        Cell("P(beats uniform)", "p_beats_uniform", single(p, len(values)), "probability",
             gaps.cell(sure, len(values), method)),
        Cell("seeds better", "share_of_seeds_better", single(share, len(values)), "share of seeds",
             seen if values else none),
    ]  # fmt: skip


def _notes(frames: Frames, gaps: Gaps) -> str:
    """Return what the columns are, for below the table."""
    metrics = frames["metrics"]
    chance = by_guessing(frames, any(normalised(metrics, n) for n in shots(metrics)))
    few = chance and (
        f"Few-shot, unweighted means over tasks: {chance}; ± of accuracies covers other seeds and other "
        "items; bits per byte are of the right answer, lower is better. "
    )
    pairs = " Win rates are over the seeds that a method and uniform both have." if gaps else ""
    return (
        f"Mean log-perplexity: unweighted mean over domains of the test loss. {few}Win rate: the share of "
        "domains with a lower perplexity than uniform, per seed, then averaged over seeds (interval in "
        "brackets). P(beats uniform): probability of a true mean difference of mean perplexity below zero "
        "under the t model; beside it the seeds in which it was below. Nothing is corrected for the number "
        f"of methods.{pairs}"
    )
