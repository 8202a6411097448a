"""Tables of test perplexity: as measured, against uniform, and what finetuning made the model forget."""

from chameleon.reporting.records.missing import FORGETTING, NONE, Gaps
from chameleon.reporting.records.tidy import MEANS, YARDSTICK, Frames, first_seen, markdown, perplexities
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import differences, is_relative, mean_over_seeds, to_uniform
from chameleon.reporting.tables.parts import (
    Table,
    against,
    empty,
    frame,
    nothing_to_compare,
    over_seeds,
    plus_minus,
)

#: Columns of a table of differences to uniform, and what they have beyond what is shown.
DIFFERENCE = ("scenario method domain metric mean low high sd n unit excludes_zero bootstrap_low "
              "bootstrap_high p_better share_of_seeds_better")  # fmt: skip
MORE = ("The csv adds bootstrap intervals, the probability of a true mean below zero, and the share of seeds "
        "below zero.")  # fmt: skip
#: What multiple comparisons do to the marks.
ALONE = "each interval stands alone: of 20 cells without any effect one would be bold by chance"


def perplexity(scenario: str, frames: Frames) -> Table:
    """Mean and interval over seeds of each domain's test perplexity and of the means."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    columns = perplexities(metrics)
    rows, body = [], []
    apart = "mean_new" in set(metrics["domain_or_task"])
    groups = " and over the old and the new ones alone" if apart else ""
    for method in gaps.methods:
        cells = [gaps.label(method)]
        for domain, metric, _ in columns:
            estimate = mean_over_seeds(metrics, method, metric, domain)
            cells.append(plus_minus(estimate, MEANS.get(metric, ("", 2))[1], missing=gaps.word(method)))
            if estimate is not None:
                rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                             **estimate._asdict(), "unit": unit(metric)})  # fmt: skip
        body.append(cells)
    caption = (
        f"Test perplexity of the base models of scenario `{scenario}` per domain (lower is better), its "
        f"unweighted mean over the domains{groups}, and the mean log-perplexity in nats per token; "
        f"{over_seeds(metrics, gaps)}."
    )
    csv = frame(rows, "scenario method domain metric mean low high sd n unit")
    return Table(csv, caption, markdown(["method", *(c[2] for c in columns)], body))


def difference(scenario: str, frames: Frames) -> Table:
    """Paired differences to uniform; marked where the t interval excludes zero."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    if (why := nothing_to_compare(gaps)) is not None:
        return empty(DIFFERENCE, f"Difference to uniform in scenario `{scenario}`", why)
    caption = (
        f"Difference to uniform mixing in scenario `{scenario}`, paired by seed: relative difference of "
        "test perplexity in percent per domain and for the unweighted means, and of the mean "
        "log-perplexity in nats per token; negative is better than uniform; "
        f"{over_seeds(metrics, gaps)}; bold "
        f"where the interval excludes zero ({ALONE}). {MORE}"
    )
    return of_differences(scenario, frames, perplexities(metrics), caption)


def of_differences(scenario: str, frames: Frames, columns: list[tuple[str, str, str]], caption: str) -> Table:
    """Return a table of paired differences to uniform, a row per method.

    Args:
        scenario, frames: what is shown.
        columns: (domain, metric, heading); percent for perplexities, nats/token for all others.
        caption: of the table.
    """
    metrics, gaps = frames["metrics"], Gaps(frames)
    rows, body = [], []
    for method in gaps.methods:
        if method == YARDSTICK:
            continue
        cells = [gaps.label(method)]
        for domain, metric, _ in columns:
            estimate = to_uniform(metrics, method, domain, metric)
            cells.append(against(estimate, 2 if is_relative(metric) else 4, gaps, method))
            if estimate is None:
                continue
            values = list(differences(metrics, method, YARDSTICK, domain, metric).values())
            resampled = stats.bootstrap_interval(values)
            rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                         **estimate._asdict(), "unit": unit(metric, True),
                         "excludes_zero": estimate.excludes_zero, "bootstrap_low": resampled.low,
                         "bootstrap_high": resampled.high, "p_better": stats.probability_below(values),
                         "share_of_seeds_better": stats.share_below(values)})  # fmt: skip
        body.append(cells)
    header = [f"{name} ({unit(metric, True)})" for _, metric, name in columns]
    return Table(frame(rows, DIFFERENCE), caption, markdown(["method", *header], body))


def unit(metric: str, of_differences: bool = False) -> str:
    """Return the unit of a metric, or of its differences."""
    return "nats/token" if not is_relative(metric) else "%" if of_differences else "perplexity"


def forgetting(scenario: str, frames: Frames) -> Table:
    """What finetuning did to the pretraining domains: perplexity kept, and nats per token forgotten."""
    metrics, gaps = frames["metrics"], Gaps(frames)
    names = ("scenario method domain metric mean low high sd n unit against_uniform_mean "
             "against_uniform_low against_uniform_high excludes_zero")  # fmt: skip
    what = f"Forgetting in scenario `{scenario}`"
    domains = first_seen(metrics[metrics["metric"] == "forgetting"]["domain_or_task"])
    if not domains:
        lost = any(gaps.lost(method, FORGETTING) for method in gaps.methods)
        why = "all of it is missing" if lost else "its models were not tested on pretraining domains"
        return empty(names, what, why)
    columns = [("mean", "mean_forgetting"), ("mean", "kept_mean_perplexity"),
               *((d, "forgetting") for d in domains)]  # fmt: skip
    hidden = [("mean", "kept_mean_log_perplexity"), *((d, "kept_perplexity") for d in domains)]
    rows, body = [], []
    for method in gaps.methods:
        cells = [gaps.label(method, part=FORGETTING)]
        for domain, metric in columns + hidden:
            estimate = mean_over_seeds(metrics, method, metric, domain)
            apart = None if method == YARDSTICK else to_uniform(metrics, method, domain, metric)
            shown = (domain, metric) not in hidden
            if shown:
                ppl = metric == "kept_mean_perplexity"
                word = gaps.word(method, part=FORGETTING)
                text = plus_minus(estimate, 2 if ppl else 3, sign=not ppl, missing=word)
                cells.append(gaps.cell(text, estimate and estimate.n, method, part=FORGETTING))
            if (domain, metric) == ("mean", "mean_forgetting"):
                cells.append(against(apart, 3, gaps, method, FORGETTING) if method != YARDSTICK else NONE)
            if estimate is not None:
                rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                             **estimate._asdict(), "unit": unit(metric),
                             "against_uniform_mean": apart and apart.mean,
                             "against_uniform_low": apart and apart.low,
                             "against_uniform_high": apart and apart.high,
                             "excludes_zero": bool(apart and apart.excludes_zero)})  # fmt: skip
        body.append(cells)
    header = ["method", "mean forgetting (nats/token)", "against uniform (nats/token)",
              "mean perplexity kept", *domains]  # fmt: skip
    caption = (
        f"{what}: test loss on every pretraining domain after finetuning minus before it, in nats per token "
        "(0: nothing forgotten; lower is better), their unweighted mean with its paired difference to "
        f"uniform (bold where the interval excludes zero), and the mean perplexity that is left; "
        f"{over_seeds(metrics, gaps)}; the csv has the perplexity kept on every domain."
    )
    return Table(frame(rows, names), caption, markdown(header, body))
