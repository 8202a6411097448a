"""How well a swarm's regression foretells what base models come to."""

import scipy.stats

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import Frames, first_seen, markdown, method_order
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import series
from chameleon.reporting.tables.parts import Table, empty, frame, number, ranged, seeds

COLUMNS = "scenario method other foretold measured correlation heldout_correlation n"


def forecast(scenario: str, frames: Frames) -> Table:
    """Foretold mean validation loss of other methods' mixtures beside their base models' mean test loss."""
    diagnostics, metrics, gaps = frames["diagnostics"], frames["metrics"], Gaps(frames)
    found = diagnostics[diagnostics["quantity"] == "foretold_loss"]
    what = f"What swarms foretell in scenario `{scenario}`"
    if found.empty:
        return empty(COLUMNS, what, "no method of it that has results was asked about others' mixtures")
    rows, body, said = [], [], []
    for method in method_order(found["method"]):
        mine = found[found["method"] == method]
        measured = {o: series(metrics, o, "mean", "mean_log_perplexity") for o in first_seen(mine["other"])}
        per_seed = []
        for seed, part in mine.groupby("seed"):
            pairs = [(value, measured[o][seed]) for o, value in zip(part["other"], part["value"], strict=True)
                     if seed in measured[o]]  # fmt: skip
            if len(pairs) > 2 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True)):
                per_seed.append(float(scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic))
        held = diagnostics[
            (diagnostics["method"] == method) & (diagnostics["quantity"] == "heldout_spearman")
        ]
        correlation = stats.bounded(stats.mean_interval(per_seed), -1, 1) if per_seed else None
        within = stats.bounded(stats.mean_interval(held["value"].tolist()), -1, 1) if len(held) else None
        for other in method_order(measured):
            told = stats.mean_interval(mine[mine["other"] == other]["value"].tolist())
            came = stats.mean_interval(list(measured[other].values())) if measured[other] else None
            rows.append({"scenario": scenario, "method": method, "other": other, "foretold": told.mean,
                         "measured": None if came is None else came.mean,
                         "correlation": None if correlation is None else correlation.mean,
                         "heldout_correlation": None if within is None else within.mean,
                         "n": told.n})  # fmt: skip
            body.append([method, gaps.label(other, len(measured[other])), number(told.mean, 4),
                         number(None if came is None else came.mean, 4)])  # fmt: skip
        said.append(
            f"`{method}`: rank correlation of what it foretells with what base models came to: "
            f"{ranged(correlation, 2)}; with the held-out runs of its own swarm: {ranged(within, 2)}."
        )
    caption = (
        f"{what}: the mean validation loss that the regression foretells for the mixtures of other methods, "
        "at the size and length of the swarm's runs, beside the mean test loss of the base models trained on "
        f"them (both nats/token; only their order can agree); {seeds(found, gaps)}."
    )
    header = ["swarm of", "mixture of", "foretold loss", "base models' loss"]
    return Table(frame(rows, COLUMNS), caption, "\n\n".join([markdown(header, body), *said]))
