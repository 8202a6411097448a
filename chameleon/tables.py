"""Tables of the results: mean and interval over seeds, paired differences to uniform, weights, costs.

Last stage of the flow. Reads the tidy files metrics.csv, weights.csv, costs.csv and diagnostics.csv, and
results/corpora/*/report.json for the corpus tables; nothing else. Writes each table as `.csv` (tidy, full
precision), and as `.md` and `.html` (one sentence on what it shows, rounded).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from chameleon import artifacts, stats, tidy
from chameleon.catalogue import CORPUS_TABLES, TABLES
from chameleon.corpus_tables import corpus_tables
from chameleon.pages import page
from chameleon.stats import Estimate
from chameleon.tidy import YARDSTICK, first_seen, markdown, method_order, series, to_uniform

__all__ = ["CORPUS_TABLES", "TABLES", "Table", "make_tables"]

Frames = dict[str, pd.DataFrame]
#: Metric of each column of the perplexity table, with its short name and decimals.
MEANS = {"mean_perplexity": ("mean perplexity", 2), "mean_log_perplexity": ("mean log-perplexity", 4)}
BASE_STAGES = ("base", "evaluate")


class Table(NamedTuple):
    """One table: tidy rows for the csv, and the same for people."""

    csv: pd.DataFrame
    caption: str
    body: str


def make_tables(results: Path, out: Path, scenarios: list[str]) -> None:
    """Write every table of every scenario, and the corpus tables, into `out`.

    File names: `{scenario}_{name}.csv`, `.md` and `.html` for each name in TABLES; the same with `{name}`
    for each in CORPUS_TABLES.

    Raises:
        UserError: a tidy file or corpus report is missing or malformed, or holds no row of a scenario.
    """
    results, out = Path(results), Path(out)
    corpora: list[str] = []
    for scenario in scenarios:
        frames = tidy.of_scenario(results, scenario)
        corpora += [c for c in frames["metrics"]["corpus"] if c != "all"]
        for name in TABLES:
            _write(out / f"{scenario}_{name}", _BUILDERS[name](scenario, frames))
    of_corpora = corpus_tables(results, first_seen(corpora))
    for name in CORPUS_TABLES:
        _write(out / name, Table(*of_corpora[name]))


def _write(stem: Path, table: Table) -> None:
    artifacts.write_csv(f"{stem}.csv", table.csv)
    text = f"{table.caption}\n\n{table.body}\n"
    artifacts.write_text(f"{stem}.md", text)
    artifacts.write_text(f"{stem}.html", page(stem.name.replace("_", " "), text))


def _perplexity(scenario: str, frames: Frames) -> Table:
    """Mean and interval over seeds of each domain's test perplexity and of the two means."""
    metrics = frames["metrics"]
    rows, body = [], []
    domains = _domains(metrics)
    for method in method_order(metrics["method"]):
        cells = [method]
        for domain, metric in _columns(domains):
            values = series(metrics, method, domain, metric)
            if not values:
                cells.append("–")
                continue
            estimate = stats.mean_interval(list(values.values()))
            unit = "nats/token" if metric == "mean_log_perplexity" else "perplexity"
            rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                         **estimate._asdict(), "unit": unit})  # fmt: skip
            cells.append(_plus_minus(estimate, MEANS.get(metric, ("", 2))[1]))
        body.append(cells)
    header = ["method", *domains, *(name for name, _ in MEANS.values())]
    caption = (
        f"Test perplexity of the base models of scenario `{scenario}` per domain (lower is better), its "
        "unweighted mean over the domains, and the mean log-perplexity in nats per token; "
        f"{_over_seeds(metrics)}."
    )
    frame = _frame(rows, "scenario method domain metric mean low high sd n unit")
    return Table(frame, caption, markdown(header, body))


def _difference(scenario: str, frames: Frames) -> Table:
    """Paired differences to uniform; marked where the interval excludes zero."""
    metrics = frames["metrics"]
    columns = "scenario method domain metric mean low high sd n unit excludes_zero"
    others = [m for m in method_order(metrics["method"]) if m != YARDSTICK]
    if (why := _nothing_to_compare(metrics, others)) is not None:
        return Table(_frame([], columns), f"Difference to uniform in scenario `{scenario}`: {why}", "")
    domains = _domains(metrics)
    rows, body = [], []
    for method in others:
        cells = [method]
        for domain, metric in _columns(domains):
            estimate = to_uniform(metrics, method, domain, metric)
            if estimate is None:
                cells.append("–")
                continue
            nats = metric == "mean_log_perplexity"
            rows.append({"scenario": scenario, "method": method, "domain": domain, "metric": metric,
                         **estimate._asdict(), "unit": "nats/token" if nats else "%",
                         "excludes_zero": estimate.excludes_zero})  # fmt: skip
            text = _plus_minus(estimate, 4 if nats else 2, sign=True)
            cells.append(f"**{text}**" if estimate.excludes_zero else text)
        body.append(cells)
    header = ["method", *(f"{d} (%)" for d in domains), "mean perplexity (%)",
              "mean log-perplexity (nats/token)"]  # fmt: skip
    caption = (
        f"Difference to uniform mixing in scenario `{scenario}`, paired by seed: relative difference of "
        "test perplexity in percent per domain and for the unweighted mean, and of the mean log-perplexity "
        f"in nats per token; negative is better than uniform; {_over_seeds(metrics)}; bold where the "
        "interval excludes zero (each interval stands alone: of 20 cells without any effect one would be "
        "bold by chance)."
    )
    return Table(_frame(rows, columns), caption, markdown(header, body))


def _weights(scenario: str, frames: Frames) -> Table:
    """Domain weights, mean and spread over seeds, at every step where they change."""
    weights = frames["weights"]
    domains = first_seen(weights["domain"])
    rows, body = [], []
    for method in method_order(weights["method"]):
        mine = weights[weights["method"] == method]
        steps = sorted(set(mine["step"]))
        for step in steps:
            cells = [method if len(steps) == 1 else f"{method}, step {step}"]
            for domain in domains:
                values = mine[(mine["step"] == step) & (mine["domain"] == domain)]["weight"].tolist()
                if not values:
                    cells.append("–")
                    continue
                estimate = stats.mean_interval(values)
                rows.append({"scenario": scenario, "method": method, "step": step, "domain": domain,
                             "mean": estimate.mean, "sd": estimate.sd, "min": min(values), "max": max(values),
                             "n": estimate.n})  # fmt: skip
                spread = "" if estimate.sd is None else f" ({estimate.sd:.3f})"
                cells.append(f"{estimate.mean:.3f}{spread}")
            # A moving mixture has a stage per update: first and last suffice for people.
            if step in (steps[0], steps[-1]):
                body.append(cells)
    caption = (
        f"Domain weights of scenario `{scenario}` (fractions of the training tokens, each row sums to 1): "
        f"mean over seeds, standard deviation over seeds in brackets; {_seeds(weights)}; of weights that "
        "move during training the first and the last."
    )
    return Table(_frame(rows, "scenario method step domain mean sd min max n"), caption,
                 markdown(["method", *domains], body))  # fmt: skip


def _costs(scenario: str, frames: Frames) -> Table:
    """What each method cost, stage by stage, and its weights beside the base run."""
    costs = frames["costs"]
    rows, body = [], []
    amounts = ["tokens", "flops", "seconds"]
    for method in method_order(costs["method"]):
        mine = costs[costs["method"] == method]
        n = mine["seed"].nunique()
        per_stage = mine.groupby("stage", sort=False)[amounts].sum() / n
        stages = {stage: per_stage.loc[stage] for stage in per_stage.index}
        zero = pd.Series(0.0, index=amounts)
        weighting = sum((v for s, v in stages.items() if s not in BASE_STAGES), zero)
        base, evaluate = stages.get("base", zero), stages.get("evaluate", zero)
        total = weighting + base + evaluate
        for stage, amount in {**stages, "weighting": weighting, "total": total}.items():
            rows.append({"scenario": scenario, "method": method, "stage": stage, **amount.to_dict(),
                         "flops_per_base_flop": amount["flops"] / base["flops"] if base["flops"] else None,
                         "n": n, "device": "; ".join(sorted(set(mine["device"])))})  # fmt: skip
        ratio = f"{100 * weighting['flops'] / base['flops']:.1f}" if base["flops"] else "–"
        body.append([method, *(_amount(stage[a], a) for stage in (weighting, base) for a in amounts), ratio,
                     *(_amount(stage["seconds"], "seconds") for stage in (evaluate, total))])  # fmt: skip
    header = ["method", *(f"{stage}: {a}" for stage in ("weights", "base") for a in ("tokens", "FLOPs", "s")),
              "weights / base (% of FLOPs)", "evaluation: s", "total: s"]  # fmt: skip
    devices = ", ".join(sorted(set(costs["device"])))
    caption = (
        f"Cost per seed in scenario `{scenario}` of obtaining the weights (proxy, embeddings and every "
        "other run that the method needs, each method charged in full for what methods share) and of the "
        f"base model trained with them: tokens, floating-point operations, wall-clock seconds on {devices}; "
        f"mean over seeds, {_seeds(costs)}."
    )
    frame = _frame(rows, "scenario method stage tokens flops seconds flops_per_base_flop n device")
    return Table(frame, caption, markdown(header, body))


def _krls(scenario: str, frames: Frames) -> Table:
    """Leverage scores per domain, and kλ beside the eigenvalues of the affinity."""
    diagnostics = frames["diagnostics"]
    found = diagnostics[diagnostics["quantity"].isin(["score", "eigenvalue", "k_lambda"])]
    columns = "scenario method quantity domain other mean sd min max n"
    if found.empty:
        why = "no method of it computes leverage scores, so this table is empty."
        return Table(_frame([], columns), f"Leverage scores in scenario `{scenario}`: {why}", "")
    rows = []
    for method in method_order(found["method"]):
        mine = found[found["method"] == method]
        for (quantity, domain, other), part in mine.groupby(["quantity", "domain", "other"], sort=False):
            estimate = stats.mean_interval(part["value"].tolist())
            rows.append({"scenario": scenario, "method": method, "quantity": quantity, "domain": domain,
                         "other": other, "mean": estimate.mean, "sd": estimate.sd, "n": estimate.n,
                         "min": part["value"].min(), "max": part["value"].max()})  # fmt: skip
    frame = _frame(rows, columns)
    scores = frame[frame["quantity"] == "score"]
    domains = first_seen(scores["domain"])
    body, spectrum = [], []
    for method in first_seen(frame["method"]):
        mine = frame[frame["method"] == method]
        by_domain = mine[mine["quantity"] == "score"].set_index("domain")
        body.append([method, *(_with_sd(by_domain.loc[d]) if d in by_domain.index else "–" for d in domains)])
        k_lambda = mine[mine["quantity"] == "k_lambda"]["mean"]
        values = mine[mine["quantity"] == "eigenvalue"]
        values = values.assign(order=values["other"].astype(int)).sort_values("order")["mean"]
        if len(k_lambda):
            listed = ", ".join(f"{v:.3g}" for v in values)
            spectrum.append(f"`{method}`: kλ = {k_lambda.iloc[0]:.4g}; eigenvalues {listed}.")
    caption = (
        f"Kernel ridge leverage score of each domain in scenario `{scenario}` (dimensionless; high: a "
        "domain that the others do not explain), mean over seeds, standard deviation over seeds in "
        f"brackets; {_seeds(found)}; below, kλ beside the eigenvalues of the affinity (mean over seeds, "
        "squared units of the hidden state): eigenvalues far below kλ are ridged away, far above it they "
        "count fully."
    )
    return Table(frame, caption, "\n\n".join([markdown(["method", *domains], body), *spectrum]))


def _epochs(scenario: str, frames: Frames) -> Table:
    """How often the base run went through each domain's train split."""
    columns = "scenario method domain mean min max n"
    found = frames["diagnostics"]
    found = found[found["quantity"] == "effective_epochs"]
    domains = first_seen(found["domain"])
    rows, body = [], []
    for method in method_order(found["method"]):
        cells = [method]
        for domain in domains:
            values = found[(found["method"] == method) & (found["domain"] == domain)]["value"].tolist()
            if not values:
                cells.append("–")
                continue
            estimate = stats.mean_interval(values)
            rows.append({"scenario": scenario, "method": method, "domain": domain, "mean": estimate.mean,
                         "min": min(values), "max": max(values), "n": estimate.n})  # fmt: skip
            moved = "" if max(values) - min(values) < 0.005 else f" ({min(values):.2f} to {max(values):.2f})"
            cells.append(f"{estimate.mean:.2f}{moved}")
        body.append(cells)
    if not body:
        why = "none were recorded, so this table is empty."
        return Table(_frame([], columns), f"Effective epochs in scenario `{scenario}`: {why}", "")
    caption = (
        f"Effective epochs of the base run per domain in scenario `{scenario}` (tokens drawn divided by the "
        "tokens of the domain's train split; above 1 text is repeated): mean over seeds, range in brackets "
        f"where they differ; {_seeds(found)}."
    )
    return Table(_frame(rows, columns), caption, markdown(["method", *domains], body))


def _noise(scenario: str, frames: Frames) -> Table:
    """How much seeds alone move perplexity, and the smallest difference the comparison can see."""
    metrics = frames["metrics"]
    columns = ("scenario method domain metric mean sd sd_percent paired_sd_percent half_width_percent "
               "seeds_for_1_percent n")  # fmt: skip
    methods = method_order(metrics["method"])
    why = None if YARDSTICK in methods else f"{YARDSTICK} is not among its methods, so this table is empty."
    if why is None and len(series(metrics, YARDSTICK, "mean", "mean_perplexity")) < 2:
        why = "one seed shows no noise, so this table is empty."
    if why is not None:
        return Table(_frame([], columns), f"Noise over seeds in scenario `{scenario}`: {why}", "")
    rows, body = [], []
    for method in methods:
        for domain, metric in [c for c in _columns(_domains(metrics)) if c[1] != "mean_log_perplexity"]:
            values = list(series(metrics, method, domain, metric).values())
            if not values:
                continue
            one = stats.mean_interval(values)
            paired = None if method == YARDSTICK else to_uniform(metrics, method, domain, metric)
            sd = None if paired is None else paired.sd
            row: dict[str, Any] = {
                "scenario": scenario, "method": method, "domain": domain, "metric": metric, "mean": one.mean,
                "sd": one.sd, "sd_percent": None if one.sd is None else 100 * one.sd / one.mean,
                "paired_sd_percent": sd, "half_width_percent": None if paired is None else paired.half_width,
                "seeds_for_1_percent": None if sd is None else stats.seeds_needed(sd, 1.0), "n": one.n,
            }  # fmt: skip
            rows.append(row)
            if domain == "mean":
                seeds = "–" if sd is None else str(row["seeds_for_1_percent"] or "> 1000")
                body.append([method, *(_number(row[c], 2) for c in columns.split()[4:9]), seeds])
    header = ["method", "mean perplexity", "sd over seeds", "sd (%)", "sd of paired difference (%)",
              "resolution: half interval (%)", "seeds to see 1 %"]  # fmt: skip
    caption = (
        f"Noise over seeds of the mean test perplexity in scenario `{scenario}` (the csv has the domains "
        "too): spread of each method alone, spread of its paired relative difference to uniform, half the "
        "95 % interval of that difference (smaller differences stay undecided), and the seeds a paired "
        f"test would need to see a difference of 1 % four times out of five; {_seeds(metrics)}."
    )
    frame = _frame(rows, columns).astype({"seeds_for_1_percent": "Int64"})
    return Table(frame, caption, markdown(header, body))


_BUILDERS: dict[str, Callable[[str, Frames], Table]] = {
    "perplexity": _perplexity, "difference": _difference, "weights": _weights, "costs": _costs,
    "krls": _krls, "epochs": _epochs, "noise": _noise,
}  # fmt: skip


def _frame(rows: Iterable[dict[str, Any]], columns: str) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


def _domains(metrics: pd.DataFrame) -> list[str]:
    return first_seen(metrics[metrics["metric"] == "perplexity"]["domain_or_task"])


def _columns(domains: list[str]) -> list[tuple[str, str]]:
    return [(d, "perplexity") for d in domains] + [("mean", metric) for metric in MEANS]


def _nothing_to_compare(metrics: pd.DataFrame, others: list[str]) -> str | None:
    """Return why no difference to uniform can be given, or None if it can."""
    if YARDSTICK not in set(metrics["method"]):
        return f"{YARDSTICK} is not among its methods, so this table is empty."
    return None if others else f"{YARDSTICK} is its only method, so this table is empty."


def _seeds(frame: pd.DataFrame) -> str:
    n = frame["seed"].nunique()
    return "one seed" if n == 1 else f"{n} seeds"


def _over_seeds(metrics: pd.DataFrame) -> str:
    if metrics["seed"].nunique() == 1:
        return "one seed, so no intervals can be given"
    return f"mean ± half the 95 % t interval over {_seeds(metrics)}"


def _plus_minus(estimate: Estimate, decimals: int, sign: bool = False) -> str:
    text = _number(estimate.mean, decimals, sign)
    return text if estimate.half_width is None else f"{text} ± {estimate.half_width:.{decimals}f}"


def _number(value: float | None, decimals: int, sign: bool = False) -> str:
    if value is None or pd.isna(value):
        return "–"
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    return f"{0:.{decimals}f}" if float(text) == 0 else text.replace("-", "−")


def _with_sd(row: pd.Series) -> str:
    return f"{row['mean']:.3f}" + ("" if pd.isna(row["sd"]) else f" ({row['sd']:.3f})")


def _amount(value: float, unit: str) -> str:
    if unit == "seconds":
        return f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return "0" if value == 0 else f"{value:.2e}" if unit == "flops" else f"{value / 1e6:.2f}M"
