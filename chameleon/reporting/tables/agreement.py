"""What agrees with what: weights of two seeds, scores of two proxies, a swarm's forecast and base models."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import NO_CORPUS, Frames, diagnostic, first_seen, markdown, method_order
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import average_weights, from_uniform, mean_over_seeds
from chameleon.reporting.statistics.ranking import foretold_order
from chameleon.reporting.statistics.stats import total_variation
from chameleon.reporting.tables.parts import Table, empty, frame, number, ranged, seeds

COLUMNS = "scenario method other quantity corpus mean min max n"
FORECAST = "scenario method other foretold measured correlation heldout_correlation n"
#: Smaller differences are not seen in a table.
SHOWN = 0.0005


class _Rows:
    """Rows of a table's csv, each with its text for people."""

    def __init__(self, scenario: str) -> None:
        self.scenario, self.rows = scenario, list[dict[str, Any]]()

    def add(self, method: str, quantity: str, values: list[float], other: str = "", corpus: str = "") -> str:
        """Keep mean, smallest and largest of one number a seed (or pair of seeds); return them as text."""
        if not values:
            return "–"
        low, high, mean = min(values), max(values), float(np.mean(values))
        self.rows.append({"scenario": self.scenario, "method": method, "other": other, "quantity": quantity,
                          "corpus": corpus, "mean": mean, "min": low, "max": high,
                          "n": len(values)})  # fmt: skip
        spread = "" if high - low < SHOWN else f" ({number(low, 3)} to {number(high, 3)})"
        return f"{number(mean, 3)}{spread}"


def agreement(scenario: str, frames: Frames) -> Table:
    """Distance of a method's weights between seeds, and to uniform."""
    average, gaps, rows = average_weights(frames), Gaps(frames), _Rows(scenario)
    tables, far = _by_method(average, "weight"), from_uniform(frames)
    body = []
    for method in method_order([*tables, *gaps.gone()]):
        if method not in tables:
            body.append([method, *[gaps.word(method)] * 3])
            continue
        table, distances = tables[method].to_numpy(), list(far[method].values())
        between = [total_variation(a, b) for a, b in combinations(table, 2)]
        if max([*distances, *between]) < SHOWN:
            repeats = "uniform"
        else:
            repeats = "–" if not between else "yes" if np.mean(between) < np.mean(distances) else "no"
        cells = [rows.add(method, "from_uniform", distances), rows.add(method, "between_seeds", between)]
        body.append([gaps.label(method, len(table)), *cells, repeats])
    caption = (
        f"How far weights repeat in scenario `{scenario}` (average over training): distance to uniform and "
        "between two seeds (total variation: the mass that lies elsewhere, 0 to 1), means with the smallest "
        "and the largest, and whether seeds agree better with each other than they differ from uniform; "
        f"{seeds(average, gaps)}."
    )
    text = markdown(["method", "from uniform", "between seeds", "repeats"], body)
    return Table(frame(rows.rows, COLUMNS), caption, text)


def proxies(scenario: str, frames: Frames) -> Table:
    """What labels with leverage scores agree on, and what each makes of every corpus."""
    average, gaps, rows = average_weights(frames), Gaps(frames), _Rows(scenario)
    tables, corpora = _by_method(average, "weight"), _corpora(frames)
    scores = _by_method(diagnostic(frames, "score"), "value")
    labels = [m for m in method_order(scores) if m in tables]
    what = f"Leverage scores in scenario `{scenario}`, proxy against proxy"
    if not labels:
        return empty(COLUMNS, what, "no method of it that has results computes leverage scores")
    affinity = diagnostic(frames, "affinity")
    own = _by_method(affinity[affinity["domain"] == affinity["other"]], "value")
    body = []
    for label in labels:
        cells = [
            rows.add(label, "mass", tables[label][domains].sum(axis=1).tolist(), corpus=corpus)
            for corpus, domains in corpora.items()
        ]
        for corpus, domains in corpora.items():
            share = own[label][domains].mean(axis=1) / own[label].mean(axis=1) if label in own else []
            cells.append(rows.add(label, "centroid_distance", list(share), corpus=corpus))
        body.append([gaps.label(label, len(scores[label])), *cells])
    pairs = []
    for a, b in combinations(labels, 2):
        shared = [s for s in scores[a].index if s in scores[b].index]
        both = [(scores[a].loc[s], scores[b].loc[s, scores[a].columns]) for s in shared]
        same = [
            float(scipy.stats.spearmanr(x, y).statistic) for x, y in both if x.nunique() > 1 < y.nunique()
        ]
        apart = [total_variation(tables[a].loc[s], tables[b].loc[s, tables[a].columns]) for s in shared]
        pairs.append([f"{a}, {b}", rows.add(a, "score_correlation", same, b),
                      rows.add(a, "weight_distance", apart, b)])  # fmt: skip
    caption = (
        f"{what}: share of the weights on each corpus; how far its domains' embeddings lie from the mean of "
        "all (squared, over the average domain's: below 1 is nearer, and near domains are taken for common "
        "ones); for every two labels the rank correlation of their scores and the distance of their weights "
        f"(total variation). Means with the smallest and the largest, {seeds(average, gaps)}."
    )
    header = ["method", *(f"mass on {c}" for c in corpora), *(f"distance of {c}" for c in corpora)]
    text = [markdown(header, body)]
    if pairs:
        text.append(markdown(["labels", "correlation of scores", "distance of weights"], pairs))
    return Table(frame(rows.rows, COLUMNS), caption, "\n\n".join(text))


def forecast(scenario: str, frames: Frames) -> Table:
    """Foretold mean validation loss of other methods' mixtures beside their base models' mean test loss."""
    found, metrics, gaps = diagnostic(frames, "foretold_loss"), frames["metrics"], Gaps(frames)
    what = f"What swarms foretell in scenario `{scenario}`"
    if found.empty:
        return empty(FORECAST, what, "no method of it that has results was asked about others' mixtures")
    rows, body, said = [], [], []
    for method in method_order(found["method"]):
        mine = found[found["method"] == method]
        measured = {o: mean_over_seeds(metrics, o, "mean_log_perplexity") for o in first_seen(mine["other"])}
        per_seed = list(foretold_order(frames, method).values())
        held = diagnostic(frames, "heldout_spearman", method)
        correlation = stats.bounded(stats.mean_interval(per_seed), -1, 1) if per_seed else None
        within = stats.bounded(stats.mean_interval(held["value"].tolist()), -1, 1) if len(held) else None
        for other in method_order(measured):
            told = stats.mean_interval(mine[mine["other"] == other]["value"].tolist())
            came = measured[other]
            rows.append({"scenario": scenario, "method": method, "other": other, "foretold": told.mean,
                         "measured": came and came.mean, "correlation": correlation and correlation.mean,
                         "heldout_correlation": within and within.mean, "n": told.n})  # fmt: skip
            body.append([method, gaps.label(other, came.n if came else 0), number(told.mean, 4),
                         number(came and came.mean, 4)])  # fmt: skip
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
    return Table(frame(rows, FORECAST), caption, "\n\n".join([markdown(header, body), *said]))


def _by_method(rows: pd.DataFrame, value: str) -> dict[str, pd.DataFrame]:
    """Return label -> seeds x domains."""
    return {
        method: part.pivot(index="seed", columns="domain", values=value).sort_index()
        for method, part in rows.groupby("method", sort=False)
    }


def _corpora(frames: Frames) -> dict[str, list[str]]:
    """Return corpus -> the scenario's domains of it."""
    weighed = first_seen(frames["weights"]["domain"])
    rows = frames["metrics"][["corpus", "domain_or_task"]].drop_duplicates().itertuples(index=False)
    corpus_of = {str(domain): str(corpus) for corpus, domain in rows if corpus not in NO_CORPUS}
    found: dict[str, list[str]] = {}
    for domain in weighed:
        if domain in corpus_of:
            found.setdefault(corpus_of[domain], []).append(domain)
    return found
