"""Tables of test perplexity: as measured, against uniform, and what finetuning made the model forget."""

import pandas as pd

from chameleon.reporting.records.tidy import (
    MEANS,
    YARDSTICK,
    Frames,
    first_seen,
    markdown,
    method_order,
    perplexities,
)
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import differences, series, to_uniform
from chameleon.reporting.tables.parts import (
    Table,
    empty,
    frame,
    marked,
    nothing_to_compare,
    over_seeds,
    plus_minus,
)

#: What multiple comparisons do to the marks.
ALONE = "each interval stands alone: of 20 cells without any effect one would be bold by chance"


def perplexity(scenario: str, frames: Frames) -> Table:
    """Mean and interval over seeds of each domain's test perplexity and of the means."""
    metrics = frames["metrics"]
    columns = perplexities(metrics)
    rows, body = [], []
    for method in method_order(metrics["method"]):
        cells = [method]
        for domain, metric, _ in columns:
            values = series(metrics, method, domain, metric)
            estimate = stats.mean_interval(list(values.values())) if values else None
            cells.append(plus_minus(estimate, MEANS.get(metric, ("", 2))[1]))
            if estimate is not None:
                unit = "nats/token" if metric == "mean_log_perplexity" else "perplexity"
                rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                             **estimate._asdict(), "unit": unit})  # fmt: skip
        body.append(cells)
    caption = (
        f"Test perplexity of the base models of scenario `{scenario}` per domain (lower is better), its "
        f"unweighted mean over the domains{_groups(metrics)}, and the mean log-perplexity in nats per token; "
        f"{over_seeds(metrics)}."
    )
    csv = frame(rows, "scenario method domain metric mean low high sd n unit")
    return Table(csv, caption, markdown(["method", *(c[2] for c in columns)], body))


def _groups(metrics: pd.DataFrame) -> str:
    return " and over the old and the new ones alone" if "mean_new" in set(metrics["domain_or_task"]) else ""


def difference(scenario: str, frames: Frames) -> Table:
    """Paired differences to uniform; marked where the t interval excludes zero."""
    metrics = frames["metrics"]
    names = ("scenario method domain metric mean low high sd n unit excludes_zero bootstrap_low "
             "bootstrap_high p_better share_of_seeds_better")  # fmt: skip
    if (why := nothing_to_compare(metrics["method"])) is not None:
        return empty(names, f"Difference to uniform in scenario `{scenario}`", why)
    columns = perplexities(metrics)
    rows, body = [], []
    for method in method_order(metrics["method"]):
        if method == YARDSTICK:
            continue
        cells = [method]
        for domain, metric, _ in columns:
            estimate = to_uniform(metrics, method, domain, metric)
            nats = metric == "mean_log_perplexity"
            cells.append(marked(estimate, 4 if nats else 2))
            if estimate is None:
                continue
            values = differences(metrics, method, YARDSTICK, domain, metric)
            resampled = stats.bootstrap_interval(values)
            rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                         **estimate._asdict(), "unit": "nats/token" if nats else "%",
                         "excludes_zero": estimate.excludes_zero, "bootstrap_low": resampled.low,
                         "bootstrap_high": resampled.high, "p_better": stats.probability_below(values),
                         "share_of_seeds_better": stats.share_below(values)})  # fmt: skip
        body.append(cells)
    header = [f"{name} ({'nats/token' if m == 'mean_log_perplexity' else '%'})" for _, m, name in columns]
    caption = (
        f"Difference to uniform mixing in scenario `{scenario}`, paired by seed: relative difference of "
        "test perplexity in percent per domain and for the unweighted means, and of the mean "
        f"log-perplexity in nats per token; negative is better than uniform; {over_seeds(metrics)}; bold "
        f"where the interval excludes zero ({ALONE}). The csv adds bootstrap intervals, the probability of "
        "a true mean below zero, and the share of seeds below zero."
    )
    return Table(frame(rows, names), caption, markdown(["method", *header], body))


def forgetting(scenario: str, frames: Frames) -> Table:
    """What finetuning did to the pretraining domains: perplexity kept, and nats per token forgotten."""
    metrics = frames["metrics"]
    names = ("scenario method domain metric mean low high sd n unit against_uniform_mean "
             "against_uniform_low against_uniform_high excludes_zero")  # fmt: skip
    what = f"Forgetting in scenario `{scenario}`"
    domains = first_seen(metrics[metrics["metric"] == "forgetting"]["domain_or_task"])
    if not domains:
        return empty(names, what, "its models were not tested on pretraining domains")
    columns = [("mean", "mean_forgetting"), ("mean", "kept_mean_perplexity"),
               *((d, "forgetting") for d in domains)]  # fmt: skip
    hidden = [("mean", "kept_mean_log_perplexity"), *((d, "kept_perplexity") for d in domains)]
    rows, body = [], []
    for method in method_order(metrics["method"]):
        cells = [method]
        for domain, metric in columns + hidden:
            values = series(metrics, method, domain, metric)
            estimate = stats.mean_interval(list(values.values())) if values else None
            against = None if method == YARDSTICK else to_uniform(metrics, method, domain, metric)
            shown = (domain, metric) not in hidden
            if shown:
                ppl = metric == "kept_mean_perplexity"
                cells.append(plus_minus(estimate, 2 if ppl else 3, sign=not ppl))
            if (domain, metric) == ("mean", "mean_forgetting"):
                cells.append(marked(against, 3))
            if estimate is not None:
                rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                             **estimate._asdict(), "unit": _unit(metric),
                             "against_uniform_mean": against and against.mean,
                             "against_uniform_low": against and against.low,
                             "against_uniform_high": against and against.high,
                             "excludes_zero": bool(against and against.excludes_zero)})  # fmt: skip
        body.append(cells)
    header = ["method", "mean forgetting (nats/token)", "against uniform (nats/token)",
              "mean perplexity kept", *domains]  # fmt: skip
    caption = (
        f"{what}: test loss on every pretraining domain after finetuning minus before it, in nats per token "
        "(0: nothing forgotten; lower is better), their unweighted mean with its paired difference to "
        f"uniform (bold where the interval excludes zero), and the mean perplexity that is left; "
        f"{over_seeds(metrics)}; the csv has the perplexity kept on every domain."
    )
    return Table(frame(rows, names), caption, markdown(header, body))


def _unit(metric: str) -> str:
    return "perplexity" if metric in ("kept_perplexity", "kept_mean_perplexity") else "nats/token"
