"""What the page of a run shows of one scenario, as JSON values: differences, costs, curves, weights.

Between the tidy frames and the page. Every number is one that the tables and figures have, from the same
functions (`chameleon.reporting.statistics`); seeds stand beside their mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chameleon.reporting.figures.costs import FREE, seeds_apart
from chameleon.reporting.figures.style import is_control, method_style
from chameleon.reporting.records.missing import Gaps, short_note
from chameleon.reporting.records.tidy import YARDSTICK, Frames, first_seen, perplexities, tested_domains
from chameleon.reporting.statistics import stats
from chameleon.reporting.statistics.comparisons import (
    average_weights,
    base_cost,
    curve,
    differences,
    mean_over_seeds,
    to_uniform,
    weighting_cost,
)

#: Plotly's names of matplotlib's markers (`style.STYLES`).
SYMBOLS = {
    "s": "square", "D": "diamond", "o": "circle", "^": "triangle-up", "v": "triangle-down", "P": "cross",
    "X": "x", "<": "triangle-left", ">": "triangle-right", "*": "star", "d": "diamond-tall", "H": "hexagon2",
    "h": "hexagon", "p": "pentagon", "8": "octagon", "x": "x-thin-open", "+": "cross-thin-open",
    "1": "y-down-open", "2": "y-up-open", "3": "y-left-open", "4": "y-right-open",
}  # fmt: skip
#: Methods whose lines are drawn at first: more would hide each other.
FIRST = 8


def scenario_data(name: str, frames: Frames) -> dict[str, Any]:
    """Return what is drawn of a scenario; methods without results have no place in it.

    Args:
        name: of the scenario.
        frames: its tidy frames, of which all but `metrics` may be empty.

    Returns:
        `columns`: what perplexity was measured on, means first. `differences`: {method: an estimate and its
        seeds per column, percent of uniform}. `price`: {method: percent of a base run's FLOPs, or null where
        costs are not known}. `apart`: how far uniform of one seed lies from that of another, percent.
    """
    metrics, gaps = frames["metrics"], Gaps(frames)
    level = mean_over_seeds(metrics, YARDSTICK, "mean_perplexity")
    present = set(metrics["method"]) | set(frames["weights"]["method"])
    methods = [m for m in gaps.methods if m in present]
    columns = [(d, m, heading) for d, m, heading in perplexities(metrics) if m != "mean_log_perplexity"]
    columns.sort(key=lambda column: column[1] == "perplexity")
    moved = {m: [_difference(metrics, m, d, what) for d, what, _ in columns] for m in methods} \
        if YARDSTICK in methods else {}  # fmt: skip
    return {
        "name": name,
        "note": short_note(frames),
        "seeds": [int(seed) for seed in gaps.seeds],
        "methods": [_look(m) for m in methods],
        "columns": [heading for *_, heading in columns],
        "means": sum(what != "perplexity" for _, what, _ in columns),
        "differences": {m: cells for m, cells in moved.items() if m != YARDSTICK},
        # Uniform's own mean perplexity, and how far it is from itself.
        "level": level and level.mean,
        "apart": seeds_apart(metrics) if level else 0.0,
        "price": {m: _price(frames, m) for m in methods},
        "free": FREE,
        "curves": _curves(frames, methods),
        "weights": _weights(frames),
        "first": _first(moved, methods),
    }


def _difference(metrics: Any, method: str, domain: str, metric: str) -> dict[str, Any] | None:
    """Return an estimate as JSON: mean, interval, number of seeds, whether it excludes zero, the seeds."""
    found = to_uniform(metrics, method, domain, metric)
    if found is None:
        return None
    moved = differences(metrics, method, YARDSTICK, domain, metric)
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n,
            "decided": found.excludes_zero, "seeds": {str(seed): x for seed, x in moved.items()}}  # fmt: skip


def _look(method: str) -> dict[str, Any]:
    colour, marker = method_style(method)
    return {"name": method, "colour": colour, "symbol": SYMBOLS.get(marker, "circle"),
            "control": is_control(method)}  # fmt: skip


def _price(frames: Frames, method: str) -> float | None:
    costs = frames["costs"]
    base = base_cost(costs, method)
    return 100 * weighting_cost(costs, method) / base if base else None


def _curves(frames: Frames, methods: Sequence[str]) -> dict[str, Any]:
    """Return {method: tokens, the difference to uniform in mean log-perplexity, its interval, seeds}."""
    curves, domains, found = frames["curves"], tested_domains(frames["metrics"]), {}
    for method in methods:
        table = curve(curves, method, YARDSTICK, domains) if method != YARDSTICK else None
        if table is None or table.empty:
            continue
        estimates = [stats.mean_interval(table[tokens].tolist()) for tokens in table.columns]
        found[method] = {
            "tokens": [float(tokens) for tokens in table.columns],
            "mean": [e.mean for e in estimates],
            "low": [e.low for e in estimates],
            "high": [e.high for e in estimates],
            "seeds": {str(seed): row.tolist() for seed, row in table.iterrows()},
        }
    return found


def _weights(frames: Frames) -> dict[str, Any]:
    """Return the domains, and every method's weights averaged over training: per domain a value a seed."""
    table = average_weights(frames)
    domains = first_seen(frames["weights"]["domain"])
    found: dict[str, list[list[float]]] = {}
    for method, mine in table.groupby("method", sort=False):
        by_domain = {domain: part["weight"].tolist() for domain, part in mine.groupby("domain", sort=False)}
        found[str(method)] = [by_domain.get(domain, []) for domain in domains]
    means = {m: [stats.mean_interval(v).mean if v else None for v in cells] for m, cells in found.items()}
    return {"domains": domains, "seeds": found, "mean": means}


def _first(moved: Mapping[str, Sequence[Any]], methods: Sequence[str]) -> list[str]:
    """Return the methods that are drawn at first: Chameleon, and the lowest means, controls left out."""
    known = [m for m in moved if m != YARDSTICK and moved[m] and moved[m][0] is not None]
    lowest = sorted(known, key=lambda m: (is_control(m), moved[m][0]["mean"]))
    ours = ["chameleon"] if "chameleon" in methods else []
    return list(dict.fromkeys([*ours, *(lowest or [m for m in methods if m != YARDSTICK])]))[:FIRST]
