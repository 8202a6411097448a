"""Tables of what the methods chose and why: weights, leverage scores beside kλ, passes over the data."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from chameleon.reporting.records.missing import Gaps
from chameleon.reporting.records.tidy import Frames, diagnostic, first_seen, markdown, method_order
from chameleon.reporting.statistics.comparisons import average_weights
from chameleon.reporting.tables.parts import Table, empty, frame, over_values, seeds


def weights(scenario: str, frames: Frames) -> Table:
    """Domain weights, mean and spread over seeds; of those that move, the average and every step."""
    table, gaps = frames["weights"], Gaps(frames)
    domains = first_seen(table["domain"])
    average = average_weights(frames)
    rows, body = [], []
    for method in method_order([*table["method"], *gaps.methods]):
        mine = table[table["method"] == method]
        if mine.empty:
            body.append([method, *[gaps.word(method)] * len(domains)])
            continue
        steps = sorted(set(mine["step"]))
        moves = len(steps) > 1
        parts = [("average", average[average["method"] == method])] if moves else []
        parts += [(step, mine[mine["step"] == step]) for step in steps]
        for step, part in parts:
            label = method if not moves else f"{method}, {step if step == 'average' else f'step {step}'}"
            cells = [gaps.label(label, part["seed"].nunique())]
            for domain in domains:
                values = part[part["domain"] == domain]["weight"].tolist()
                if not values:
                    cells.append("–")
                    continue
                found = over_values(values)
                rows.append({"scenario": scenario, "method": method, "step": step, "domain": domain, **found})
                cells.append(_with_sd(found))
            # A moving mixture has a stage per update: the average, first and last suffice for people.
            if step in ("average", steps[0], steps[-1]):
                body.append(cells)
    caption = (
        f"Domain weights of scenario `{scenario}` (fractions of the training tokens, each row sums to 1): "
        f"mean over seeds, standard deviation over seeds in brackets; {seeds(table, gaps)}; of weights that "
        "move during training the average over training, the first and the last."
    )
    return Table(frame(rows, "scenario method step domain mean sd min max n"), caption,
                 markdown(["method", *domains], body))  # fmt: skip


def krls(scenario: str, frames: Frames) -> Table:
    """Leverage scores per domain, and kλ beside the eigenvalues of the affinity."""
    diagnostics, gaps = frames["diagnostics"], Gaps(frames)
    found = diagnostics[diagnostics["quantity"].isin(["score", "eigenvalue", "k_lambda"])]
    columns = "scenario method quantity domain other mean sd min max n"
    if found.empty:
        why = f"no method of it{' that has results' if gaps else ''} computes leverage scores"
        return empty(columns, f"Leverage scores in scenario `{scenario}`", why)
    rows = []
    for method in method_order(found["method"]):
        mine = found[found["method"] == method]
        for (quantity, domain, other), part in mine.groupby(["quantity", "domain", "other"], sort=False):
            rows.append({"scenario": scenario, "method": method, "quantity": quantity, "domain": domain,
                         "other": other, **over_values(part["value"].tolist())})  # fmt: skip
    csv = frame(rows, columns)
    scores = csv[csv["quantity"] == "score"]
    domains = first_seen(scores["domain"])
    body, spectrum = [], []
    for method in first_seen(csv["method"]):
        mine = csv[csv["method"] == method]
        by_domain = mine[mine["quantity"] == "score"].set_index("domain")
        label = gaps.label(method, found[found["method"] == method]["seed"].nunique())
        body.append([label, *(_with_sd(by_domain.loc[d]) if d in by_domain.index else "–" for d in domains)])
        k_lambda = mine[mine["quantity"] == "k_lambda"]["mean"]
        values = mine[mine["quantity"] == "eigenvalue"]
        values = values.assign(order=values["other"].astype(int)).sort_values("order")["mean"]
        if len(k_lambda):
            listed = ", ".join(f"{v:.3g}" for v in values)
            spectrum.append(f"`{method}`: kλ = {k_lambda.iloc[0]:.4g}; eigenvalues {listed}.")
    caption = (
        f"Kernel ridge leverage score of each domain in scenario `{scenario}` (dimensionless; high: a "
        "domain that the others do not explain), mean over seeds, standard deviation over seeds in "
        f"brackets; {seeds(found, gaps)}; below, kλ beside the eigenvalues of the affinity (mean over seeds, "
        "squared units of the hidden state): eigenvalues far below kλ are ridged away, far above it they "
        "count fully."
    )
    return Table(csv, caption, "\n\n".join([markdown(["method", *domains], body), *spectrum]))


def epochs(scenario: str, frames: Frames) -> Table:
    """How often the base run went through each domain's train split."""
    columns = "scenario method domain mean min max n"
    found, gaps = diagnostic(frames, "effective_epochs"), Gaps(frames)
    domains = first_seen(found["domain"])
    rows, body = [], []
    for method in method_order([*found["method"], *(gaps.gone() if domains else [])]):
        cells = [gaps.label(method, found[found["method"] == method]["seed"].nunique())]
        for domain in domains:
            values = found[(found["method"] == method) & (found["domain"] == domain)]["value"].tolist()
            if not values:
                cells.append(gaps.word(method))
                continue
            row = over_values(values)
            rows.append({"scenario": scenario, "method": method, "domain": domain, **row})
            moved = f" ({row['min']:.2f} to {row['max']:.2f})" if row["max"] - row["min"] >= 0.005 else ""
            cells.append(f"{row['mean']:.2f}{moved}")
        body.append(cells)
    if not body:
        return empty(columns, f"Effective epochs in scenario `{scenario}`", "none were recorded")
    caption = (
        f"Effective epochs of the base run per domain in scenario `{scenario}` (tokens drawn divided by the "
        "tokens of the domain's train split; above 1 text is repeated): mean over seeds, range in brackets "
        f"where they differ; {seeds(found, gaps)}."
    )
    return Table(frame(rows, columns), caption, markdown(["method", *domains], body))


def _with_sd(row: Mapping[str, Any] | pd.Series) -> str:
    return f"{row['mean']:.3f}" + ("" if pd.isna(row["sd"]) else f" ({row['sd']:.3f})")
