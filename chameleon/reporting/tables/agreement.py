"""What weights agree on: two seeds of one method, and two proxies under the same scores."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import NO_CORPUS, Frames, first_seen, markdown, method_order
from chameleon.reporting.statistics.comparisons import average_weights
from chameleon.reporting.tables.parts import Table, frame, number, seeds

COLUMNS = "scenario method other quantity corpus mean min max n"


def agreement(scenario: str, frames: Frames) -> Table:
    """Distance of weights between seeds and to uniform, mass on each corpus; agreement of embeddings."""
    average, gaps = average_weights(frames), Gaps(frames)
    corpora = _corpora(frames)
    rows: list[dict[str, Any]] = []

    def add(method: str, quantity: str, values: list[float], other: str = "", corpus: str = "") -> str:
        if not values:
            return "–"
        low, high, mean = min(values), max(values), float(np.mean(values))
        rows.append({"scenario": scenario, "method": method, "other": other, "quantity": quantity,
                     "corpus": corpus, "mean": mean, "min": low, "max": high, "n": len(values)})  # fmt: skip
        spread = "" if high - low < 0.0005 else f" ({number(low, 3)} to {number(high, 3)})"
        return f"{number(mean, 3)}{spread}"

    tables = {m: _wide(average[average["method"] == m]) for m in first_seen(average["method"])}
    body = []
    for method in method_order([*tables, *gaps.gone()]):
        if method not in tables:
            body.append([method, *[gaps.word(method)] * (3 + len(corpora))])
            continue
        table = tables[method]
        from_uniform = [distance(row, np.full(len(row), 1 / len(row))) for row in table.to_numpy()]
        between = [distance(a, b) for a, b in combinations(table.to_numpy(), 2)]
        repeats = "–" if not between else "yes" if np.mean(between) < np.mean(from_uniform) else "no"
        if max([*from_uniform, *between]) < 0.0005:
            repeats = "uniform"
        cells = [add(method, "from_uniform", from_uniform), add(method, "between_seeds", between), repeats]
        for corpus, domains in corpora.items():
            mass = table[[d for d in domains if d in table]].sum(axis=1).tolist()
            cells.append(add(method, "mass", mass, corpus=corpus))
        body.append([gaps.label(method, len(table)), *cells])
    said = _proxies(frames, tables, corpora, add)
    caption = (
        f"What weights agree on in scenario `{scenario}` (average over training): distance to uniform and "
        "between two seeds (total variation, 0 to 1), whether seeds agree better with each other than they "
        f"differ from uniform{', share of each corpus' if corpora else ''}; means with the smallest and the "
        f"largest, {seeds(average, gaps)}."
    )
    header = ["method", "from uniform", "between seeds", "repeats", *(f"mass on {c}" for c in corpora)]
    text = "\n\n".join([markdown(header, body), *said])
    return Table(frame(rows, COLUMNS), caption, text)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the total variation of two mixtures: the mass that lies elsewhere."""
    return float(np.abs(one - other).sum() / 2)


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot(index="seed", columns="domain", values="weight").sort_index()


def _corpora(frames: Frames) -> dict[str, list[str]]:
    """Return corpus -> domains where a scenario has several, else nothing."""
    weighed = set(frames["weights"]["domain"])
    pairs = frames["metrics"][["corpus", "domain_or_task"]].drop_duplicates().itertuples(index=False)
    found: dict[str, list[str]] = {}
    for corpus, domain in pairs:
        if corpus not in NO_CORPUS and domain in weighed:
            found.setdefault(str(corpus), []).append(str(domain))
    return found if len(found) > 1 else {}


def _proxies(
    frames: Frames, tables: dict[str, pd.DataFrame], corpora: dict[str, list[str]], add: Any
) -> list[str]:
    """Return sentences on every two labels with leverage scores, and on where the corpora lie."""
    table = frames["diagnostics"]
    scores = table[table["quantity"] == "score"]
    labels = [m for m in method_order(scores["method"]) if m in tables]
    of = {
        m: scores[scores["method"] == m].pivot(index="seed", columns="domain", values="value") for m in labels
    }
    said = []
    for a, b in combinations(labels, 2):
        shared = (
            of[a].index.intersection(of[b].index).intersection(tables[a].index).intersection(tables[b].index)
        )
        columns = of[a].columns
        same = [scipy.stats.spearmanr(of[a].loc[s], of[b].loc[s, columns]).statistic for s in shared]
        same = [float(x) for x in same if np.isfinite(x)]
        apart = [distance(tables[a].loc[s].to_numpy(), tables[b].loc[s, tables[a].columns].to_numpy())
                 for s in shared]  # fmt: skip
        said.append(
            f"`{a}` and `{b}`: rank correlation of the scores {add(a, 'score_correlation', same, b)}, "
            f"distance of the weights {add(a, 'weight_distance', apart, b)}."
        )
    own = table[(table["quantity"] == "affinity") & (table["domain"] == table["other"])]
    for label in labels if corpora else []:
        mine = own[own["method"] == label].pivot(index="seed", columns="domain", values="value")
        if mine.empty:
            continue
        share = mine.div(mine.mean(axis=1), axis=0)
        parts = [
            f"{corpus} {add(label, 'centroid_distance', share[domains].mean(axis=1).tolist(), corpus=corpus)}"
            for corpus, domains in corpora.items()
        ]
        said.append(
            f"`{label}`: squared distance of a domain's embedding from their mean, over the average "
            f"domain's: {', '.join(parts)}."
        )
    return said
